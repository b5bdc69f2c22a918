"""What a person reads at the end of a run: the printed tables."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from geneb_jax.benchmark import CUSTOM, GENEB
from geneb_jax.failures import Failure
from geneb_jax.files.sizes import shown_size
from geneb_jax.presentation.analysis import layer_scores
from geneb_jax.presentation.glossary import words_in
from geneb_jax.presentation.intervals import one_class_words
from geneb_jax.presentation.numbers import group_text, interval_text, number_text
from geneb_jax.presentation.statements import statement_unit
from geneb_jax.presentation.verdicts import audited_words, order_words
from geneb_jax.scoring.scores import (
    macro_micro,
    preset_rows,
    protocol_rows,
    task_means,
)
from geneb_jax.tasks.synthetic import SYNTHETIC_PREFIX

_MOST_FAILURES = 40  # rows of the table of what failed
_STATEMENT = 30  # letters of a line of a statement, at least
# Columns of `print_claims` that a narrow screen goes without, the first first.
_DISPENSABLE = (
    "without chance", "chance", "without null", "null", "without models", "models",
    "without tasks", "tasks", "without", "paper",
)  # fmt: skip
# What the intervals of a question range over.
_QUESTIONS: Mapping[str, str] = {
    "records": "records: had other test records been drawn",
    "tasks": "tasks: had other tasks of each category been chosen",
    "shots": "shots: had other few-shot rows been drawn",
}


def headline(scores: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows that the table and the figure show.

    These are the heads of GENEB's protocol; where a run has none, those of the table's first
    probe and solver of the strength closest to the protocol's 1, on each model's first hidden
    state and pooling.
    """
    rows = protocol_rows(scores)
    if not rows.empty or scores.empty:
        return rows
    of_preset = preset_rows(scores)
    scores = scores if of_preset.empty else of_preset
    where = ["model", "tap", "pooling"]
    scores = scores.merge(scores.drop_duplicates("model")[where], on=where)
    columns = ["probe", "solver", "standardised", "selection"]
    first = scores[(scores[columns] == scores[columns].iloc[0]).all(axis=1)]
    if first["selection"].iloc[0] != "none":
        return first
    columns = ["class_weight", "C"]
    closest = int(np.abs(np.log(first["C"])).argmin())
    return first[(first[columns] == first[columns].iloc[closest]).all(axis=1)]


def print_table(scores: pd.DataFrame, console: Console) -> None:
    """Prints macro and micro MCC per model and regime, and MCC on custom tasks, the best first."""
    rows = headline(scores)
    averages = macro_micro(rows)
    regimes = list(dict.fromkeys(averages["regime"]))
    if regimes:
        console.print(_averages_table(rows, averages, regimes))
    custom = rows[rows["category"] == CUSTOM]
    if not custom.empty:
        console.print(f"custom tasks, in no average: {_title(custom)}", highlight=False)
        console.print(_custom_table(custom))
    if others := _others(scores, rows):
        console.print(
            f"not in this table, but in scores.csv: {'; '.join(others)}",
            highlight=False,
            soft_wrap=True,
        )


