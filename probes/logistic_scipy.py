"""Logistic heads fitted one by one on the host's processors, by SciPy's L-BFGS-B.

It is the routine that scikit-learn calls, on the objective of `logistic`, so nothing is compiled
and the path of iterates is scikit-learn's. Heads are [K1, D + 1] here, intercepts last, and rows
are cast to float64 a block at a time. Where there are fewer rows than features, as in few-shot
fits of most models, larger fits run on the rows' coordinates in a basis of their span.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.optimize
from jaxtyping import Float, Float32, Float64, Integer

from probes.draws import Draw, row_weights
from probes.host import cast, in_threads, over_blocks, product, single_threaded_blas
from probes.kind import FittedHeads
from probes.loss import row_loss, targets
from probes.probe import Probe
from probes.rows import TaskRows
from probes.solvers import MAX_EVALUATIONS, MEMORY, SOLVERS, Solver
from probes.standardise import is_constant
from probes.whitening import curvature, is_near_optimum

# Numbers in the features up to which they are cast once, not in each product: 32 MB as float64.
_KEPT_AS_PRODUCTS = 2**22

# Numbers in the features, times columns of decision values, from which rows are fitted in a basis
# of their span, if they are fewer than the features. Smaller fits take no less time there.
_IN_SPAN_FROM = 2**15


class _Rows(NamedTuple):
    """Rows of one fit: features, targets and weights, and the dtype of products with features."""

    x: Float[np.ndarray, "N D"]
    y: Float64[np.ndarray, "K1 N"]
    weight: Float64[np.ndarray, " N"]
    products: type


class _Scaling(NamedTuple):
    """Mean and deviation of features, and those features standardised with them."""

    mean: Float64[np.ndarray, " D"]
    deviation: Float64[np.ndarray, " D"]
    x: Float32[np.ndarray, "N D"]


class _Basis(NamedTuple):
    """The eigenbasis of centred features' covariance, and the rows that fits in it read.

    Attributes:
        x: Rows in the basis, where there are no more rows than features; else None.
        directions: Orthonormal columns.
        variance: Variance of the rows in each direction.
        mean: The rows' mean.
    """

    x: Float64[np.ndarray, "N B"] | None
    directions: Float64[np.ndarray, "D B"]
    variance: Float64[np.ndarray, " B"]
    mean: Float64[np.ndarray, " D"]


class _Span(NamedTuple):
    """An orthonormal basis of what rows span, of which there are fewer than features.

    Attributes:
        x: Rows in the basis.
        directions: Orthonormal columns.
    """

    x: Float[np.ndarray, "N N"]
    directions: Float64[np.ndarray, "D N"]


class _Fit(NamedTuple):
    """Where one fit ended; see `FittedHeads`."""

    head: Float64[np.ndarray, "K1 D1"]
    iterations: int
    objective: float
    gradient: Float64[np.ndarray, "K1 D1"]
    converged: bool


def fit_logistic(
    train: TaskRows, draws: Sequence[Draw], strengths: Float64[np.ndarray, " S"], probe: Probe
) -> FittedHeads:
    """Fits heads of S strengths C on R draws of rows, each for itself; see `kind.Kind`.

    Draws of the same rows, which differ in class weights, share what depends on features alone;
    those of other rows are fitted in other threads.
    """
    y = targets(train.classes, train.class_count).T
    solver = SOLVERS[probe.solver]
    of_rows: dict[bytes, list[int]] = {}
    for number, draw in enumerate(draws):
        of_rows.setdefault(draw.rows.tobytes(), []).append(number)

    def fit(numbers: Sequence[int]) -> list[list[_Fit]]:
        rows, _, whole, _ = draws[numbers[0]]
        return _fit_draws(
            train.x if len(rows) == len(train.x) and whole else train.x[rows],
            np.ascontiguousarray(y[:, rows]),
            [row_weights(train.classes[rows], draws[number].class_weight) for number in numbers],
            strengths,
            solver if whole else solver._replace(rounded=False),
            probe.standardised,
        )

    groups, fits = list(of_rows.values()), {}
    most_rows = max(len(draw.rows) for draw in draws)
    for group, of_group in in_threads(fit, groups, memory(most_rows, train.x.shape[1])):
        fits |= zip(groups[group], of_group, strict=True)
    heads, *facts = zip(*(fit for r in range(len(draws)) for fit in fits[r]), strict=True)
    axes = len(draws), len(strengths)

    def arranged(values: Sequence) -> np.ndarray:
        array = np.asarray(values)
        return np.swapaxes(array.reshape(*axes, *array.shape[1:]), 0, 1)

    iterations, objective, gradient, converged = map(arranged, facts)
    return FittedHeads(
        head=np.swapaxes(arranged(heads), -1, -2),
        iterations=iterations,
        objective=objective,
        gradient_norm=np.max(np.abs(gradient), axis=(-2, -1)),
        converged=converged,
    )


def fit_weighted(
    x: Float32[np.ndarray, "N D"],
    classes: Integer[np.ndarray, " N"],
    weight: Integer[np.ndarray, " N"],
    class_count: int,
    strength: float,
    solver: str,
) -> Float64[np.ndarray, "D+1 K1"]:
    """Fits one head on rows of which each stands for several, on the host whatever the sizes.

    It is the head of these rows repeated, up to the rounding of sums.

    Args:
        x: Features.
        classes: Class number 0 .. K - 1 of each row.
        weight: How many equal rows it stands for, 1 or more.
        class_count: K.
        strength: C.
        solver: A name of `solvers.SOLVERS`.
    """
    y = np.ascontiguousarray(targets(classes, class_count).T)
    weights, strengths = weight.astype(np.float64), np.array([strength])
    with single_threaded_blas():
        ((fit,),) = _fit_draws(x, y, [weights], strengths, SOLVERS[solver], standardised=False)
    return fit.head.T


def memory(rows: int, width: int) -> int:
    """Returns the bytes that fits on the same rows take: copies of features, and the eigenbasis."""
    of_number = 2 * np.dtype(np.float32).itemsize + 3 * np.dtype(np.float64).itemsize
    return of_number * rows * width


def _fit_draws(
    x: Float32[np.ndarray, "N D"],
    y: Float64[np.ndarray, "K1 N"],
    weights: Sequence[Float64[np.ndarray, " N"]],
    strengths: Float64[np.ndarray, " S"],
    solver: Solver,
    standardised: bool,
) -> list[list[_Fit]]:
    """Fits heads of every strength on draws of the same rows: of each weights, by strength."""
    scaling = _standardise(x) if standardised else None
    products = np.float32 if solver.rounded else np.float64
    features = scaling.x if scaling else x
    if features.size <= _KEPT_AS_PRODUCTS:
        features = features.astype(products, copy=False)
    if solver.whitened:
        fit = functools.partial(_fit_whitened, basis=_eigenbasis(features))
    elif len(features) < features.shape[1] and features.size * len(y) >= _IN_SPAN_FROM:
        fit = functools.partial(_fit_in_span, span=_span(features, products))
    else:
        fit = _fit_from_zero
    fits = []
    for weight in weights:
        rows = _Rows(features, y, weight, products)
        penalties = 1 / (strengths * weight.sum())
        of_draw = [fit(rows, penalty=penalty, solver=solver) for penalty in penalties]
        if scaling is not None:
            of_draw = [f._replace(head=_on_raw_features(f.head, scaling)) for f in of_draw]
        fits.append(of_draw)
    return fits


def _fit_from_zero(rows: _Rows, penalty: float, solver: Solver) -> _Fit:
    """Fits as the harness does: on the features as they are, from zero."""
    shape = len(rows.y), rows.x.shape[1] + 1

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        f, g = _objective(rows, penalty, flat.reshape(shape))
        return f, g.ravel()

    end = _minimise(objective, np.zeros(shape[0] * shape[1]), solver)
    return _Fit(end.x.reshape(shape), end.nit, end.fun, end.jac.reshape(shape), end.status == 0)


def _fit_in_span(rows: _Rows, span: _Span, penalty: float, solver: Solver) -> _Fit:
    """Fits as `_fit_from_zero` does, on the rows' coordinates in a basis of their span.

    All iterates are sums of rows, and L-BFGS takes the same path in any orthonormal basis; only
    the largest entry of the gradient, its stopping rule, must be asked in the axes of the features.
    """
    shape = len(rows.y), len(rows.x) + 1
    coordinates = rows._replace(x=span.x)
    entries = shape[0] * (rows.x.shape[1] + 1)
    start, gradient = np.zeros(shape), np.zeros(shape)

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal gradient
        f, gradient = _objective(coordinates, penalty, flat.reshape(shape))
        return f, gradient.ravel()

    def on_features(head: np.ndarray) -> np.ndarray:
        """Returns heads or gradients in the axes of the features."""
        return np.append(head[:, :-1] @ span.directions.T, head[:, -1:], axis=1)

    def is_flat(gradient: np.ndarray) -> bool:
        tolerance = solver.stopping.gradient
        if np.sum(gradient**2) > entries * tolerance**2:  # the length is the same in all axes
            return False
        return bool(np.max(np.abs(on_features(gradient))) <= tolerance)

    def stop(head: np.ndarray) -> None:
        del head  # whose gradient was the last
        if is_flat(gradient):
            raise StopIteration

    f, _ = objective(start)
    if is_flat(gradient):
        return _Fit(on_features(start), 0, f, on_features(gradient), True)
    stopping = solver.stopping._replace(gradient=0.0)
    end = _minimise(objective, start.ravel(), solver._replace(stopping=stopping), stop)
    head, slope = end.x.reshape(shape), end.jac.reshape(shape)
    converged = end.status == 0 or is_flat(slope)
    return _Fit(on_features(head), end.nit, end.fun, on_features(slope), converged)


def _fit_whitened(rows: _Rows, basis: _Basis, penalty: float, solver: Solver) -> _Fit:
    """Fits to the optimum, in the scaled eigenbasis of the centred features (see `whitening`)."""
    m = curvature(len(rows.y))
    scale = 1 / np.sqrt(np.append(m * basis.variance + penalty, m))
    shape = len(rows.y), len(scale)

    def rotated(head: np.ndarray) -> np.ndarray:
        """Returns the head on features that a head on coordinates is."""
        return _shifted(head[:, :-1] @ basis.directions.T, head[:, -1:], basis.mean)

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        head = flat.reshape(shape) * scale
        if basis.x is not None:
            f, g = _objective(rows._replace(x=basis.x), penalty, head)
        else:
            f, g = _objective(rows, penalty, rotated(head))
            g = np.append((g[:, :-1] - g[:, -1:] * basis.mean) @ basis.directions, g[:, -1:], 1)
        return f, (g * scale).ravel()

    end = _minimise(objective, np.zeros(shape[0] * shape[1]), solver)
    head = rotated(end.x.reshape(shape) * scale)
    f, g = _objective(rows._replace(products=np.float64), penalty, head)
    converged = is_near_optimum(f, np.sum(g * g), penalty) if solver.rounded else end.status == 0
    return _Fit(head, end.nit, f, g, bool(converged))


def _minimise(
    objective: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    solver: Solver,
    callback: Callable[[np.ndarray], None] | None = None,
) -> scipy.optimize.OptimizeResult:
    """Returns where SciPy's L-BFGS-B stops; its status is 0 where a tolerance was met.

    Args:
        objective: Returns the value and the gradient.
        start: Where it starts.
        solver: Says when it stops.
        callback: Takes where each iteration ends, for which the objective was asked last, and
            raises `StopIteration` where the fit is to stop there.
    """
    stopping = solver.stopping
    options = {
        "maxcor": MEMORY,
        "maxls": MAX_EVALUATIONS,
        "gtol": stopping.gradient,
        "ftol": stopping.decrease,
        "maxiter": stopping.iterations,
        "maxfun": MAX_EVALUATIONS * stopping.iterations,
    }
    return scipy.optimize.minimize(
        objective, start, jac=True, method="L-BFGS-B", callback=callback, options=options
    )


def _objective(
    rows: _Rows, penalty: float, head: Float64[np.ndarray, "K1 D1"]
) -> tuple[float, Float64[np.ndarray, "K1 D1"]]:
    """Returns the averaged objective of a head and its gradient (see `objective`)."""
    w, b = head[:, :-1], head[:, -1:]
    factor = w.astype(rows.products)

    def of_block(block: slice) -> tuple[float, np.ndarray, np.ndarray]:
        x = cast(rows.x[block], rows.products)
        weight = rows.weight[block]
        values = product(factor, x.T).astype(np.float64, copy=False) + b
        loss, residual = row_loss(values, rows.y[:, block], axis=0)
        residual *= weight
        slope = product(residual.astype(rows.products, copy=False), x)
        return float(loss @ weight), slope, residual.sum(axis=1)

    losses, slopes, offsets = zip(*over_blocks(of_block, *rows.x.shape), strict=True)
    count = rows.weight.sum()
    gradient = np.empty_like(head)
    slope = functools.reduce(np.add, slopes, np.float64(0))
    gradient[:, :-1] = slope / count + penalty * w
    gradient[:, -1] = functools.reduce(np.add, offsets) / count
    return np.sum(losses) / count + 0.5 * penalty * np.sum(w * w), gradient


def _standardise(x: Float32[np.ndarray, "N D"]) -> _Scaling:
    """Standardises features, as scikit-learn's `StandardScaler`; see `standardise`."""
    mean = _sum_rows(x, lambda x: x) / len(x)
    deviation = np.sqrt(_sum_rows(x, lambda x: (x - mean) ** 2) / len(x))
    deviation[is_constant(mean, deviation, x.dtype)] = 1
    scaled = np.empty_like(x)

    def fill(block: slice) -> None:
        scaled[block] = (x[block] - mean) / deviation

    over_blocks(fill, *x.shape)
    return _Scaling(mean, deviation, scaled)


