"""All probes of one task: regimes x seeds x strengths, fitted jointly, scored on the test rows."""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from probes import metrics
from probes.lbfgs import MEMORY
from probes.logistic import decision_values, fit_heads, targets
from probes.mlp import Network, fit_mlp, mlp_held_out, mlp_values
from probes.ridge import fit_ridge
from probes.sampling import few_shot_rows, stratified_carve, stratified_folds

CLASS_WEIGHTS = ("none", "balanced")
SELECTIONS = ("none", "folds", "carve")
FOLDS = 5
CARVED_SHARE = 0.15
DATA_AXIS = "data"
_SMALLEST_ROWS = 8
_STATE_BYTES = 2**28  # of the heads that are fitted together


@dataclass(frozen=True)
class Probe:
    """What to fit.

    Attributes:
        kind: A name of `KINDS`.
        solver: A name of `logistic.SOLVERS`: 'geneb' stops where the harness stops, 'converged'
            at the optimum, either with '-float32' in products of float32; other kinds have one
            way to fit and take no notice.
        strengths: C of each head, positive.
        standardised: Fit on features of mean 0 and variance 1 over the rows of the fit.
        class_weights: Of `CLASS_WEIGHTS`: every row counts alike, or every class does.
        selection: Of `SELECTIONS`: 'none' reports every strength and class weight; 'folds' and
            'carve' report for each regime and seed the one with the best MCC on train rows that
            its fit did not see (the mean over `FOLDS` stratified folds, or a stratified carve of
            `CARVED_SHARE`), fitted again on all rows of train. Equal ones: the earlier in the
            grid. Where a class has too few rows to be held out, C closest to 1 and the first
            class weight are taken.
    """

    kind: str = "logistic"
    solver: str = "geneb"
    strengths: tuple[float, ...] = (1.0,)
    standardised: bool = False
    class_weights: tuple[str, ...] = ("none",)
    selection: str = "none"


@dataclass(frozen=True)
class HeadScore:
    """One fitted head.

    Attributes:
        shots: Rows of each class it was trained on; None: all.
        seed: Seed of the few-shot rows, of what selects and of an MLP; without these the full fit
            does not depend on it.
        probe: The kind.
        solver: See `Probe`; 'closed form' for ridge, 'adam' for an MLP.
        standardised: See `Probe`.
        class_weight: 'none' or 'balanced'.
        selection: See `Probe`.
        C: Inverse strength of the penalty.
        MCC, accuracy, macro_F1, balanced_accuracy: On the test rows.
        AUROC, AUPRC: Of the decision values on the test rows; NaN for more than two classes.
        iterations: L-BFGS iterations, epochs of an MLP; 0 for ridge.
        objective: Mean loss with penalty, at the end.
        gradient_norm: Largest absolute entry of its gradient; NaN for an MLP.
        converged: Whether a tolerance was met, not the limit of iterations.
        predictions: Labels int64 [N].
        scores: Decision values float32, [N] for two classes or [N, K].
    """

    shots: int | None
    seed: int
    probe: str
    solver: str
    standardised: bool
    class_weight: str
    selection: str
    C: float
    MCC: float
    accuracy: float
    macro_F1: float
    balanced_accuracy: float
    AUROC: float
    AUPRC: float
    iterations: int
    objective: float
    gradient_norm: float
    converged: bool
    predictions: np.ndarray
    scores: np.ndarray


class _Data(NamedTuple):
    """A task's rows; class numbers 0 .. K - 1."""

    x: np.ndarray  # [N, D]
    placed: Array  # the same on the device, padded
    classes: np.ndarray  # [N]
    count: int  # K


class Fits(NamedTuple):
    """Heads of S strengths on R draws of rows, each array with the axes [S, R] first."""

    head: Any  # linear [S, R, D + 1, K'], or the network
    iterations: Array
    objective: Array
    gradient_norm: Array
    converged: Array


class Draw(NamedTuple):
    """Train rows that a head is fitted on."""

    rows: np.ndarray  # their numbers
    seed: int
    whole: bool  # whether the fit runs over all of train, with weight 0 on the other rows
    class_weight: str  # of `CLASS_WEIGHTS`


class Rows(NamedTuple):
    """Rows of R draws; those of whole draws share x and y."""

    x: Array | np.ndarray  # float32 [N, D] or [R, N, D]
    y: np.ndarray  # [N, K'] or [R, N, K']
    weight: np.ndarray  # [R, N], 0 for padding
    held_out: np.ndarray  # [R, N], rows that an early stop is judged on
    seeds: np.ndarray  # [R]


