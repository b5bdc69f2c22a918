"""The choice of class weight and strength, by the MCC on train rows that a fit did not see."""

import itertools
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Bool, Integer

from probes.fitting import Draw, fit_draws
from probes.kind import find_kind
from probes.probe import Probe
from probes.rows import TaskRows, put_rows, score_rows
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
    held_out = [
        held_out_rows(train.classes[draw.rows], probe.selection, draw.seed) for draw in draws
    ]
    trained = [
        draw._replace(rows=draw.rows[~mask], class_weight=class_weight)
        for draw, masks in zip(draws, held_out, strict=True)
        for class_weight in probe.class_weights
        for mask in masks
    ]
    fitted = fit_draws(train, trained, probe.strengths, probe) if trained else None
    chosen: dict[tuple[float, ...], list[Draw]] = {}
    end = 0
    for draw, masks in zip(draws, held_out, strict=True):
        class_weight, C = fallback
        if fitted is not None and len(masks):
            of_draw = slice(end, end := end + len(probe.class_weights) * len(masks))
            head = jax.tree.map(lambda array, of_draw=of_draw: array[:, of_draw], fitted.head)
            rows = train
            if not draw.whole:
                rows = put_rows(train.x[draw.rows], train.classes[draw.rows], train.class_count)
            values = find_kind(probe.kind).decision_values(rows.on_devices, head)
            MCC = score_rows(values, rows, np.tile(masks, (len(probe.class_weights), 1)))["MCC"]
            mean = np.mean(np.reshape(MCC, (len(MCC), -1, len(masks))), axis=2)
            class_weight, C = grid[int(np.argmax(mean.T))]
        chosen.setdefault((C,), []).append(draw._replace(class_weight=class_weight))
    return chosen


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