def _on_raw_features(head: np.ndarray, scaling: _Scaling) -> np.ndarray:
    """Returns the head [K1, D + 1] for raw features that a head for standardised ones is."""
    return _shifted(head[:, :-1] / scaling.deviation, head[:, -1:], scaling.mean)


def _shifted(w: np.ndarray, b: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Returns the head x w' + (b - mean w') that w [K1, D] and b [K1, 1] are on x - mean."""
    return np.append(w, b - (w @ mean)[:, None], axis=1)


def _span(x: Float[np.ndarray, "N D"], products: type) -> _Span:
    """Returns an orthonormal basis of the span of N rows, N < D, and the rows in it."""
    directions, coordinates = np.linalg.qr(x.T.astype(np.float64))
    return _Span(np.ascontiguousarray(coordinates.T, products), directions)


def _eigenbasis(x: Float[np.ndarray, "N D"]) -> _Basis:
    """Returns the eigenbasis of the covariance of rows, each of which counts once."""
    rows, width = x.shape
    mean = _sum_rows(x, lambda x: x) / rows
    if rows > width:

        def square(block: slice) -> np.ndarray:
            centred = x[block] - mean
            return centred.T @ centred

        covariance = functools.reduce(np.add, over_blocks(square, rows, width)) / rows
        variance, directions = scipy.linalg.eigh(covariance)
        return _Basis(None, directions, np.maximum(variance, 0), mean)
    centred = x - mean
    variance, left = scipy.linalg.eigh(centred @ centred.T / rows)
    reached = variance > np.finfo(np.float64).eps * rows * variance[-1]
    variance, left = variance[reached], left[:, reached]
    length = np.sqrt(variance * rows)
    return _Basis(left * length, centred.T @ (left / length), variance, mean)


def _sum_rows(
    x: Float[np.ndarray, "N D"], of_rows: Callable[[np.ndarray], np.ndarray]
) -> Float64[np.ndarray, " D"]:
    """Returns the sum of what a function makes of rows in float64."""

    def part(block: slice) -> np.ndarray:
        return of_rows(x[block].astype(np.float64)).sum(axis=0)

    return np.sum(over_blocks(part, *x.shape), axis=0)
