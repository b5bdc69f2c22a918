"""All probes of one task: regimes x seeds x strengths, fitted jointly, scored on the test rows."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float, Float32, Integer

from probes.draws import Draw
from probes.kind import find_kind, solver_name
from probes.metrics import predict, score
from probes.probe import HeadScore, Probe
from probes.rows import TaskRows, check_mesh
from probes.sampling import few_shot_rows
from probes.selection import held_out_mcc, select_on_train


def evaluate_task(
    x_train: Float32[np.ndarray, "N D"],
    y_train: Integer[np.ndarray, " N"],
    x_test: Float32[np.ndarray, "M D"],
    y_test: Integer[np.ndarray, " M"],
    *,
    probes: Sequence[Probe],
    shots: Sequence[int | None],
    seeds: Sequence[int],
    mesh: Mesh | None = None,
) -> list[HeadScore]:
    """Fits every probe of a task and scores it.

    Features stay float32; the arithmetic of the fits is float64 on them, as scikit-learn 1.5's is
    (an MLP's is float32). Test labels are read by the scores alone, never by a fit or a selection.

    Args:
        x_train: Features of the train rows.
        y_train: Labels, any integers; the classes of the task are those that occur here.
        x_test: Features of the test rows.
        y_test: Labels of the test rows.
        probes: What to fit.
        shots: Regimes: rows of each class, or None for all.
        seeds: Seeds of the few-shot rows and of the selection.
        mesh: Devices whose axis `data` the rows of train and test are spread over; few-shot fits
            stay on one. Sums are the same up to rounding (which moves where a `geneb` fit of some
            hundred iterations or an MLP ends). None: the default device.

    Returns:
        One entry per probe, regime, strength, class weight and seed, in this order; one per
        probe, regime and seed where the probe selects.

    Raises:
        ValueError: Fewer than two classes, a test label that train lacks, or a mesh without the
            axis `data`.
    """
    labels, train_classes = np.unique(y_train, return_inverse=True)
    if len(labels) < 2:
        raise ValueError(f"train has the class {labels.tolist()} alone; a probe needs two")
    absent = np.setdiff1d(y_test, labels)
    if absent.size:
        raise ValueError(f"test has labels that train lacks: {absent.tolist()}")
    if mesh is not None:
        check_mesh(mesh)
    train = TaskRows(x_train, train_classes, len(labels), mesh)
    test_classes = np.searchsorted(labels, y_test)
    heads = []
    for probe, k in itertools.product(probes, shots):
        drawn = [
            np.arange(len(y_train)) if k is None else few_shot_rows(train_classes, k, seed)
            for seed in seeds
        ]
        draws = [
            Draw(rows, seed, k is None, class_weight)
            for class_weight in probe.class_weights
            for rows, seed in zip(drawn, seeds, strict=True)
        ]
        grids = {probe.strengths: draws}
        if probe.selection != "none":
            grids = select_on_train(train, probe, draws[: len(seeds)])
        kind = find_kind(probe.kind)
        for strengths, draws_of_grid in grids.items():
            distinct = _distinct(draws_of_grid, kind.seeded)
            fitted = kind.fit(train, [draw for draw, _ in distinct], np.array(strengths), probe)
            values = kind.decision_values(x_test, fitted.head)
            facts = score(values, test_classes) | fitted._asdict()
            if probe.cross_validated:
                of_fits = [draw for draw, _ in distinct]
                facts["train_MCC"] = held_out_mcc(train, probe, of_fits, strengths, "folds")
            heads += _heads(facts, values, strengths, distinct, k, probe, labels)
    return heads


def _distinct(draws: Sequence[Draw], seeded: bool) -> list[tuple[Draw, list[int]]]:
    """Returns the draws to fit, each with the seeds that it stands for.

    Fits of all of train that do not depend on the seed are one.
    """
    distinct: dict[tuple[str, int | None], tuple[Draw, list[int]]] = {}
    for draw in draws:
        key = (draw.class_weight, draw.seed if seeded or not draw.whole else None)
        distinct.setdefault(key, (draw, []))[1].append(draw.seed)
    return list(distinct.values())


def _heads(
    facts: Mapping[str, Any],
    values: Float[np.ndarray, "S R M K1"],
    strengths: Sequence[float],
    draws: Sequence[tuple[Draw, Sequence[int]]],
    shots: int | None,
    probe: Probe,
    labels: Integer[np.ndarray, " K"],
) -> list[HeadScore]:
    """Returns S x R heads, each once for each of the seeds that its draw stands for."""
    predicted = labels[predict(values)]
    scores = (values[..., 0] if values.shape[-1] == 1 else values).astype(np.float32)
    return [
        HeadScore(
            shots=shots,
            seed=seed,
            probe=probe.kind,
            solver=solver_name(probe),
            standardised=probe.standardised,
            class_weight=draw.class_weight,
            selection=probe.selection,
            C=C,
            predictions=predicted[s, r],
            scores=scores[s, r],
            **{name: array[s, r].item() for name, array in facts.items() if name != "head"},
        )
        for s, C in enumerate(strengths)
        for r, (draw, seeds) in enumerate(draws)
        for seed in seeds
    ]
