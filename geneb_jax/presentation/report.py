"""The report: one HTML file, opened without a network, of a run's scores beside the published ones.

The page is `data/report/page.html.j2` with the styles and scripts beside it; `report_data` is what
the scripts read.
"""

import math
import urllib.parse
from collections.abc import Mapping, Sequence
from importlib import metadata, resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypedDict

import jinja2
import markupsafe
import pandas as pd
from scipy import special

from geneb_jax.benchmark import CUSTOM, GENEB
from geneb_jax.config import PaperVersion
from geneb_jax.files.atomic import write_whole
from geneb_jax.files.counts import counted
from geneb_jax.presentation.analysis import regimes_of
from geneb_jax.presentation.glossary import GLOSSARY, words_by_part
from geneb_jax.presentation.guide import what_it_is
from geneb_jax.presentation.published import model_labels, paper_names
from geneb_jax.presentation.report_sections import (
    audit_sections,
    figure_rows,
    plain,
    provenance_sections,
    statement_sections,
    unseen_rows,
)
from geneb_jax.presentation.results import ENOUGH, namesake, run_names, with_cards
from geneb_jax.scoring.scores import METRIC_COLUMNS, protocol_rows
from geneb_jax.tasks.sizes import published_sizes
from model_ports.catalog import Entry, entries, known

# In the order in which a script needs what the others before it define.
_SCRIPTS = (
    "values", "state", "scores", "elements", "charts", "downloads",
    "leaderboard", "compare", "model", "task", "cite", "page",
)  # fmt: skip
_STYLES = ("page", "print")
# The name of each view, and what is found there.
_VIEWS: Mapping[str, tuple[str, str]] = {
    "board": ("Leaderboard", "Every model with its average score, its rank and its labels."),
    "compare": ("Compare", "Two or more models beside each other, by category and by task."),
    "tasks": ("Tasks", "Every task, with the scores of the published models and of the others."),
    "figures": (
        "Figures",
        "The figures for papers, of MCC in full where nothing else is said; they do not follow the "
        "choices above.",
    ),
    "statistics": (
        "The paper's statements",
        "Which of the paper's statements hold, and its numbers beside the ones of these scores.",
    ),
    "audit": (
        "What scores hide",
        "What of the scores comes from the data rather than from the models: copies, shortcuts, "
        "floors, and how sure the order is.",
    ),
    "limits": (
        "Limits",
        "What failed, which records a model does not see in full, and fits that did not end.",
    ),
    "provenance": ("Provenance", "What the run was of: run.json, part by part."),
    "cite": ("Cite", "How the numbers of this view were made, to be quoted, and a link to it."),
    "words": ("Words", "Every word of this page in a sentence or two."),
    "everything": ("Everything", "All views below each other, for printing."),
}
_DECIMALS = 6  # of scores and differences, as in the published scores
_SYNTHETIC = (
    "The tasks of this run are generated: they show that the program works, and nothing of biology."
)

_BIBTEX = """\
@inproceedings{{geneb2026,
  title = {{{{GENEB}}: Why Genomic Models Are Hard to Compare}},
  author = {{Ledneva, Daria and Nuridinov, Mikhail and Kuznetsov, Denis}},
  booktitle = {{International Conference on Machine Learning}},
  year = {{2026}},
  eprint = {{2606.04525}},
  archivePrefix = {{arXiv}}
}}

@software{{geneb_jax,
  title = {{geneb\\_jax: the GENEB evaluation of genomic foundation models in JAX}},
  version = {{{version}}},
  year = {{2026}}
}}
"""


class Sureness(TypedDict):
    """How sure a model's macro MCC in a regime is, among models that are compared on their tasks.

    Attributes:
        interval: The 95 % interval of macro MCC, had other tasks been chosen; lower end first.
        ranks: The 95 % interval of the rank by that score among `models`, the best rank first.
        group: Letters of the groups of models that cannot be told apart, as `numbers.group_text`
            writes them; models that share a letter are in one.
        tasks: How many tasks the score is over: all that every compared model has.
        models: How many models are compared.
    """

    interval: Sequence[float]
    ranks: Sequence[int]
    group: str
    tasks: int
    models: int


