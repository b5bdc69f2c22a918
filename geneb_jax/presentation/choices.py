"""How much choices of a protocol move the leaderboard: layer, pooling, strand, preset, solver, ...

Each choice changes one thing of GENEB's protocol, and is compared with the protocol on the models
and tasks that both have. The layer and pooling of a model can be chosen on train rows alone, by the
cross-validated MCC of its full-shot fits (`config.cross_validate`); the best on the test rows,
which nobody may choose, is shown as the bound of what a choice could gain.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from geneb_jax.benchmark import GENEB
from geneb_jax.embedding.identity import BOTH_STRANDS
from geneb_jax.presentation.analysis import of_benchmark
from geneb_jax.scoring.scores import PROTOCOL, protocol_rows, task_means
from geneb_jax.uncertainty.comparing import ranks
from geneb_jax.uncertainty.fewer_tasks import rank_correlation

_VIEW = ["tap", "pooling"]
_TRAIN = "train_MCC"
_VARIED = {  # columns of the protocol that runs vary, as sentences name their values
    "solver": "solver {}",
    "C": "C = {:g}",
    "standardised": "standardised features",
    "class_weight": "class weight {}",
    "selection": "C chosen on train ({})",
    "probe": "probe {}",
}


CHOICES = ("choices", "choices_leaderboard", "choices_layers")  # names of the tables


class _Choice(NamedTuple):
    """Scores under one choice: columns model, regime, category, task and MCC, means over seeds."""

    name: str
    means: pd.DataFrame


def choices_tables(scores: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Makes the tables of what choices do.

    Args:
        scores: A scores table, of one run or of several together.

    Returns:
        `choices`: a row a choice and regime, with the change of macro MCC and of the ranks;
        `choices_leaderboard`: macro MCC and rank of each model under each choice; and
        `choices_layers`: the layer and pooling of each model, chosen on train, in the protocol and
        best on test. Those without a row are left out.
    """
    scores = of_benchmark(scores)
    base = task_means(_of_one_preset(protocol_rows(scores)))
    views = _view_means(scores)
    found = [*_varied(scores), *_presets(scores), *_strands(scores), *_of_views(views)]
    rows = (
        [row for each in found for row in _moves(base, each)],
        [row for each in found for row in _boards(base, each)],
        list(_layers(views, base)),
    )
    return {name: pd.DataFrame(some) for name, some in zip(CHOICES, rows, strict=True) if some}


