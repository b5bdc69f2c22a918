"""All probes of one task: regimes x seeds x strengths, fitted jointly, scored on the test rows."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from probes import metrics
from probes.logistic import decision_values, fit_heads, predict, targets
from probes.mlp import FEWEST_HELD_OUT, HELD_OUT, Network, fit_mlp, mlp_values
from probes.ridge import fit_ridge
from probes.sampling import few_shot_rows, stratified_carve, stratified_folds

CLASS_WEIGHTS = ("none", "balanced")
SELECTIONS = ("none", "folds", "carve")
FOLDS = 5
CARVED_SHARE = 0.15
_SMALLEST_ROWS = 8


@dataclass(frozen=True)
class Probe:
    """What to fit.

    Attributes:
        kind: A name of `KINDS`.
        solver: A name of `logistic.SOLVERS`: 'geneb' stops where the harness stops, 'converged'
            at the optimum; other kinds have one way to fit and take no notice.
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
    classes: np.ndarray  # [N]
    count: int  # K


class Fits(NamedTuple):
    """Heads of S strengths on R draws of rows, each array with the axes [S, R] first."""

    head: Any  # linear [S, R, D + 1, K'], or the network
    iterations: np.ndarray
    objective: np.ndarray
    gradient_norm: np.ndarray
    converged: np.ndarray


# A draw of train rows; None: all of them.
Draw = np.ndarray | None