class ModelExtras(TypedDict, total=False):
    """What else is known of a model; each part is shown where it is there.

    Attributes:
        sure: By regime, how sure its macro MCC is.
    """

    sure: Mapping[str, Sureness]


class TaskExtras(TypedDict, total=False):
    """What an audit found of a task; each part is shown where it is there.

    Attributes:
        verdict: One word, such as 'leaky', 'caution' or 'passed'.
        reasons: Why, a sentence each.
        audited_files: What files were audited, where these may be others than those of the scores.
        copies: Test records that are copies of train records, a count.
        twins: Test records, no copies, with the length and dinucleotide counts of a train record.
        near_50: Test records, no copies, of whose 11-mers one train record holds half.
    """

    verdict: str
    reasons: Sequence[str]
    audited_files: str
    copies: int
    twins: int
    near_50: int


def write_report(
    path: Path,
    results: pd.DataFrame,
    run_models: Sequence[str] = (),
    *,
    version: PaperVersion = "v1",
    scores: pd.DataFrame | None = None,
    statistics: pd.DataFrame | None = None,
    claims: pd.DataFrame | None = None,
    leaky: pd.DataFrame | None = None,
    figures: Path | None = None,
    unfinished: Mapping[str, int] = MappingProxyType({}),
    provenance: Mapping[str, Any] | None = None,
    of_models: Mapping[str, ModelExtras] = MappingProxyType({}),
    of_tasks: Mapping[str, TaskExtras] = MappingProxyType({}),
    pairs: pd.DataFrame | None = None,
    alone: Mapping[str, pd.DataFrame] = MappingProxyType({}),
    called: str | None = None,
    audit: Mapping[str, pd.DataFrame] = MappingProxyType({}),
) -> None:
    """Writes the report.

    Args:
        path: The HTML file.
        results: Results table of everything that is shown.
        run_models: Models of `results` that are not the published ones.
        version: Whose labels to use.
        scores: The run's scores table, for the spread over seeds; None: it is not shown.
        statistics: Table of the paper's statistics; None: it is left out.
        claims: Table of the paper's statements (see `claims.claims_table`); None: it is left out.
        leaky: The tasks without which statements are computed, too (see `verdicts.leaky_table`);
            None: there are none.
        figures: Folder of the figures' .svg files; None: that part is left out.
        unfinished: How many fits of each model met no tolerance (see `summary.unfinished_fits`).
        provenance: Content of run.json; None: the report is of published scores alone.
        of_models: What else is known of models, by name in `results`.
        of_tasks: What an audit found, by task id.
        pairs: The table `pairs` (see `intervals.interval_tables`); None: it was not made.
        alone: Tables by name, of which intervals and pairs of single tasks are shown
            (`intervals_tasks`, `pairs_tasks`, `intervals_custom`, `pairs_custom`).
        called: What scores are called that are not published and of which there is no run.json,
            such as the name of their file; None: they are of submissions.
        audit: Tables of the audit by name; those that `report_sections.AUDIT` names are shown.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("geneb_jax", "data/report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    provenance = provenance or {}
    parts = {
        "statistics": statement_sections(statistics, claims, leaky),
        "figures": figure_rows(figures) if figures is not None else [],
        "audit": audit_sections(audit),
        "failures": provenance.get("failures", []),
        "unseen": unseen_rows(provenance.get("unseen", {})),
        "unfinished": dict(unfinished),
        "provenance": provenance_sections(provenance),
    }
    limits = parts["failures"] or parts["unseen"] or parts["unfinished"]
    absent = {name for name in ("statistics", "figures", "audit", "provenance") if not parts[name]}
    absent |= set() if limits else {"limits"}
    data = report_data(
        results,
        run_models,
        version,
        scores=scores,
        provenance=provenance,
        of_models=of_models,
        of_tasks=of_tasks,
        pairs=pairs,
        alone=alone,
        called=called,
    )
    data["tables"] = _saved_tables(parts)
    text = environment.get_template("page.html.j2").render(
        **parts,
        data=data,
        verdicts=bool(of_tasks),
        views={view: each for view, each in _VIEWS.items() if view not in absent},
        notes=[*_notes(provenance), *_limit_note(provenance)] if run_models else [],
        contents=_contents(results, run_models, data),
        glossary=words_by_part(),
        version=metadata.version("geneb-jax"),
        style=markupsafe.Markup("\n".join(_part(f"{name}.css") for name in _STYLES)),
        script=markupsafe.Markup("\n".join(_part(f"{name}.js") for name in _SCRIPTS)),
    )
    write_whole(path, text.encode())


def _saved_tables(parts: Mapping[str, Any]) -> dict[str, dict[str, list[Any]]]:
    """Returns the tables that the template writes, with the numbers as they are, to be saved.

    Args:
        parts: What the template is given, by section.

    Returns:
        By the table's name its columns and rows, JSON-serialisable; missing values are None.
    """
    tables = {each["name"]: each["table"] for each in (*parts["statistics"], *parts["audit"])}
    tables |= {name: pd.DataFrame(parts[name]) for name in ("failures", "unseen")}
    tables["unfinished"] = pd.DataFrame(parts["unfinished"].items(), columns=["model", "fits"])
    for name, rows in parts["provenance"]:
        tables[f"run_{name}"] = pd.DataFrame(rows, columns=["name", "value"])
    return {
        name: {
            "columns": list(map(str, table.columns)),
            "rows": table.astype(object).where(table.notna(), None).to_numpy().tolist(),
        }
        for name, table in tables.items()
        if len(table)
    }


def report_data(
    results: pd.DataFrame,
    run_models: Sequence[str] = (),
    version: PaperVersion = "v1",
    *,
    scores: pd.DataFrame | None = None,
    provenance: Mapping[str, Any] = MappingProxyType({}),
    of_models: Mapping[str, ModelExtras] = MappingProxyType({}),
    of_tasks: Mapping[str, TaskExtras] = MappingProxyType({}),
    pairs: pd.DataFrame | None = None,
    alone: Mapping[str, pd.DataFrame] = MappingProxyType({}),
    called: str | None = None,
) -> dict[str, Any]:
    """Returns what the page's scripts read, JSON-serialisable.

    Args:
        results: Results table.
        run_models: Models that are not the published ones.
        version: Whose labels to use.
        scores: The run's scores table; None: nothing is known of single seeds.
        provenance: Content of run.json.
        of_models: What else is known of models, by name in `results`.
        of_tasks: What an audit found, by task id.
        pairs: The table `pairs`; None: it was not made.
        alone: Tables by name, of which intervals and pairs of single tasks are read.
        called: What scores are called that are not published and of which there is no run.json;
            None: they are of submissions.

    Returns:
        version, of geneb_jax; here, what scores that are not the paper's are of; user_files,
        whether tasks were read from files of the user; regimes, metrics and categories (names);
        tasks and models (lists of objects); scores: by regime and metric a matrix [models, tasks]
        with null where there is no score, and for a row without any; seeds: by regime and index of
        a run's model the MCC [seeds, tasks], where seeds differ; t95: the 97.5 % points of
        Student's t with 1, 2, ... degrees of freedom; pairs: by regime the differences of two
        models' macro MCC (see `_pairs`); enough: of the most tasks that a model of the run has, the
        share that a compared one has at least; failures: whether run.json names any; failed: the
        run's models without any score; alone: the same as pairs of MCC on single tasks, and how
        sure that is (see `_alone`); method and bibtex: what is quoted; words: the meaning of
        what stands above columns and beside choices.
    """
    models = [str(model) for model in dict.fromkeys(results["model"])]
    order = {task.id: i for i, task in enumerate(GENEB.tasks)}
    found = results.drop_duplicates("task").set_index("task")["category"]
    tasks = sorted(found.index, key=lambda task: (order.get(task, len(order)), task))
    regimes = regimes_of(results)
    metrics = [name for name in METRIC_COLUMNS if results[name].notna().any()]
    labels = with_cards(models, model_labels(version), provenance.get("cards", {}))
    labels = labels.astype(object).where(labels.notna(), None).to_dict("index")
    by_name = {entry.paper_name: entry for entry in entries().values()}
    in_run = run_names(run_models)
    here = "this run" if provenance else called or "the submissions"
    return {
        "version": metadata.version("geneb-jax"),
        "here": here,
        "user_files": bool(provenance.get("config", {}).get("tasks_dir")),
        "regimes": regimes,
        "metrics": metrics,
        "categories": [name for name in (*GENEB.categories, CUSTOM) if name in set(found)],
        "tasks": [
            {
                **_task(task, found[task], provenance.get("tasks", {}).get(task, {})),
                **of_tasks.get(task, {}),
            }
            for task in tasks
        ],
        "models": [
            {
                "name": model,
                "run": model in run_models,
                **_of_run(in_run.get(model, ""), provenance.get("models", {})),
                **_entry(by_name.get(namesake(model)) or known(in_run.get(model, ""))),
                **labels.get(model, dict.fromkeys(_LABELS)),
                **of_models.get(model, {}),
            }
            for model in models
        ],
        "scores": {
            regime: {
                metric: _matrix(results[results["regime"] == regime], metric, models, tasks)
                for metric in metrics
            }
            for regime in regimes
        },
        "seeds": _seeds(scores, in_run, models, tasks) if scores is not None else {},
        "t95": [round(float(special.stdtrit(n, 0.975)), 5) for n in range(1, len(tasks) + 1)],
        "pairs": _pairs(pairs, models) if pairs is not None else {},
        "enough": ENOUGH,
        "failures": bool(provenance.get("failures")),
        "failed": _failed(provenance, run_models),
        "alone": _alone(alone, models),
        "words": {name: word.meaning for name, word in GLOSSARY.items()},
        "method": _method(provenance, here),
        "bibtex": _BIBTEX.format(version=metadata.version("geneb-jax")),
    }


_NAMED = 3  # tasks in a sentence
_UNSAID = ("model", "known_defects")  # they stand elsewhere on a model's page
# What the page calls fields of run.json whose names say little.
_FACTS = {
    "numerics": "version of the code's numerics",
    "tap": "hidden state (-1: the final one)",
    "described": "found out of the checkpoint's files",
}
_LABELS = ("params", "architecture", "tokenization", "pretraining")


def _task(task: str, category: str, of_run: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a task; sizes as published, and as the run read them."""
    info = next((each for each in GENEB.tasks if each.id == task), None)
    sizes = {each.task: each for each in published_sizes()}.get(info.label) if info else None
    where = f"tree/{GENEB.dataset_revision}/tasks/{urllib.parse.quote(task)}"
    rows = {split: of_run.get(split, {}).get("rows") for split in ("train", "test")}
    return {
        "id": task,
        "label": info.label if info else task,
        "category": category,
        "suite": info.suite if info else None,
        "url": f"https://huggingface.co/datasets/{GENEB.dataset_repo}/{where}" if info else None,
        "train": sizes.train if sizes else None,
        "test": sizes.test if sizes else None,
        "classes": sizes.classes if sizes else None,
        "run_train": rows["train"],
        "run_test": rows["test"],
    }