@dataclass(frozen=True)
class Kind:
    """A kind of probe.

    Attributes:
        fit: Fits S strengths on R draws.
        values: Decision values [S, R, M, K'] of its heads on rows [M, D].
        solver: Its one way to fit; None: the probe names it.
        seeded: Whether a fit of the same rows depends on the seed.
    """

    fit: Callable[[Rows, np.ndarray, Probe], Fits]
    values: Callable[[Array, Any], Array]
    solver: str | None = None
    seeded: bool = False


def evaluate_task(
    x_train: np.ndarray,
    y_train: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    *,
    probes: Sequence[Probe],
    shots: Sequence[int | None],
    seeds: Sequence[int],
    mesh: Mesh | None = None,
) -> list[HeadScore]:
    """Fits every probe of a task and scores it.

    Features stay float32; the fits' arithmetic is float64 on them, as scikit-learn 1.5's is.
    Test labels are read by the scores alone, never by a fit or a selection.

    Args:
        x_train: float32 [N, D].
        y_train: Labels, any integers [N]; the classes are those that stand here.
        x_test: float32 [M, D].
        y_test: Labels [M].
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
    classes, numbers = np.unique(y_train, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"train has the class {classes.tolist()} alone; a probe needs two")
    absent = np.setdiff1d(y_test, classes)
    if absent.size:
        raise ValueError(f"test has labels that train lacks: {absent.tolist()}")
    if mesh is not None and DATA_AXIS not in mesh.shape:
        raise ValueError(
            f"the mesh has the axes {mesh.axis_names}; rows need one named '{DATA_AXIS}'"
        )
    train, test = (
        _place(x, own, len(classes), mesh)
        for x, own in ((x_train, numbers), (x_test, np.searchsorted(classes, y_test)))
    )
    heads = []
    with jax.enable_x64(True):
        for probe, k in itertools.product(probes, shots):
            rows = [
                np.arange(len(numbers)) if k is None else few_shot_rows(numbers, k, seed)
                for seed in seeds
            ]
            draws = [
                Draw(own, seed, k is None, weight)
                for weight in probe.class_weights
                for own, seed in zip(rows, seeds, strict=True)
            ]
            wanted = {probe.strengths: draws}
            if probe.selection != "none":
                wanted = _select(train, probe, draws[: len(seeds)])
            for strengths, mine in wanted.items():
                fitted = _distinct(mine, probe)
                fits = _fit(train, [draw for draw, _ in fitted], strengths, probe)
                heads += _scored(fits, strengths, fitted, k, probe, test, classes)
    return heads


def _place(x: np.ndarray, classes: np.ndarray, count: int, mesh: Mesh | None = None) -> _Data:
    """Puts features on the devices once, rows padded to the ladder."""
    size = _ladder(len(x))
    if mesh is None:
        return _Data(x, jax.device_put(_pad(x, size)), classes, count)
    # The compiler spreads the products over the devices and sums: that needs axes of its own.
    mesh = Mesh(mesh.devices, mesh.axis_names)
    size += -size % mesh.shape[DATA_AXIS]
    sharding = NamedSharding(mesh, PartitionSpec(DATA_AXIS))
    return _Data(x, jax.device_put(_pad(x, size), sharding), classes, count)


def _distinct(draws: Sequence[Draw], probe: Probe) -> list[tuple[Draw, list[int]]]:
    """The draws to fit, each with the seeds that it stands for.

    Fits of all of train that do not depend on the seed are one.
    """
    kept: dict[tuple[str, int | None], tuple[Draw, list[int]]] = {}
    for draw in draws:
        depends = KINDS[probe.kind].seeded or not draw.whole
        key = (draw.class_weight, draw.seed if depends else None)
        kept.setdefault(key, (draw, []))[1].append(draw.seed)
    return list(kept.values())


def _scored(
    fits: Fits,
    strengths: Sequence[float],
    fitted: Sequence[tuple[Draw, Sequence[int]]],
    shots: int | None,
    probe: Probe,
    test: _Data,
    classes: np.ndarray,
) -> list[HeadScore]:
    """Scores of S x R heads on the test rows; of each draw with the seeds that it stands for."""
    values = KINDS[probe.kind].values(test.placed, fits.head)
    measured = _measure(values, test, np.ones(len(test.x))) | fits._asdict()
    del measured["head"]
    measured, values, predicted = jax.device_get((measured, values, metrics.predict(values)))
    values, predicted = values[:, :, : len(test.x)], predicted[:, :, : len(test.x)]
    binary = len(classes) == 2
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
            predictions=classes[predicted[s, r]],
            scores=(values[s, r, :, 0] if binary else values[s, r]).astype(np.float32),
            **{name: array[s, r].item() for name, array in measured.items()},
        )
        for s, C in enumerate(strengths)
        for r, (draw, seeds) in enumerate(fitted)
        for seed in seeds
    ]


def _measure(values: Array, rows: _Data, weight: np.ndarray) -> dict[str, Array]:
    """Scores [S, R] of decision values [S, R, N, K'] on the rows of weight [N] or [R, N]."""
    return metrics.score(
        values,
        _pad(rows.classes, values.shape[2]),
        np.pad(weight, [(0, 0)] * (weight.ndim - 1) + [(0, values.shape[2] - weight.shape[-1])]),
    )


def _select(
    train: _Data, probe: Probe, draws: Sequence[Draw]
) -> dict[tuple[float, ...], list[Draw]]:
    """Chooses each draw's class weight and strength by the mean MCC on held-out train rows.

    Returns:
        By strength the draws that chose it, with their class weights.
    """
    grid = list(itertools.product(probe.class_weights, probe.strengths))
    fallback = (probe.class_weights[0], min(probe.strengths, key=lambda C: abs(np.log(C))))
    held_out = [
        _held_out(train.classes[draw.rows], probe.selection, draw.seed) for draw in draws
    ]  # [F, N] of each draw
    folds = [
        draw._replace(rows=draw.rows[~mask], class_weight=weight)
        for draw, masks in zip(draws, held_out, strict=True)
        for weight in probe.class_weights
        for mask in masks
    ]
    fits = _fit(train, folds, probe.strengths, probe) if folds else None
    chosen: dict[tuple[float, ...], list[Draw]] = {}
    end = 0
    for draw, masks in zip(draws, held_out, strict=True):
        weight, C = fallback
        if fits is not None and len(masks):
            mine = slice(end, end := end + len(probe.class_weights) * len(masks))
            head = jax.tree.map(lambda a, mine=mine: a[:, mine], fits.head)
            rows = train
            if not draw.whole:
                rows = _place(train.x[draw.rows], train.classes[draw.rows], train.count)
            values = KINDS[probe.kind].values(rows.placed, head)
            MCC = _measure(values, rows, np.tile(masks, (len(probe.class_weights), 1)))["MCC"]
            mean = np.mean(np.reshape(MCC, (len(MCC), -1, len(masks))), axis=2)
            weight, C = grid[int(np.argmax(mean.T))]
        chosen.setdefault((C,), []).append(draw._replace(class_weight=weight))
    return chosen


def _held_out(classes: np.ndarray, selection: str, seed: int) -> np.ndarray:
    """Rows that each fit of a selection does not see, bool [F, N]; F = 0 where rows are too few."""
    smallest = int(np.bincount(classes)[np.unique(classes)].min())
    if smallest < 2:
        return np.zeros((0, len(classes)), bool)
    if selection == "carve":
        return stratified_carve(classes, CARVED_SHARE, seed)[None]
    folds = min(FOLDS, smallest)
    return stratified_folds(classes, folds, seed) == np.arange(folds)[:, None]


def _fit(
    train: _Data,
    draws: Sequence[Draw],
    strengths: Sequence[float],
    probe: Probe,
) -> Fits:
    """Fits every strength on every draw, each with its seed; all draws are whole, or none is."""
    whole = draws[0].whole
    size = len(train.placed) if whole else _ladder(max(len(draw.rows) for draw in draws))
    weight, held_out = np.zeros((len(draws), size)), np.zeros((len(draws), size), bool)
    for draw, own_weight, own_held_out in zip(draws, weight, held_out, strict=True):
        classes = train.classes[draw.rows]
        place = draw.rows if whole else np.arange(len(draw.rows))
        own_weight[place] = _row_weights(classes, draw.class_weight)
        if KINDS[probe.kind].seeded:
            own_held_out[place] = mlp_held_out(classes, draw.seed)
    y = targets(train.classes, train.count)
    if whole:
        x, y = train.placed, _pad(y, size)
    else:
        x = np.stack([_pad(train.x[draw.rows], size) for draw in draws])
        y = np.stack([_pad(y[draw.rows], size) for draw in draws])
    rows = Rows(x, y, weight, held_out, np.array([draw.seed for draw in draws], np.uint32))
    return KINDS[probe.kind].fit(rows, np.asarray(strengths, np.float64), probe)


def _row_weights(classes: np.ndarray, class_weight: str) -> np.ndarray:
    """float64 [N]: 1, or n / (K n_k) for a row of class k, which sums to n as scikit-learn has it.

    K counts the classes that have rows.
    """
    if class_weight == "none":
        return np.ones(len(classes))
    found, numbers, counts = np.unique(classes, return_inverse=True, return_counts=True)
    return (len(classes) / (len(found) * counts))[numbers]


def _fit_logistic(rows: Rows, strengths: np.ndarray, probe: Probe) -> Fits:
    fit = functools.partial(fit_heads, solver=probe.solver, standardised=probe.standardised)
    if rows.x.ndim == 3:
        end = fit(*rows[:3], strengths)  # pyright: ignore
    else:
        # Parts of one size share a program; the last draw fills the last of them up.
        draws, size = len(rows.weight), _draws_together(rows, len(strengths))
        weights = np.pad(rows.weight, [(0, -draws % size), (0, 0)], mode="edge")
        ends = [
            fit(rows.x, rows.y, weights[first : first + size], strengths)  # pyright: ignore
            for first in range(0, draws, size)
        ]
        end = jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=1)[:, :draws], *ends)
    return Fits(end.x, end.iterations, end.f, end.gradient_norm, end.converged)


