"""All probes of one task: regimes x seeds x strengths, fitted jointly, scored on the test rows."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np

from probes import metrics
from probes.fewshot import few_shot_rows
from probes.logistic import decision_values, fit_heads, predict, targets

_SMALLEST_ROWS = 8


@dataclass(frozen=True)
class Probe:
    """What to fit.

    Attributes:
        solver: A name of `logistic.SOLVERS`: 'geneb' stops where the harness stops, 'converged'
            at the optimum.
        strengths: C of each head, positive.
    """

    solver: str = "geneb"
    strengths: tuple[float, ...] = (1.0,)


@dataclass(frozen=True)
class HeadScore:
    """One fitted head.

    Attributes:
        shots: Rows of each class it was trained on; None: all.
        seed: Seed of the few-shot rows; the full fit does not depend on it.
        probe: The kind, 'logistic'.
        solver: See `Probe`.
        standardised: Whether the features were standardised on train.
        class_weight: 'none'; every row counts alike.
        C: Inverse strength of the penalty.
        MCC, accuracy, macro_F1: On the test rows.
        iterations: L-BFGS iterations.
        objective: Mean loss with penalty ||W||^2 / (2 C n), at the end.
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
    C: float
    MCC: float
    accuracy: float
    macro_F1: float
    iterations: int
    objective: float
    gradient_norm: float
    converged: bool
    predictions: np.ndarray
    scores: np.ndarray


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

    Args:
        x_train: float32 [N, D].
        y_train: Labels, any integers [N]; the classes are those that stand here.
        x_test: float32 [M, D].
        y_test: Labels [M].
        probes: What to fit.
        shots: Regimes: rows of each class, or None for all.
        seeds: Seeds of the few-shot rows.

    Returns:
        One entry per probe, regime, strength and seed, in this order.

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
    heads = []
    for probe, k in itertools.product(probes, shots):
        draws = (
            [(None, seeds)] if k is None else [(few_shot_rows(numbers, k, s), [s]) for s in seeds]
        )
        fits = _fit(x_train, numbers, len(classes), [rows for rows, _ in draws], probe)
        values = _score(x_test, fits.pop("head"))
        predicted = predict(values)
        confusion = metrics.confusion_matrix(truth, predicted, len(classes))
        measured = {
            "MCC": metrics.mcc(confusion),
            "accuracy": metrics.accuracy(confusion),
            "macro_F1": metrics.macro_f1(confusion),
        }
        for i, C in enumerate(probe.strengths):
            for j, (_, own_seeds) in enumerate(draws):
                h = i * len(draws) + j
                fields = {name: array[h].item() for name, array in (fits | measured).items()}
                outcome = {
                    "predictions": classes[predicted[h]],
                    "scores": (values[h, :, 0] if len(classes) == 2 else values[h]).astype(
                        np.float32
                    ),
                }
                heads += [
                    HeadScore(
                        k, seed, "logistic", probe.solver, False, "none", C, **fields, **outcome
                    )
                    for seed in own_seeds
                ]
    return heads


def _fit(
    x: np.ndarray,
    numbers: np.ndarray,
    classes: int,
    draws: Sequence[np.ndarray | None],
    probe: Probe,
) -> dict[str, np.ndarray]:
    """Fits strengths x draws heads; each array has that leading axis, strengths slowest."""
    y = targets(numbers, classes)
    if draws == [None]:
        rows = _ladder(len(x))
        data = [_pad(x, rows), _pad(y, rows), _pad(np.ones(len(x)), rows)]
    else:
        drawn = [np.asarray(draw) for draw in draws] * len(probe.strengths)
        rows = _ladder(max(map(len, drawn)))
        data = [
            np.stack([_pad(array[draw], rows) for draw in drawn])
            for array in (x, y, np.ones(len(x)))
        ]
    strengths = np.repeat(probe.strengths, len(draws))
    with jax.enable_x64(True):
        data[1:] = [array.astype(np.float64) for array in data[1:]]
        fit = fit_heads(*data, strengths, solver=probe.solver)  # pyright: ignore
        return {
            "head": np.asarray(fit.x).reshape(len(strengths), x.shape[1] + 1, y.shape[1]),
            "iterations": np.asarray(fit.iterations),
            "objective": np.asarray(fit.f),
            "gradient_norm": np.asarray(fit.gradient_norm),
            "converged": np.asarray(fit.converged),
        }


def _score(x: np.ndarray, heads: np.ndarray) -> np.ndarray:
    """Decision values float64 [H, M, K'] of every head on the test rows, in one product."""
    with jax.enable_x64(True):
        padded = _pad(x, _ladder(len(x))).astype(np.float64)
        return np.asarray(decision_values(padded, heads))[:, : len(x)]


def _ladder(rows: int) -> int:
    """Rows rounded up to four steps an octave, so that many tasks share a compiled program."""
    size = _SMALLEST_ROWS
    while size < rows:
        size += max(2 ** (size.bit_length() - 1) // 4, 2)
    return size


def _pad(array: np.ndarray, rows: int) -> np.ndarray:
    return np.pad(array, [(0, rows - len(array))] + [(0, 0)] * (array.ndim - 1))
