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
from probes.padding import roomy_features
from probes.probe import HeadScore, Probe
from probes.rows import TaskRows, check_mesh
from probes.sampling import few_shot_rows
from probes.selection import held_out_fits, held_out_mcc, select_on_train, tried_on_train


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
    x_more: Float32[np.ndarray, "L D"] | None = None,
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
        x_more: Features of other rows, of which only predictions are wanted; None: there are none.

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
        draws = _draws(train, probe, k, seeds)
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
            more = None
            if x_more is not None:
                more = labels[predict(kind.decision_values(x_more, fitted.head))]
            heads += _heads(facts, values, more, strengths, distinct, k, probe, labels)
    return heads


def compile_task(
    y_train: Integer[np.ndarray, " N"],
    width: int,
    *,
    probes: Sequence[Probe],
    shots: Sequence[int | None],
    seeds: Sequence[int],
) -> None:
    """Compiles the programs of `evaluate_task`, or reads them from the compilation cache.

    It may run in another thread before the features are known. Of a probe that selects, only the
    fits are known that the choice is made by.

    Args:
        y_train: Labels of the train rows.
        width: D.
        probes: See `evaluate_task`.
        shots: See `evaluate_task`.
        seeds: See `evaluate_task`.
    """
    labels, classes = np.unique(y_train, return_inverse=True)
    if len(labels) < 2:
        return  # `evaluate_task` says so
    train = TaskRows(roomy_features(len(classes), width), classes, len(labels))
    for probe, k in itertools.product(probes, shots):
        draws, kind = _draws(train, probe, k, seeds), find_kind(probe.kind)
        if probe.selection == "none":
            draws = [draw for draw, _ in _distinct(draws, kind.seeded)]
            fits = [draws, *([held_out_fits(train, draws, "folds")[1]] * probe.cross_validated)]
        else:
            tried = tried_on_train(probe, draws[: len(seeds)])
            fits = [held_out_fits(train, tried, probe.selection)[1]]
        for fit in filter(None, fits):
            kind.compile(train, fit, np.array(probe.strengths), probe)


def host_memory(
    y_train: Integer[np.ndarray, " N"], width: int, probes: Sequence[Probe]
) -> int | None:
    """Returns the bytes that `evaluate_task` takes beside features where it runs no program.

    Several tasks may then be evaluated in as many threads (see `host.in_threads`), with the same
    result. A program takes all processors, or the device, by itself.

    Args:
        y_train: Labels of the train rows.
        width: D.
        probes: See `evaluate_task`.

    Returns:
        None: a fit of all rows, or of any, is a program.
    """
    sizes = len(y_train), width, len(np.unique(y_train))
    needed = [find_kind(probe.kind).host_memory(*sizes, probe) for probe in probes]
    known = [memory for memory in needed if memory is not None]
    return max(known, default=0) if len(known) == len(needed) else None


def _draws(train: TaskRows, probe: Probe, shots: int | None, seeds: Sequence[int]) -> list[Draw]:
    """Returns the draws of a regime, the class weights the slower axis and the seeds the faster."""
    every = np.arange(len(train.classes))
    drawn = [every if shots is None else few_shot_rows(train.classes, shots, s) for s in seeds]
    return [
        Draw(rows, seed, shots is None, class_weight)
        for class_weight in probe.class_weights
        for rows, seed in zip(drawn, seeds, strict=True)
    ]


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
    more: Integer[np.ndarray, "S R L"] | None,
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
            more=None if more is None else more[s, r],
            **{name: array[s, r].item() for name, array in facts.items() if name != "head"},
        )
        for s, C in enumerate(strengths)
        for r, (draw, seeds) in enumerate(draws)
        for seed in seeds
    ]