def _entry(entry: Entry | None) -> dict[str, Any]:
    """What the catalog says of a model; nothing of models that it lacks."""
    if entry is None:
        names = ("licence", "code_licence", "width", "url", "repo", "revision")
        return dict.fromkeys(names)
    return {
        "licence": entry.licence_shown,
        "code_licence": entry.licence["code"],
        "width": entry.width,
        **{name: entry.source.get(name) for name in ("url", "repo", "revision")},
        # Of other models run.json says them.
        "defects": list(entry.known_defects) if entry.id in entries() else [],
    }


def _of_run(model: str, models: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What a model of a run is, and what run.json says of it, its known defects apart."""
    of_run = models.get(model, {})
    facts = [("what it is", what_it_is(model))]
    facts += [
        (f"run: {_FACTS.get(name, name)}", plain(value))
        for name, value in of_run.items()
        if name not in _UNSAID and value is not None
    ]
    return {"facts": facts, "run_defects": of_run.get("known_defects", []), "defects": []}


def _matrix(
    rows: pd.DataFrame, metric: str, models: Sequence[str], tasks: Sequence[str]
) -> list[list[float | None] | None]:
    table = rows.pivot(index="model", columns="task", values=metric)
    numbers = _numbers(table.reindex(index=list(models), columns=list(tasks)), _DECIMALS)
    return [row if any(value is not None for value in row) else None for row in numbers]


def _numbers(table: pd.DataFrame, decimals: int) -> list[list[float | None]]:
    return [
        [None if math.isnan(value) else round(value, decimals) for value in row]
        for row in table.to_numpy(float).tolist()
    ]


def _seeds(
    scores: pd.DataFrame, in_run: Mapping[str, str], models: Sequence[str], tasks: Sequence[str]
) -> dict[str, dict[str, list[list[float | None]]]]:
    """MCC of single seeds where these differ: in full shot, all seeds are one fit."""
    rows = protocol_rows(scores)
    found: dict[str, dict[str, list[list[float | None]]]] = {}
    for name, model in in_run.items():
        for regime, group in rows[rows["model"] == model].groupby("regime"):
            table = group.pivot(index="seed", columns="task", values="MCC")
            if (table.nunique() > 1).any():
                values = _numbers(table.reindex(columns=list(tasks)), _DECIMALS)
                found.setdefault(str(regime), {})[str(models.index(name))] = values
    return found


def _pairs(table: pd.DataFrame, models: Sequence[str]) -> dict[str, list[list[Any]]]:
    """Returns the table `pairs` by regime, a list a row.

    Args:
        table: The table.
        models: The page's models, by whose numbers A and B go.

    Returns:
        Of each row the question, A, B, A - B, the ends of its 95 % interval, whether the two are
        told apart, and how many tasks it is over: one where the table does not say.
    """
    number = {model: i for i, model in enumerate(models)}
    found: dict[str, list[list[Any]]] = {}
    for row in table.to_dict("records"):
        ends = [round(float(row[name]), _DECIMALS) for name in ("A - B", "low", "high")]
        pair = [number[row["A"]], number[row["B"]]]
        found.setdefault(row["regime"], []).append(
            [row["question"], *pair, *ends, bool(row["told apart"]), int(row.get("tasks", 1))]
        )
    return found


def _alone(
    tables: Mapping[str, pd.DataFrame], models: Sequence[str]
) -> dict[str, dict[str, dict[str, list[list[Any]]]]]:
    """Returns what is known of single tasks beside their scores.

    Args:
        tables: Tables by name, with intervals and pairs of single tasks where they were made.
        models: The page's models, by whose numbers models go.

    Returns:
        By task `pairs` (see `_pairs`) and `intervals`, by regime a list of question, model, the
        ends of the 95 % interval of MCC and of the rank, and the letters of its groups.
    """
    number = {model: i for i, model in enumerate(models)}
    found: dict[str, dict[str, dict[str, list[list[Any]]]]] = {}
    intervals, pairs = (
        [tables[name] for name in names if name in tables]
        for names in (("intervals_tasks", "intervals_custom"), ("pairs_tasks", "pairs_custom"))
    )
    for row in (row for table in intervals for row in table.to_dict("records")):
        of_task = found.setdefault(row["task"], {"intervals": {}, "pairs": {}})
        ends = [round(float(row[name]), _DECIMALS) for name in ("low", "high")]
        ranks = [int(row["rank low"]), int(row["rank high"])]
        of_task["intervals"].setdefault(row["regime"], []).append(
            [row["question"], number[row["model"]], *ends, *ranks, row["group"]]
        )
    for table in pairs:
        for task, rows in table.groupby("task"):
            found[str(task)]["pairs"] = _pairs(rows, models)
    return found


def _failed(provenance: Mapping[str, Any], run_models: Sequence[str]) -> list[str]:
    """Returns the models that failed and have no score at all, by their names in the paper or run.

    Args:
        provenance: Content of run.json.
        run_models: The run's models that have scores, by their names in the results table.
    """
    names, there = paper_names(), {"", *map(namesake, run_models)}
    failures = [failure["model"] for failure in provenance.get("failures", [])]
    return [name for name in dict.fromkeys(names.get(each) or each for each in failures)
            if name not in there]  # fmt: skip


def _contents(results: pd.DataFrame, run_models: Sequence[str], data: Mapping[str, Any]) -> str:
    """Says how many models and tasks the page is of, those of a run apart from the published.

    Args:
        results: Results table.
        run_models: Models of it that are not the published ones.
        data: See `report_data`; of it here and failed.
    """
    here, failed = data["here"], data["failed"]
    of_run = results["model"].isin(list(run_models))
    published = results["model"][~of_run].nunique()
    tasks = results["task"].nunique()
    if not of_run.any():
        return f"{counted(published, 'published model')}, {counted(tasks, 'task')}"
    beside = f" beside the {published} published" if published else ""
    models, of_them = (results[of_run][name].nunique() for name in ("model", "task"))
    asked = counted(models + len(failed), "model")
    without = f" (all but {', '.join(failed)}, which failed)" if failed else ""
    there = f"{models} of {asked}" if failed else asked
    return f"{there} of {here}{without}{beside}; {counted(of_them, 'task')} of {here}"


def _method(provenance: Mapping[str, Any], here: str) -> dict[str, Any]:
    """How scores were made, in sentences to quote.

    max_train is the run's, 0: all train rows; None: there is no run.json, and it is not known.
    """
    packages = provenance.get("packages", {})
    versions = ", ".join(f"{name} {packages[name]}" for name in ("jax", "flax") if name in packages)
    devices = ", ".join(map(str, provenance.get("devices", [])))
    preset = provenance.get("config", {}).get("preset")
    seeds = ", ".join(map(str, GENEB.seeds))
    computed = (
        f"computed with geneb_jax {metadata.version('geneb-jax')}"
        + (f" ({versions}; {devices}; preset {preset})" if versions else "")
        + "."
        + "".join(f" {note}" for note in _notes(provenance))
    )
    read = f"read from {here}; what else they were computed with is not known."
    return {
        "probe": f"logistic regressions (C = 1, features as they are, seeds {seeds})",
        "paper": "Published scores are those of the submissions in GENEB's repository (commit "
        "095e35fdb411, Apache-2.0).",
        "run": computed if provenance else read,
        "max_train": provenance.get("config", {}).get("max_train", 0) if provenance else None,
    }


def _notes(provenance: Mapping[str, Any]) -> list[str]:
    """Why a run's scores cannot simply be set beside the published ones."""
    config, tasks = provenance.get("config", {}), provenance.get("tasks", {})
    synthetic = any(task.get("synthetic") for task in tasks.values())
    folder = config.get("tasks_dir")
    notes = {_SYNTHETIC: synthetic, _own_files(provenance): folder}
    return [note for note, holds in notes.items() if holds]


def _own_files(provenance: Mapping[str, Any]) -> str:
    """Says how far task files of a user may be those that the published scores are of."""
    # Of limited train rows run.json has no others.
    splits = ("test",) if provenance.get("config", {}).get("max_train") else ("train", "test")
    tasks = [_task(name, "", of_run) for name, of_run in provenance.get("tasks", {}).items()]
    known = [task for task in tasks if all(task[f"run_{split}"] for split in splits)]
    benchmark = [task for task in known if task["test"]]
    other = [
        task["label"]
        for task in benchmark
        if any(task[split] != task[f"run_{split}"] for split in splits)
    ]
    start = "The task files of this run come from a folder of its user"
    if not other:
        return (
            f"{start}: whether they hold the records that the published scores are of is not known."
        )
    named = ", ".join(other[:_NAMED])
    more = f" and {len(other) - _NAMED} more" if len(other) > _NAMED else ""
    return (
        f"{start}: {len(other)} of {counted(len(benchmark), 'task')} of the benchmark have other "
        f"numbers of records than the published scores are of ({named}{more}), so that ranks "
        "beside published models say little there. Whether the others hold the same records is "
        "not known."
    )


def _limit_note(provenance: Mapping[str, Any]) -> list[str]:
    limit = provenance.get("config", {}).get("max_train")
    rows = f"at most {limit} train rows of a task"
    return [f"Probes of this run saw {rows}, the published ones all."] if limit else []


def _part(name: str) -> str:
    return (resources.files("geneb_jax") / "data" / "report" / name).read_text(encoding="utf-8")
