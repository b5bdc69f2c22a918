"""All probes of one task: regimes x seeds x strengths, fitted jointly, scored on the test rows."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np

from probes import metrics
from probes.logistic import decision_values, fit_heads, predict, targets
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
        seed: Seed of the few-shot rows and of what selects; without selection the full fit does
            not depend on it.
        probe: The kind.
        solver: See `Probe`; 'closed form' for ridge.
        standardised: See `Probe`.
        class_weight: 'none' or 'balanced'.
        selection: See `Probe`.
        C: Inverse strength of the penalty.
        MCC, accuracy, macro_F1, balanced_accuracy: On the test rows.
        AUROC, AUPRC: Of the decision values on the test rows; NaN for more than two classes.
        iterations: L-BFGS iterations; 0 for ridge.
        objective: Mean loss with penalty, at the end.
        gradient_norm: Largest absolute entry of its gradient.
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

    head: np.ndarray  # [S, R, D + 1, K']
    iterations: np.ndarray
    objective: np.ndarray
    gradient_norm: np.ndarray
    converged: np.ndarray


# A draw of train rows; None: all of them.
Draw = np.ndarray | None
# x, y, weight as [N, ...] or, for several draws, [R, N, ...]; strengths [S]; the probe.
Fit = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, Probe], Fits]


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
        draws: list[Draw] = [None] if k is None else [few_shot_rows(numbers, k, s) for s in seeds]
        if probe.selection != "none":
            chosen = _select(train, probe, draws if k else [None] * len(seeds), seeds)
            for (weight, C), group in itertools.groupby(
                sorted(range(len(seeds)), key=chosen.__getitem__), key=chosen.__getitem__
            ):
                mine = list(group)
                rows = [None] if k is None else [draws[i] for i in mine]
                own = [[seeds[i] for i in mine]] if k is None else [[seeds[i]] for i in mine]
                fits = _fit(train, rows, (C,), weight, probe)
                heads += _scored(fits, (C,), weight, own, k, probe, x_test, truth, classes)
            continue
        own = [list(seeds)] if k is None else [[seed] for seed in seeds]
        for weight in probe.class_weights:
            fits = _fit(train, draws, probe.strengths, weight, probe)
            heads += _scored(fits, probe.strengths, weight, own, k, probe, x_test, truth, classes)
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
    values = _values(x_test, fits.head)
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
            fits = _fit(train, [fit for fit, _ in group], probe.strengths, weight, probe)
            for r, (_, scored) in enumerate(group):
                predicted = predict(_values(train.x[scored], fits.head[:, r]))
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
    strengths: Sequence[float],
    class_weight: str,
    probe: Probe,
) -> Fits:
    """Fits every strength on every draw; a single draw shares one copy of the features."""
    picked = [np.arange(len(train.classes)) if draw is None else draw for draw in draws]
    rows = _ladder(max(map(len, picked)))
    y = targets(train.classes, train.count)
    data: list[list[np.ndarray]] = []
    for i, own in enumerate(picked):
        x = train.x if draws[i] is None else train.x[own]
        weight = _row_weights(train.classes[own], class_weight)
        data.append([_pad(array, rows) for array in (x, y[own], weight)])
    x, y, weight = data[0] if len(data) == 1 else map(np.stack, zip(*data, strict=True))
    with jax.enable_x64(True):
        return KINDS[probe.kind](x, y, weight, np.asarray(strengths, np.float64), probe)


def _row_weights(classes: np.ndarray, class_weight: str) -> np.ndarray:
    """float64 [N]: 1, or n / (K n_k) for a row of class k, which sums to n as scikit-learn has it.

    K counts the classes that have rows.
    """
    if class_weight == "none":
        return np.ones(len(classes))
    found, numbers, counts = np.unique(classes, return_inverse=True, return_counts=True)
    return (len(classes) / (len(found) * counts))[numbers]


def _fit_logistic(
    x: np.ndarray, y: np.ndarray, weight: np.ndarray, strengths: np.ndarray, probe: Probe
) -> Fits:
    draws = 1 if x.ndim == 2 else len(x)
    if x.ndim == 3:
        x, y, weight = (np.tile(a, (len(strengths),) + (1,) * (a.ndim - 1)) for a in (x, y, weight))
    end = fit_heads(
        x,  # pyright: ignore
        y,  # pyright: ignore
        weight,  # pyright: ignore
        np.repeat(strengths, draws),  # pyright: ignore
        solver=probe.solver,
        standardised=probe.standardised,
    )
    axes = (len(strengths), draws)
    return Fits(
        np.asarray(end.x).reshape(*axes, x.shape[-1] + 1, y.shape[-1]),
        *(
            np.asarray(array).reshape(axes)
            for array in (end.iterations, end.f, end.gradient_norm, end.converged)
        ),
    )


def _fit_ridge(
    x: np.ndarray, y: np.ndarray, weight: np.ndarray, strengths: np.ndarray, probe: Probe
) -> Fits:
    if x.ndim == 2:
        x, y, weight = x[None], y[None], weight[None]
    end = fit_ridge(x, y, weight, strengths, standardised=probe.standardised)  # pyright: ignore
    head, objective, gradient = (np.swapaxes(np.asarray(array), 0, 1) for array in end)
    return Fits(
        head, np.zeros(objective.shape, int), objective, gradient, np.ones(objective.shape, bool)
    )


KINDS: Mapping[str, Fit] = {"logistic": _fit_logistic, "ridge": _fit_ridge}
# Of kinds that have one way to fit.
_SOLVER_NAMES: Mapping[str, str] = {"ridge": "closed form"}


def solver_name(probe: Probe) -> str:
    """Returns the solver as scores name it."""
    return _SOLVER_NAMES.get(probe.kind, probe.solver)


def _values(x: np.ndarray, heads: np.ndarray) -> np.ndarray:
    """Decision values float64 [..., M, K'] of every head [..., D + 1, K'], in one product."""
    with jax.enable_x64(True):
        padded = _pad(x, _ladder(len(x))).astype(np.float64)
        return np.asarray(decision_values(padded, heads))[..., : len(x), :]  # pyright: ignore


def _ladder(rows: int) -> int:
    """Rows rounded up to four steps an octave, so that many tasks share a compiled program."""
    size = _SMALLEST_ROWS
    while size < rows:
        size += max(2 ** (size.bit_length() - 1) // 4, 2)
    return size


def _pad(array: np.ndarray, rows: int) -> np.ndarray:
    return np.pad(array, [(0, rows - len(array))] + [(0, 0)] * (array.ndim - 1))
