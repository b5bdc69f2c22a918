"""Floors: what reaches a score without pretraining, and how far models are above it.

Floors are no-model rules and shortcuts (see `audit`), k-mers, and of each model its untrained
control: the same architecture and tokenizer with random weights, the mean over its seeds.
"""

import re
from collections.abc import Sequence

import pandas as pd

from geneb_jax.audit import rules
from geneb_jax.audit.findings import TaskAudit
from geneb_jax.audit.shortcuts import UNSEEN
from geneb_jax.benchmark import GENEB
from geneb_jax.presentation.analysis import of_benchmark
from geneb_jax.presentation.published import paper_names
from geneb_jax.scoring.scores import protocol_rows, task_means

RULE, UNTRAINED = "no-model rule", "untrained"
_COMMON = re.compile(r"(kmer-\d+|shortcut-\w+)(:.*)?")
_CONTROL = re.compile(r"(?P<model>.*?):random(?P<tiny>:tiny)?(:\d+)?(?P<view>:both)?")
_KEYS = ["floor", "of", "regime", "category", "task"]


def floor_tables(scores: pd.DataFrame, audits: Sequence[TaskAudit]) -> dict[str, pd.DataFrame]:
    """Makes the tables of floors; none where a run has no floor.

    Args:
        scores: A run's scores table; heads of the protocol count.
        audits: Audits of its tasks. Of their rules that counts which was chosen on train.

    Returns:
        `floors`: MCC of each floor by regime, the highest first, `of` the model that it is a
        control of, macro and by category. `lift` and `lift_tasks`: MCC of each model minus that of
        the best floor of each task, macro (mean of category means), by category, and by task with
        the floor's name. Custom tasks are in `lift_tasks` alone. The best of several floors is
        found on the test records, which makes lift rather too small.
    """
    means = task_means(protocol_rows(scores))
    means = means[["model", *_KEYS[2:], "MCC"]]
    if means.empty:
        return {}
    common = means["model"].map(lambda name: bool(_COMMON.fullmatch(str(name))))
    control = means["model"].map(_controlled)
    of_runs = means[common].rename(columns={"model": "floor"}).assign(of="")
    untrained = means[control != ""].assign(floor=UNTRAINED, of=control[control != ""])
    untrained = untrained.groupby(_KEYS, sort=False)["MCC"].mean().reset_index()
    audited = _of_audits(audits, set(means["task"]), set(of_runs["floor"]))
    floors = pd.concat([audited, of_runs, untrained], ignore_index=True)[[*_KEYS, "MCC"]]
    if floors.empty:
        return {}
    floors["of"] = floors["of"].fillna("")
    models = means[~common & (control == "")]
    lifts = [lift for _, rows in models.groupby("model", sort=False)
             if not (lift := _lift(rows, floors)).empty]  # fmt: skip
    averaged = of_benchmark(floors)
    tables = {} if averaged.empty else {"floors": _by_regime(averaged)}
    if lifts:
        by_task = pd.concat(lifts, ignore_index=True)
        averaged = of_benchmark(by_task)
        tables |= {} if averaged.empty else {"lift": _by_model(averaged)}
        tables["lift_tasks"] = by_task
    for table in tables.values():
        for column in {"model", "of"} & set(table):
            table[column] = table[column].replace(paper_names())
    return tables


def _by_regime(floors: pd.DataFrame) -> pd.DataFrame:
    """Returns the macro score of each floor and its category means, the highest first."""
    wide = _wide(floors, ["regime", "floor", "of"], "MCC", "macro")
    regimes = list(wide["regime"].unique())
    highest = wide.sort_values("macro", ascending=False, kind="stable")
    return highest.sort_values("regime", key=lambda names: names.map(regimes.index),
                               kind="stable", ignore_index=True)  # fmt: skip


def _by_model(lifts: pd.DataFrame) -> pd.DataFrame:
    """Returns the macro score, floor and lift of each model, and its lift by category."""
    lift = _wide(lifts, ["regime", "model"], "lift", "macro lift")
    for at, (column, title) in enumerate((("MCC", "macro"), ("floor_MCC", "macro floor")), 2):
        lift.insert(at, title, _wide(lifts, ["regime", "model"], column, title)[title])
    return lift


def _controlled(name: str) -> str:
    """Returns the model that a name is the untrained control of; '': it is none.

    A tiny one is of another size than any model with weights: it is a floor of none, and no model.
    """
    match = _CONTROL.fullmatch(name)
    return match["model"] + (match["tiny"] or "") + (match["view"] or "") if match else ""


def _of_audits(audits: Sequence[TaskAudit], tasks: set[str], there: set[str]) -> pd.DataFrame:
    """Returns the chosen rule and the shortcuts of each audit, at full shot.

    Shortcuts that the run has scored as models are left out.
    """
    rows = []
    for audit in audits:
        if audit.task not in tasks:
            continue
        keys = {"of": "", "regime": "full", "category": audit.category, "task": audit.task}
        judged = [rule for rule in audit.rules if rule.name in rules.MEANINGS]
        best = max(judged, key=lambda rule: rule.train_MCC)
        rows.append({**keys, "floor": RULE, "MCC": best.MCC})
        rows += [
            {**keys, "floor": f"shortcut-{rule.name}", "MCC": rule.MCC}
            for rule in audit.rules
            if rule.name not in (*rules.MEANINGS, *UNSEEN) and f"shortcut-{rule.name}" not in there
        ]
    return pd.DataFrame(rows, columns=[*_KEYS, "MCC"])


def _lift(rows: pd.DataFrame, floors: pd.DataFrame) -> pd.DataFrame:
    """Returns what one model has beyond the best floor of each task and regime."""
    model = rows["model"].iloc[0]
    able = floors[floors["of"].isin(["", model]) & ~floors["floor"].isin(
        [f"shortcut-{name}" for name in UNSEEN])]  # fmt: skip
    best = able.loc[able.groupby(["regime", "task"])["MCC"].idxmax()]
    best = best[["regime", "task", "floor", "MCC"]].rename(columns={"MCC": "floor_MCC"})
    found = rows.merge(best, on=["regime", "task"])
    return found.assign(lift=found["MCC"] - found["floor_MCC"])


def _wide(rows: pd.DataFrame, index: list[str], value: str, macro: str) -> pd.DataFrame:
    """Returns category means beside their mean, `macro`, and the number of tasks."""
    table = rows.pivot_table(index=index, columns="category", values=value, sort=False)
    order = [name for name in GENEB.categories if name in table]
    table = table[order]
    count = rows.groupby(index, sort=False)["task"].nunique().reindex(table.index)
    table.insert(0, macro, table.mean(axis=1))
    table["tasks"] = count
    return table.rename_axis(columns=None).reset_index()