def _of_one_preset(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of models as the preset `corrected` has them, or as the only one there."""
    keep = pd.Series(True, index=rows.index)
    for _, group in rows.groupby("model"):
        presets = set(group["preset"])
        if len(presets) > 1 and "corrected" in presets:
            keep[group.index] = group["preset"] == "corrected"
    return rows[keep]


def _varied(scores: pd.DataFrame) -> Iterator[_Choice]:
    """Yields what differs from the protocol in one thing of the probe."""
    for column, form in _VARIED.items():
        for value in dict.fromkeys(scores[column]):
            if value != PROTOCOL[column]:
                # Other kinds of probe have their own solvers, and a selection its own C.
                free = {"probe": {"solver": None}, "selection": {"C": None}}.get(column, {})
                changed = {column: value, **free}
                rows = _of_one_preset(protocol_rows(scores, **changed))
                if not rows.empty:
                    yield _Choice(form.format(value), task_means(rows))


def _presets(scores: pd.DataFrame) -> Iterator[_Choice]:
    """Yields the published preset, of models that have the corrected one too."""
    rows = protocol_rows(scores)
    both = rows.groupby("model")["preset"].nunique() > 1
    published = rows[(rows["preset"] == "published") & rows["model"].isin(both[both].index)]
    if not published.empty:
        yield _Choice("published extraction", task_means(published))


def _strands(scores: pd.DataFrame) -> Iterator[_Choice]:
    """Yields the means over both strands, of models that are there on the given one too."""
    rows = _of_one_preset(protocol_rows(scores))
    models = set(rows["model"])
    averaged = rows[rows["model"].str.endswith(BOTH_STRANDS)]
    averaged = averaged.assign(model=averaged["model"].str.removesuffix(BOTH_STRANDS))
    averaged = averaged[averaged["model"].isin(models)]
    if not averaged.empty:
        yield _Choice("embeddings averaged over both strands", task_means(averaged))


def _view_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Averages MCC and train MCC over seeds, by model, view, regime and task.

    Of each model the tasks of a regime count that all its views have; models with one view are
    left out.
    """
    rows = _of_one_preset(protocol_rows(scores, every_representation=True))
    rows = rows[rows["tap"] != "none"]
    train = rows[_TRAIN] if _TRAIN in rows else pd.Series(np.nan, index=rows.index)
    keys = ["model", *_VIEW, "regime", "category", "task"]
    grouped = rows.assign(**{_TRAIN: train}).groupby(keys, sort=False)
    means = grouped[["MCC", _TRAIN]].mean().reset_index()
    views = means[["model", *_VIEW]].drop_duplicates()["model"].value_counts()
    of_model = means["model"].map(views)
    of_task = means.groupby(["model", "regime", "task"])["tap"].transform("size")
    return means[(of_model > 1) & (of_task == of_model)]


def _of_views(views: pd.DataFrame) -> Iterator[_Choice]:
    """Yields the leaderboards under each model's chosen layer and pooling."""
    if views.empty:
        return
    if views.loc[views["regime"] == "full", _TRAIN].notna().any():
        chosen = _best(views, _TRAIN, by_task=False)
        yield _Choice("layer and pooling of each model chosen on train", chosen)
        chosen = _best(views, _TRAIN, by_task=True)
        yield _Choice("layer and pooling of each model and task chosen on train", chosen)
    best = _best(views, "MCC", by_task=False)
    yield _Choice("layer and pooling of each model best on test (a bound, no choice)", best)


def _best(views: pd.DataFrame, by: str, *, by_task: bool) -> pd.DataFrame:
    """Returns the means of the best view of each model, or of each model and task, by regime.

    A few-shot probe's view is chosen by its own few rows: another one would have seen more labels.

    Args:
        views: See `_view_means`.
        by: The column whose mean over categories, or whose value on the task, is the largest.
        by_task: Choose for every task anew.
    """
    where = ["model", "regime", "task"] if by_task else ["model", "regime"]
    scores = views.dropna(subset=by).groupby([*where, *_VIEW, "category"], sort=False)[by].mean()
    macro = scores.groupby([*where, *_VIEW], sort=False).mean().reset_index()
    best = macro.loc[macro.groupby(where, sort=False)[by].idxmax(), [*where, *_VIEW]]
    return views.merge(best, on=[*where, *_VIEW])


def _macro(means: pd.DataFrame) -> pd.Series:
    """Returns the macro MCC by model of the means of one regime."""
    return means.groupby(["model", "category"])["MCC"].mean().groupby("model").mean()


def _compared(base: pd.DataFrame, choice: _Choice) -> Iterator[tuple[str, pd.Series, pd.Series]]:
    """Yields by regime the macro MCC under the protocol and under a choice, of the same tasks."""
    keys = ["model", "regime", "task"]
    both = base.merge(choice.means[[*keys, "MCC"]], on=keys, suffixes=("", " choice"))
    for regime in [name for name in GENEB.regimes if (both["regime"] == name).any()]:
        rows = both[both["regime"] == regime]
        models = rows["model"].nunique()
        rows = rows[rows.groupby("task")["model"].transform("nunique") == models]
        if not rows.empty:
            changed = rows.assign(MCC=rows["MCC choice"])
            yield regime, _macro(rows), _macro(changed)


def _moves(base: pd.DataFrame, choice: _Choice) -> Iterator[dict[str, Any]]:
    for regime, before, after in _compared(base, choice):
        change = after - before
        most = str(change.abs().idxmax())
        old, new = (pd.Series(ranks(each.to_numpy()), each.index) for each in (before, after))
        moved = (new - old).abs()
        who = [
            f"{model} {old[model]:g} to {new[model]:g}"
            for model in moved.sort_values(ascending=False, kind="stable").index
            if moved[model] > 0
        ]
        yield {
            "choice": choice.name,
            "regime": regime,
            "models": len(before),
            "mean change": change.mean(),
            "mean |change|": change.abs().mean(),
            "largest change": change[most],
            "of": most,
            "rank correlation": float(rank_correlation(before.to_numpy(), after.to_numpy())),
            "change rank": len(who),
            "who": "; ".join(who),
        }


def _boards(base: pd.DataFrame, choice: _Choice) -> Iterator[dict[str, Any]]:
    for regime, before, after in _compared(base, choice):
        old, new = ranks(before.to_numpy()), ranks(after.to_numpy())
        for i in np.argsort(new, kind="stable"):
            yield {
                "choice": choice.name,
                "regime": regime,
                "model": before.index[i],
                "macro": after.iloc[i],
                "macro, protocol": before.iloc[i],
                "rank": new[i],
                "rank, protocol": old[i],
            }


def _layers(views: pd.DataFrame, base: pd.DataFrame) -> Iterator[dict[str, Any]]:
    full = views[views["regime"] == "full"]
    for model, rows in full.groupby("model", sort=False):
        of_view = rows.groupby([*_VIEW, "category"], sort=False)[["MCC", _TRAIN]].mean()
        macro = of_view.groupby(_VIEW, sort=False).mean().reset_index()
        names = (macro["tap"] + " " + macro["pooling"]).tolist()
        test, train = macro["MCC"].to_numpy(float), macro[_TRAIN].to_numpy(float)
        tasks = base[(base["regime"] == "full") & (base["model"] == model)]
        tasks = tasks[tasks["task"].isin(rows["task"])]
        row: dict[str, Any] = {
            "model": model,
            "protocol, MCC": _macro(tasks).get(model, np.nan),
            "best on test": names[test.argmax()],
            "best on test, MCC": test.max(),
            "views": len(macro),
            "tasks": rows["task"].nunique(),
        }
        if not np.isnan(train).all():
            chosen = int(np.nanargmax(train))
            row |= {
                "chosen on train": names[chosen],
                "chosen on train, MCC": test[chosen],
                "chosen on train, train MCC": train[chosen],
            }
        yield row
