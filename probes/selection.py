"""Scores on train rows that a fit did not see, and the choice of class weight and C by them."""

import itertools
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Bool, Float, Float64, Integer

from probes.draws import Draw
from probes.kind import find_kind
from probes.metrics import confusion_matrix, mcc, predict
from probes.probe import Probe
from probes.rows import TaskRows
from probes.sampling import stratified_carve, stratified_folds

FOLDS = 5
CARVED_SHARE = 0.15


def select_on_train(
    train: TaskRows, probe: Probe, draws: Sequence[Draw]
) -> dict[tuple[float, ...], list[Draw]]:
    """Chooses each draw's class weight and strength by the mean MCC on held-out rows of it.

    Args:
        train: Train rows.
        probe: What to fit; its class weights and strengths are the grid.
        draws: All of them are whole, or none is; their class weights are not looked at.

    Returns:
        By strength, as a grid of one, the draws that chose it, with their class weights.
    """
    grid = list(itertools.product(probe.class_weights, probe.strengths))
    fallback = (probe.class_weights[0], min(probe.strengths, key=lambda C: abs(np.log(C))))
    tried = tried_on_train(probe, draws)
    MCC = held_out_mcc(train, probe, tried, probe.strengths, probe.selection)
    chosen: dict[tuple[float, ...], list[Draw]] = {}
    for i, draw in enumerate(draws):
        of_draw = MCC[:, i * len(probe.class_weights) : (i + 1) * len(probe.class_weights)]
        known = not np.isnan(of_draw).any()
        class_weight, C = grid[int(np.argmax(of_draw.T))] if known else fallback
        chosen.setdefault((C,), []).append(draw._replace(class_weight=class_weight))
    return chosen


def tried_on_train(probe: Probe, draws: Sequence[Draw]) -> list[Draw]:
    """Returns the draws that a selection compares: each with every class weight of the probe."""
    return [
        draw._replace(class_weight=class_weight)
        for draw in draws
        for class_weight in probe.class_weights
    ]


def held_out_fits(
    train: TaskRows, draws: Sequence[Draw], selection: str
) -> tuple[list[Bool[np.ndarray, "fits N"]], list[Draw]]:
    """Returns the rows that each draw's fits do not see, and the draws of all these fits.

    See `held_out_rows`; there are no fits of a draw where no row can be held out.
    """
    held_out = [held_out_rows(train.classes[draw.rows], selection, draw.seed) for draw in draws]
    trained = [
        draw._replace(rows=draw.rows[~mask])
        for draw, masks in zip(draws, held_out, strict=True)
        for mask in masks
    ]
    return held_out, trained


def held_out_mcc(
    train: TaskRows,
    probe: Probe,
    draws: Sequence[Draw],
    strengths: Sequence[float],
    selection: str,
) -> Float64[np.ndarray, "S R"]:
    """Returns the mean MCC of each strength and draw on rows of the draw that fits do not see.

    Args:
        train: Train rows.
        probe: What to fit.
        draws: All of them are whole, or none is.
        strengths: Strengths C.
        selection: Which rows a fit does not see, 'folds' or 'carve'; see `held_out_rows`.

    Returns:
        Means over the fits; NaN for a draw with a class of fewer than two rows.
    """
    held_out, trained = held_out_fits(train, draws, selection)
    found = np.full((len(strengths), len(draws)), np.nan)
    if not trained:
        return found
    kind = find_kind(probe.kind)
    fitted = kind.fit(train, trained, np.array(strengths), probe)
    end = 0
    for r, (draw, masks) in enumerate(zip(draws, held_out, strict=True)):
        if len(masks):
            of_draw = slice(end, end := end + len(masks))
            head = jax.tree.map(lambda array, of_draw=of_draw: array[:, of_draw], fitted.head)
            values = kind.decision_values(train.x[draw.rows], head)
            found[:, r] = _mcc_on_held_out(values, train.classes[draw.rows], masks).mean(1)
    return found


def _mcc_on_held_out(
    values: Float[np.ndarray, "S fits M K1"],
    classes: Integer[np.ndarray, " M"],
    masks: Bool[np.ndarray, "fits M"],
) -> Float64[np.ndarray, "S fits"]:
    """Returns the MCC of each fit's head on the rows that it did not see."""
    predicted, class_count = predict(values), max(values.shape[-1], 2)
    MCC = np.empty(values.shape[:2])
    for r in range(values.shape[1]):
        mask = masks[r]
        MCC[:, r] = mcc(confusion_matrix(classes[mask], predicted[:, r, mask], class_count))
    return MCC


def held_out_rows(
    classes: Integer[np.ndarray, " N"], selection: str, seed: int
) -> Bool[np.ndarray, "fits N"]:
    """Returns the rows that each fit of a selection does not see.

    Args:
        classes: Class number of each row.
        selection: 'folds': as many fits as `FOLDS`, or as the smallest class has rows; 'carve':
            one.
        seed: Seed of the shuffles.

    Returns:
        True for rows held out, a row of the array for each fit; none where a class has fewer than
        two rows.
    """
    smallest = int(np.bincount(classes)[np.unique(classes)].min())
    if smallest < 2:
        return np.zeros((0, len(classes)), bool)
    if selection == "carve":
        return stratified_carve(classes, CARVED_SHARE, seed)[None]
    folds = min(FOLDS, smallest)
    return stratified_folds(classes, folds, seed) == np.arange(folds)[:, None]