class Rows(NamedTuple):
    """Rows of R draws; a single one, or several of all rows, share arrays without the axis R."""

    x: np.ndarray  # float32 [N, D] or [R, N, D]
    y: np.ndarray  # [N, K'] or [R, N, K']
    weight: np.ndarray  # [N] or [R, N], 0 for padding
    classes: Sequence[np.ndarray]  # class numbers of each draw, without padding
    seeds: Sequence[int]  # of each draw


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
    values: Callable[[np.ndarray, Any], np.ndarray]
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

    Returns:
        One entry per probe, regime, class weight, strength and seed, in this order; one per
        probe, regime and seed where the probe selects.

    Raises:
        ValueError: Fewer than two classes, or a test label that train lacks.
    """
    classes, numbers = np.unique(y_train, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"train has the class {classes.tolist()} alone; a probe needs two")
    absent = np.setdiff1d(y_test, classes)
    if absent.size:
        raise ValueError(f"test has labels that train lacks: {absent.tolist()}")
    truth = np.searchsorted(classes, y_test)
    train = _Data(x_train, numbers, len(classes))
    heads = []
    for probe, k in itertools.product(probes, shots):
        draws = [None if k is None else few_shot_rows(numbers, k, seed) for seed in seeds]
        wanted = [(weight, probe.strengths, range(len(seeds))) for weight in probe.class_weights]
        if probe.selection != "none":
            chosen = _select(train, probe, draws, seeds)
            wanted = [
                (weight, (C,), [i for i, own in enumerate(chosen) if own == (weight, C)])
                for weight, C in dict.fromkeys(chosen)
            ]
        for weight, strengths, mine in wanted:
            own = [[seeds[i]] for i in mine]
            if k is None and not KINDS[probe.kind].seeded:
                own = [[seeds[i] for i in mine]]  # one fit stands for them all
            rows = [draws[i] for i in mine][: len(own)]
            fits = _fit(train, rows, [seeds[0] for seeds in own], strengths, weight, probe)
            heads += _scored(fits, strengths, weight, own, k, probe, x_test, truth, classes)
    return heads


def _scored(
    fits: Fits,
    strengths: Sequence[float],
    class_weight: str,
    seeds: Sequence[Sequence[int]],
    shots: int | None,
    probe: Probe,
    x_test: np.ndarray,
    truth: np.ndarray,
    classes: np.ndarray,
) -> list[HeadScore]:
    """Scores of S x R heads on the test rows; `seeds` are those that each draw stands for."""
    values = KINDS[probe.kind].values(x_test, fits.head)
    predicted = predict(values)
    confusion = metrics.confusion_matrix(truth, predicted, len(classes))
    binary = len(classes) == 2
    undefined = np.full(predicted.shape[:-1], np.nan)
    measured = {
        "MCC": metrics.mcc(confusion),
        "accuracy": metrics.accuracy(confusion),
        "macro_F1": metrics.macro_f1(confusion),
        "balanced_accuracy": metrics.balanced_accuracy(confusion),
        "AUROC": metrics.auroc(truth, values[..., 0]) if binary else undefined,
        "AUPRC": metrics.auprc(truth, values[..., 0]) if binary else undefined,
    } | {name: array for name, array in fits._asdict().items() if name != "head"}
    return [
        HeadScore(
            shots=shots,
            seed=seed,
            probe=probe.kind,
            solver=solver_name(probe),
            standardised=probe.standardised,
            class_weight=class_weight,
            selection=probe.selection,
            C=C,
            predictions=classes[predicted[s, r]],
            scores=(values[s, r, :, 0] if binary else values[s, r]).astype(np.float32),
            **{name: array[s, r].item() for name, array in measured.items()},
        )
        for s, C in enumerate(strengths)
        for r, own in enumerate(seeds)
        for seed in own
    ]


def _select(
    train: _Data, probe: Probe, draws: Sequence[Draw], seeds: Sequence[int]
) -> list[tuple[str, float]]:
    """Class weight and strength of each draw, by the mean MCC on held-out train rows."""
    grid = list(itertools.product(probe.class_weights, probe.strengths))
    fallback = (probe.class_weights[0], min(probe.strengths, key=lambda C: abs(np.log(C))))
    chosen = []
    for draw, seed in zip(draws, seeds, strict=True):
        rows = np.arange(len(train.classes)) if draw is None else draw
        held_out = _held_out(train.classes[rows], probe.selection, seed)
        if not held_out:
            chosen.append(fallback)
            continue
        # Folds of a few-shot draw are fitted together; those of all rows one after the other,
        # each in the memory of one full fit.
        splits = [(rows[~mask], rows[mask]) for mask in held_out]
        together = [splits] if draw is not None else [[split] for split in splits]
        means = np.zeros((len(probe.class_weights), len(probe.strengths)))
        for group, (w, weight) in itertools.product(together, enumerate(probe.class_weights)):
            fitted = [fit for fit, _ in group]
            fits = _fit(train, fitted, [seed] * len(group), probe.strengths, weight, probe)
            for r, (_, scored) in enumerate(group):
                head = jax.tree.map(lambda a, r=r: a[:, r : r + 1], fits.head)
                predicted = predict(KINDS[probe.kind].values(train.x[scored], head)[:, 0])
                confusion = metrics.confusion_matrix(train.classes[scored], predicted, train.count)
                means[w] += metrics.mcc(confusion) / len(splits)
        chosen.append(grid[int(np.argmax(means.ravel()))])
    return chosen


def _held_out(classes: np.ndarray, selection: str, seed: int) -> list[np.ndarray]:
    """Masks of the rows that a fit of the selection does not see; none where rows are too few."""
    smallest = int(np.bincount(classes)[np.unique(classes)].min())
    if smallest < 2:
        return []
    if selection == "carve":
        return [stratified_carve(classes, CARVED_SHARE, seed)]
    folds = min(FOLDS, smallest)
    fold = stratified_folds(classes, folds, seed)
    return [fold == number for number in range(folds)]


def _fit(
    train: _Data,
    draws: Sequence[Draw],
    seeds: Sequence[int],
    strengths: Sequence[float],
    class_weight: str,
    probe: Probe,
) -> Fits:
    """Fits every strength on every draw, each with its seed; draws of all rows share them."""
    picked = [np.arange(len(train.classes)) if draw is None else draw for draw in draws]
    size = _ladder(max(map(len, picked)))
    y = targets(train.classes, train.count)
    distinct = picked[:1] if all(draw is None for draw in draws) else picked
    data: list[list[np.ndarray]] = []
    for draw, own in zip(draws, distinct, strict=False):
        x = train.x if draw is None else train.x[own]
        weight = _row_weights(train.classes[own], class_weight)
        data.append([_pad(array, size) for array in (x, y[own], weight)])
    x, y, weight = data[0] if len(data) == 1 else map(np.stack, zip(*data, strict=True))
    rows = Rows(x, y, weight, [train.classes[own] for own in picked], seeds)
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
    x, y, weight = _repeat(rows, len(strengths))
    axes = (len(strengths), len(rows.seeds))
    with jax.enable_x64(True):
        end = fit_heads(
            x,  # pyright: ignore
            y,  # pyright: ignore
            weight,  # pyright: ignore
            np.repeat(strengths, axes[1]),  # pyright: ignore
            solver=probe.solver,
            standardised=probe.standardised,
        )
        return Fits(
            np.asarray(end.x).reshape(*axes, x.shape[-1] + 1, y.shape[-1]),
            *(
                np.asarray(array).reshape(axes)
                for array in (end.iterations, end.f, end.gradient_norm, end.converged)
            ),
        )


def _fit_ridge(rows: Rows, strengths: np.ndarray, probe: Probe) -> Fits:
    data = [a if rows.x.ndim == 3 else a[None] for a in (rows.x, rows.y, rows.weight)]
    with jax.enable_x64(True):
        end = fit_ridge(*data, strengths, standardised=probe.standardised)  # pyright: ignore
        head, objective, gradient = (np.swapaxes(np.asarray(array), 0, 1) for array in end)
    none, done = np.zeros(objective.shape, int), np.ones(objective.shape, bool)
    return Fits(head, none, objective, gradient, done)


def _fit_mlp(rows: Rows, strengths: np.ndarray, probe: Probe) -> Fits:
    data = [array.astype(np.float32) for array in _repeat(rows, len(strengths))]
    axes = (len(strengths), len(rows.seeds))
    held_out = np.zeros((axes[1], rows.x.shape[-2]), bool)
    for own, classes, seed in zip(held_out, rows.classes, rows.seeds, strict=True):
        aside = stratified_carve(classes, HELD_OUT, seed)
        if aside.sum() >= FEWEST_HELD_OUT:
            own[: len(classes)] = aside
    end = fit_mlp(
        *data,  # pyright: ignore
        np.tile(held_out, (axes[0], 1)),  # pyright: ignore
        np.repeat(strengths, axes[1]).astype(np.float32),  # pyright: ignore
        np.tile(np.asarray(rows.seeds, np.uint32), axes[0]),  # pyright: ignore
        standardised=probe.standardised,
    )
    unknown = np.full(axes, np.nan)
    epochs, objective, converged = (np.asarray(array).reshape(axes) for array in end[1:])
    network = jax.tree.map(lambda a: np.asarray(a).reshape(*axes, *a.shape[1:]), end.network)
    return Fits(network, epochs, objective, unknown, converged)


def _repeat(rows: Rows, strengths: int) -> list[np.ndarray]:
    """x, y and weight for all heads, strengths slowest; shared ones stay as they are."""
    data = [rows.x, rows.y, rows.weight]
    if rows.x.ndim == 2:
        return data
    return [np.tile(array, (strengths,) + (1,) * (array.ndim - 1)) for array in data]


def _linear_values(x: np.ndarray, heads: np.ndarray) -> np.ndarray:
    """Decision values float64 [..., M, K'] of every head [..., D + 1, K'], in one product."""
    with jax.enable_x64(True):
        padded = _pad(x, _ladder(len(x))).astype(np.float64)
        return np.asarray(decision_values(padded, heads))[..., : len(x), :]  # pyright: ignore


def _mlp_values(x: np.ndarray, network: Network) -> np.ndarray:
    """Decision values float32 [S, R, M, K'] of every network."""
    axes = network.b2.shape[:2]
    flat = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), network)
    values = np.asarray(mlp_values(_pad(x, _ladder(len(x))), flat))  # pyright: ignore
    return values.reshape(*axes, *values.shape[1:])[..., : len(x), :]


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