def print_statistics(statistics: pd.DataFrame, console: Console) -> None:
    """Prints how many of the paper's numbers these scores give, and those that differ."""
    known = statistics[statistics["ours"].notna()]
    if known.empty:
        console.print(
            "no number of the paper's is compared: that takes its models on all 100 tasks"
        )
        return
    off = known[known["note"] != ""]
    console.print(
        f"{len(known) - len(off)} of {len(known)} statistics agree with the paper's as it prints "
        "them; all are in tables/paper_statistics"
    )
    if off.empty:
        return
    table = Table(box=None)
    table.add_column("statistic", overflow="fold", min_width=40)
    for name in ("ours", "paper", "difference"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("note", overflow="fold")
    for row in off.to_dict("records"):
        unit = statement_unit(row["statistic"])
        numbers = [number_text(row[name], unit) for name in ("ours", "paper", "difference")]
        table.add_row(row["statistic"], *numbers, row["note"])
    console.print(table)


def print_intervals(intervals: pd.DataFrame, console: Console) -> None:
    """Prints scores and how sure they and ranks are; nothing where no question was asked.

    Other records and tasks are shown of the first of the benchmark's regimes that is there, other
    shots of all; the table itself has all of them.

    Args:
        intervals: Table `intervals_macro` or, of custom tasks one by one, `intervals_custom` (see
            `intervals.interval_tables`), or an empty one.
        console: Takes the table.
    """
    if intervals.empty:
        return
    by_task = "task" in intervals
    named, score = (["task", "model"], "MCC") if by_task else (["model"], "macro")
    keys = ["question", "regime", *named]
    found = {
        tuple(row[name] for name in keys): _interval_cells(row, score)
        for row in intervals.to_dict("records")
    }
    regimes = list(dict.fromkeys([*GENEB.regimes, *intervals["regime"]]))
    asked = set(zip(intervals["question"], intervals["regime"], strict=True))
    leading = next(regime for regime in regimes if regime in set(intervals["regime"]))
    columns = [("records", leading), ("tasks", leading), *(("shots", name) for name in regimes)]
    columns = [column for column in columns if column in asked]
    rows = intervals[intervals["regime"] == leading].drop_duplicates(named)
    rows = rows.sort_values(score, ascending=False, kind="stable")
    rows = rows.sort_values(named[:-1], kind="stable") if by_task else rows
    every = pd.concat([rows, intervals])[named].drop_duplicates().itertuples(index=False)
    shown = [tuple(map(str, names)) for names in every]

    def table_of(columns: Sequence[tuple[str, str]]) -> Table:
        questions = ", ".join(dict.fromkeys(question for question, _ in columns))
        table = Table(
            box=None,
            title=f"how sure is {'MCC on custom tasks' if by_task else 'macro MCC'}? "
            f"95 % intervals over other {questions}",
        )
        for name in named:
            table.add_column(name, overflow="fold", min_width=16)
        for question, regime in columns:
            table.add_column(f"{regime}\n{score}", justify="right", no_wrap=True)
            table.add_column(f"\n{question}", justify="right", no_wrap=True)
            table.add_column("\nrank", justify="right", no_wrap=True)
            table.add_column("\ngroup", no_wrap=True)
        for names in shown:
            cells = (found.get((*column, *names), ("",) * 4) for column in columns)
            table.add_row(*names, *itertools.chain.from_iterable(cells))
        return table

    whole = table_of(columns)
    unlimited = console.options.update(max_width=10 * console.width)
    wide = Measurement.get(console, unlimited, whole).minimum > console.width
    for table in [table_of([column]) for column in columns] if wide else [whole]:
        console.print(table)
    asked_of = dict.fromkeys(question for question, _ in columns)
    if by_task:
        of_which = "each task by itself; rank: of the models that have it"
    else:
        counts = intervals.set_index(["question", "regime"])["tasks"]
        numbers = sorted({int(count) for column in columns for count in counts.loc[[column]]})
        these = " or ".join(map(str, numbers)) + (" task" if numbers == [1] else " tasks")
        of_which = (
            f"of the {these} that all of these models have; rank: of the models in this table"
        )
    groups = [cells[-1] for key, cells in found.items() if key[:2] in columns]
    of_runs = "; a-d is a, b, c and d" if any("-" in group for group in groups) else ""
    console.print(
        "; ".join(_QUESTIONS[question] for question in asked_of)
        + f"; {of_which}; group: two models share a letter where they cannot be told apart "
        "(corrected for all pairs that are compared, after Holm), and none where they can"
        + of_runs,
        highlight=False,
    )
    if note := one_class_words(intervals[intervals["regime"] == leading]):
        console.print(note, highlight=False)


def print_order_without_leaky(tables: Mapping[str, pd.DataFrame], console: Console) -> None:
    """Prints in a line which orders do not hold without leaky tasks; nothing where all do.

    Args:
        tables: See `verdicts.order_words`.
        console: Takes the line.
    """
    if words := order_words(tables):
        console.print(words, highlight=False, markup=False)


def print_claims(claims: pd.DataFrame, console: Console) -> None:
    """Prints the paper's statements with their intervals and what they come to.

    Args:
        claims: See `claims.claims_table`; an empty one prints nothing.
        console: Takes the table.
    """
    if claims.empty:
        return
    rows = [_claim_cells(row) for row in claims.to_dict("records")]
    names, audited = list(rows[0]), audited_words(claims)
    without = (
        "without: the same without leaky tasks, with a word of its own; "
        if "without leaky" in claims
        else ""
    )

    def table_of(names: Sequence[str]) -> Table:
        left_out = ", ".join(name for name in rows[0] if name not in names)
        alone = f"; in tables/claims alone, as they are too wide: {left_out}" if left_out else ""
        table = Table(
            box=None,
            title="the paper's statements: 95 % intervals over other tasks and other models",
            caption="paper: as printed; ours: computed from these scores; stands: both intervals "
            "lie beyond null, a value that would refute it, and ours beyond what chance reaches "
            "(chance: what it exceeds one time in twenty); gone: the number lies on the other "
            "side of null; weak: in between; estimate: there is no such value; a pair of models is "
            "one comparison here, which tables/pairs corrects for all pairs; "
            f"{without}{audited}{alone}",
        )
        for name in names:
            numbers = name != "statement" and not name.endswith("holds")
            head = name.removeprefix("without ") if numbers else name
            table.add_column(
                head,
                justify="right" if numbers else "left",
                overflow="fold",
                no_wrap=name != "statement",
                min_width=_STATEMENT if name == "statement" else len(head),
            )
        for row in rows:
            table.add_row(*(row[name] for name in names))
        return table

    unlimited = console.options.update(max_width=10 * console.width)
    for name in ("", *_DISPENSABLE):
        names = [each for each in names if each != name]
        if Measurement.get(console, unlimited, table_of(names)).minimum <= console.width:
            break
    table = table_of(names)
    console.print(table)
    for name, meaning in words_in(claims["statement"]).items():
        console.print(f"{name}: {meaning}", highlight=False)


def _claim_cells(row: Mapping[Any, Any]) -> dict[str, str]:
    """Returns a statement as texts, by what `print_claims` shows of it."""
    unit = statement_unit(row["statement"])

    def cells(of: str, shown: str) -> dict[str, str]:
        null = row[f"{of}null"]
        ends = {
            name: (row[f"{of}{start}low"], row[f"{of}{start}high"])
            for name, start in (("tasks", ""), ("models", "models "))
        }
        return {
            **{f"{shown}{name}": interval_text(*each, unit, "..") for name, each in ends.items()},
            f"{shown}null": number_text(null, unit if null else "count"),
            f"{shown}chance": number_text(row[f"{of}by chance"], unit),
            f"{shown}holds": row[f"{of}word"],
        }

    without = {}
    if "without leaky" in row:
        number = number_text(row["without leaky"], unit)
        without = {"without": number, **cells("without leaky ", "without ")}
    return {
        "statement": row["statement"],
        "paper": number_text(row["paper"], unit),
        "ours": number_text(row["ours"], unit),
        **cells("", ""),
        **without,
    }


def print_choices(tables: Mapping[str, pd.DataFrame], console: Console) -> None:
    """Prints how much choices move the leaderboard, and which layers were chosen.

    Args:
        tables: See `choices.choices_tables`.
        console: Takes them.
    """
    moves = Table(box=None, title="how much does it move, and who changes rank? (macro MCC)")
    moves.add_column("choice", overflow="fold", min_width=30)
    columns = ("models", "mean change", "mean |change|", "rank correlation", "change rank")
    for name in ("regime", *columns):
        moves.add_column(name, justify="right")
    moves.add_column("who, the furthest first", overflow="ellipsis", no_wrap=True, max_width=60)
    for row in tables["choices"].to_dict("records"):
        cells = [_known(row[name]) for name in columns]
        moves.add_row(row["choice"], row["regime"], *cells, row["who"])
    console.print(moves)
    if "choices_layers" not in tables:
        return
    layers = Table(box=None, title="layer and pooling, full shot (macro MCC on test)")
    columns = [str(name) for name in tables["choices_layers"] if "train MCC" not in str(name)]
    for name in columns:
        layers.add_column(name, justify="left" if name == "model" else "right")
    for row in tables["choices_layers"].to_dict("records"):
        values = [row[name] for name in columns]
        layers.add_row(*(each if isinstance(each, str) else _known(each) for each in values))
    console.print(layers)


def _known(value: float) -> str:
    return "" if np.isnan(value) else _short(value)


def _interval_cells(row: Mapping[Any, Any], score: str) -> tuple[str, str, str, str]:
    ends = f"{row['low']:z.3f}..{row['high']:z.3f}"
    place = f"{row['rank low']:.0f}-{row['rank high']:.0f}"
    return f"{row[score]:z.3f}", ends, place, group_text(row["group"])


def _short(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else f"{value:z.3f}"


def print_layers(scores: pd.DataFrame, console: Console) -> None:
    """Prints the best hidden state of each model and pooling; nothing of a run with one alone."""
    scored = layer_scores(scores)
    if scored.empty:
        return
    regimes = [column for column in scored if column not in ("model", "pooling", "tap", "tasks")]
    table = Table(
        title="best hidden state",
        caption="mean MCC over tasks; hidden state 0: embedding, i: block i, -1: final",
    )
    table.add_column("model", overflow="fold", min_width=20)
    table.add_column("pooling")
    for regime in regimes:
        table.add_column(f"{regime}\nstate", justify="right", no_wrap=True)
        table.add_column("\nMCC", justify="right", no_wrap=True)
        table.add_column("\nfinal", justify="right", no_wrap=True)
    groups: Any = scored.groupby(["model", "pooling"], sort=False)
    for (model, pooling), rows in groups:
        cells = []
        for regime in regimes:
            mcc = dict(zip(rows["tap"], rows[regime], strict=True))
            best = max(mcc, key=lambda tap: mcc[tap])
            cells += [best, f"{mcc[best]:.3f}", f"{mcc['-1']:.3f}" if "-1" in mcc else ""]
        table.add_row(str(model), str(pooling), *cells)
    console.print(table)


def unfinished_fits(scores: pd.DataFrame) -> dict[str, int]:
    """Counts by model the fits that ended before a tolerance was met.

    A fit of all rows that stands for several seeds counts once.
    """
    same = ["model", "tap", "pooling", "task", "regime", "probe", "solver", "C", "class_weight"]
    ended = scores[~scores["converged"].astype(bool)]
    models = ended.drop_duplicates([*same, "objective"])["model"]
    return {str(model): int(count) for model, count in models.value_counts(sort=False).items()}


def print_unfinished_fits(scores: pd.DataFrame, console: Console) -> None:
    """Prints how many fits of each model met no tolerance; nothing where all did."""
    counts = unfinished_fits(scores)
    if counts:
        each = ", ".join(f"{count} of {model}" for model, count in counts.items())
        console.print(
            f"fits that stopped at the limit of iterations, before a tolerance was met: {each}; "
            "solver converged fits to the end"
        )


def print_speeds(speeds: Mapping[str, Mapping[str, Any]], console: Console) -> None:
    """Prints how fast each model embedded; nothing for those that embedded no record."""
    if not speeds:
        return
    table = Table(
        title="embedding",
        caption="rates without compilation; FLOP/s of matrix products and convolutions, padding "
        "included, and their share of the rate of a large product; memory: the device's peak since "
        "the start, on a device that does not tell that of the largest program",
    )
    table.add_column("model", overflow="fold", min_width=20)
    for name in ("records/s", "tokens/s", "padding", "TFLOP/s", "share", "compile", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    for model, speed in speeds.items():
        share = speed.get("share_of_matmul_rate")
        memory = speed["peak_bytes"] or speed["program_bytes"]
        table.add_row(
            model,
            f"{speed['records_per_second']:,.0f}",
            f"{speed['tokens_per_second']:,.0f}",
            f"{speed['padding_share']:.0%}",
            f"{speed['flop_per_second'] / 1e12:.3f}",
            "not known" if share is None else f"{share:.0%}",
            f"{speed['compile_seconds']:.0f} s",
            "not known" if memory is None else shown_size(memory),
        )
    console.print(table)


def print_failures(failures: Sequence[Failure], console: Console) -> None:
    """Prints what could not be computed, where and why; nothing where all was."""
    if not failures:
        return
    table = Table(
        title="failed",
        caption="the same command tries these again, and computes nothing else again; "
        "log.txt in the workdir has the details",
    )
    table.add_column("model", overflow="fold")
    table.add_column("task", overflow="fold")
    table.add_column("stage", no_wrap=True)
    table.add_column("reason", overflow="fold", ratio=1)
    for failure in failures[:_MOST_FAILURES]:
        table.add_row(failure.model or "all", failure.task or "all", *failure[2:])
    if (more := len(failures) - _MOST_FAILURES) > 0:
        table.add_row(f"and {more} more", "", "", "in run.json")
    console.print(table)


def print_problems(processes: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Prints what processes other than the first could not do, which the others then did.

    Args:
        processes: As run.json has them; see `meeting.First.others`.
        console: Takes the table; nothing where all did their share.
    """
    found = [
        (each["name"], what)
        for each in processes
        for what in [*each["problems"], *filter(None, [each["lost"].removeprefix(each["name"])])]
    ]
    if not found:
        return
    table = Table(
        title="not done by other processes",
        caption="the others did it instead, so that no result is missing",
    )
    table.add_column("process", overflow="fold")
    table.add_column("reason", overflow="fold", ratio=1)
    for name, what in found[:_MOST_FAILURES]:
        table.add_row(name, what.strip(" :"))
    if (more := len(found) - _MOST_FAILURES) > 0:
        table.add_row(f"and {more} more", "in run.json")
    console.print(table)


def _averages_table(rows: pd.DataFrame, averages: pd.DataFrame, regimes: list[str]) -> Table:
    wide = averages.pivot(index="model", columns="regime")
    # Averages of fewer tasks are no competitors: they stand below those of more.
    fewest = averages.groupby("model")["tasks"].min().reindex(wide.index)
    order = pd.DataFrame({"tasks": fewest, "macro": wide["macro", regimes[0]]})
    wide = wide.loc[order.sort_values(["tasks", "macro"], ascending=False).index]
    table = Table(
        title=_title(rows),
        caption="macro: mean of the category means; micro: mean over tasks" + data_note(rows),
    )
    table.add_column("model", overflow="fold", min_width=20)
    for regime in regimes:
        table.add_column(f"{regime}\nmacro", justify="right", no_wrap=True)
        table.add_column("\nmicro", justify="right", no_wrap=True)
    table.add_column("tasks", justify="right", no_wrap=True)
    for model, row in wide.iterrows():
        cells = [f"{row[what, regime]:.3f}" for regime in regimes for what in ("macro", "micro")]
        table.add_row(str(model), *cells, f"{row['tasks'].min():.0f}")
    return table


def _others(scores: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """Returns which heads stand in scores and not in `headline` rows, as in 'C=0.1, 10'."""
    if rows.empty:
        return []
    alike = scores[scores["probe"].isin(rows["probe"])]
    return [
        f"{column}={', '.join(format(value, form) for value in sorted(absent))}"
        for column, among, form in (
            ("probe", scores, ""),
            ("class_weight", alike, ""),
            ("C", alike, "g"),
        )
        if (absent := set(among[column]) - set(rows[column]))
    ]


def _custom_table(rows: pd.DataFrame) -> Table:
    """Returns the table of tasks that are not the benchmark's: a row a task and model."""
    wide = task_means(rows).pivot(index=["task", "model"], columns="regime", values="MCC")
    regimes = list(dict.fromkeys(rows["regime"]))
    wide = wide.sort_values(["task", regimes[0]], ascending=[True, False], kind="stable")
    table = Table()
    table.add_column("task", overflow="fold")
    table.add_column("model", overflow="fold")
    for regime in regimes:
        table.add_column(regime, justify="right", no_wrap=True)
    for (task, model), row in zip(wide.index.tolist(), wide[regimes].to_numpy(), strict=True):
        table.add_row(task, model, *("" if np.isnan(each) else f"{each:.3f}" for each in row))
    return table


def _title(rows: pd.DataFrame) -> str:
    """Says what the numbers of a table of `headline` rows are."""
    head = rows.iloc[0]
    chosen = f"C={head['C']:g}" if head["selection"] == "none" else f"C by {head['selection']}"
    return f"MCC, mean over seeds ({head['probe']}, solver {head['solver']}, {chosen})"


def data_note(scores: pd.DataFrame) -> str:
    """Returns what is to be said of the data behind scores, with its separator; '' of real ones."""
    return "; synthetic tasks" if scores["task"].str.startswith(SYNTHETIC_PREFIX).any() else ""