def _draws_together(rows: Rows, strengths: int) -> int:
    """Draws of shared rows whose heads' state, mostly L-BFGS pairs, is `_STATE_BYTES` at most."""
    parameters = rows.y.shape[-1] * (rows.x.shape[-1] + 1)
    pairs = 2 * MEMORY * parameters * 8
    # Twice: heads that go on when others have stopped are copied.
    together = max(_STATE_BYTES // (2 * strengths * pairs), 1)
    draws = len(rows.weight)
    return -(-draws // -(-draws // together))


def _fit_ridge(rows: Rows, strengths: np.ndarray, probe: Probe) -> Fits:
    end = fit_ridge(*rows[:3], strengths, standardised=probe.standardised)  # pyright: ignore
    head, objective, gradient = (jnp.swapaxes(array, 0, 1) for array in end)
    none, done = jnp.zeros(objective.shape, int), jnp.ones(objective.shape, bool)
    return Fits(head, none, objective, gradient, done)


def _fit_mlp(rows: Rows, strengths: np.ndarray, probe: Probe) -> Fits:
    x, y, weight = (array.astype(np.float32) for array in rows[:3])
    aside = rows.held_out.sum(axis=1)
    size = _ladder(int(aside.max())) if aside.any() else 0
    held_out = np.full((len(aside), size), rows.held_out.shape[1], np.int32)
    for own, places in zip(held_out, rows.held_out, strict=True):
        own[: places.sum()] = np.flatnonzero(places)
    with jax.enable_x64(False):
        end = fit_mlp(
            x,  # pyright: ignore
            y,
            weight,
            held_out,
            strengths.astype(np.float32),
            rows.seeds,
            standardised=probe.standardised,
        )
    unknown = jnp.full(end.epochs.shape, jnp.nan)
    return Fits(end.network, end.epochs, end.objective, unknown, end.converged)


@jax.jit
def _linear_values(x: Array, heads: Array) -> Array:
    """Decision values [S, R, M, K'] of heads [S, R, D + 1, K'], in one product."""
    side_by_side = jnp.moveaxis(heads, 2, 0)  # [D + 1, S, R, K']
    flat = side_by_side.reshape(len(side_by_side), -1)
    values = decision_values(x.astype(heads.dtype), flat)
    return jnp.moveaxis(values.reshape(len(x), *side_by_side.shape[1:]), 0, 2)


def _mlp_values(x: Array, network: Network) -> Array:
    """Decision values float32 [S, R, M, K'] of every network."""
    with jax.enable_x64(False):
        return mlp_values(x, network)


KINDS: Mapping[str, Kind] = {
    "logistic": Kind(_fit_logistic, _linear_values),
    "ridge": Kind(_fit_ridge, _linear_values, "closed form"),
    "mlp": Kind(_fit_mlp, _mlp_values, "adam", seeded=True),
}


def solver_name(probe: Probe) -> str:
    """Returns the solver as scores name it."""
    return KINDS[probe.kind].solver or probe.solver


def _ladder(rows: int) -> int:
    """Rows rounded up to four steps an octave, so that many tasks share a compiled program."""
    size = _SMALLEST_ROWS
    while size < rows:
        size += max(2 ** (size.bit_length() - 1) // 4, 2)
    return size


def _pad(array: np.ndarray, rows: int) -> np.ndarray:
    return np.pad(array, [(0, rows - len(array))] + [(0, 0)] * (array.ndim - 1))
