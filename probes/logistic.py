"""Logistic-regression heads: scikit-learn's objective, all heads of a batch in one compiled fit.

    0.5 ||W||^2 + C sum_i loss(x_i W + b, y_i),   b free

One weight vector for two classes (binomial loss), K for three and more (multinomial loss).
Divided by C n it is the mean loss with penalty ||W||^2 / (2 C n), which is what scikit-learn's
`LogisticRegression(solver='lbfgs')` minimises and what its tolerances refer to.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from probes.blocks import multiply, over_blocks
from probes.eigen import eigenbasis, to_basis, to_features
from probes.lbfgs import Result, Stopping, largest_entry, minimise
from probes.standardise import fold_into_head, standardise, standardise_draws


class Solver(NamedTuple):
    """How heads are fitted.

    Attributes:
        whitened: In the eigenbasis of the features' covariance, to the optimum; else on the
            features as they are, from zero, as scikit-learn does.
        stopping: When a fit stops.
        rounded: Products with features that heads share are float32; all else is float64.
    """

    whitened: bool
    stopping: Stopping
    rounded: bool = False


# scikit-learn's: tol=1e-4, max_iter=1000, ftol = 64 eps of float64.
_HARNESS = Stopping(1e-4, 64 * 2.0**-52, 1000)
SOLVERS: Mapping[str, Solver] = {
    # As scikit-learn 1.5 fits float32 features: it casts them to float64.
    "geneb": Solver(False, _HARNESS),
    # As later versions do.
    "geneb-float32": Solver(False, _HARNESS, rounded=True),
    # In whitened coordinates, where a step of 1 is about right in every direction.
    "converged": Solver(True, Stopping(1e-8, 0.0, 20000)),
    # A gradient of float32 products is known to some 1e-7.
    "converged-float32": Solver(True, Stopping(1e-5, 1e-9, 2000), rounded=True),
}
_LARGEST_EXCESS = 1e-3  # of the objective, for a fit of float32 products to count as converged

_FEWEST_COLUMNS = 4  # of a product on rows: two and three take CPUs longer than four

# Widths, parts of the heads, that products on shared rows are compiled for: as heads stop, the
# others go on in narrower ones.
_WIDTHS = 5

# Features, the largest ones, of which a rotated gradient's entries are looked at before all are.
_FIRST_AXES = 64


class _Rows(NamedTuple):
    """Rows that all heads share; or, with a leading axis, of each draw or head.

    Attributes:
        x: [N, D].
        y: [K', N].
        weight: [N]; of shared rows [R, N], as each draw has them.
        scaling: Mean and deviation [R, D] that shared features have in each draw, whose fit is on
            features without them; None: they stay.
        draw: Of each head on shared rows, its draw [H].
    """

    x: Array
    y: Array
    weight: Array
    scaling: tuple[Array, Array] | None = None
    draw: Array | None = None


class Heads(NamedTuple):
    """Fitted heads, leading axes [S, R].

    Attributes:
        x: The head [D + 1, K'], the last row its intercepts.
        f: Averaged objective.
        gradient_norm: Largest absolute entry of its gradient.
        iterations: L-BFGS iterations.
        converged: Whether a tolerance was met, not the limit or a failed line search; of a
            whitened fit with float32 products, whether the objective is known to be within 0.1 %
            of the optimum.
    """

    x: Array
    f: Array
    gradient_norm: Array
    iterations: Array
    converged: Array


@functools.partial(jax.jit, static_argnames=("solver", "standardised"))
def fit_heads(
    x: Array,
    y: Array,
    weight: Array,
    strength: Array,
    *,
    solver: str,
    standardised: bool = False,
) -> Heads:
    """Fits S heads on each of R draws of rows, together; arithmetic is in `strength`'s dtype.

    Args:
        x: Features [N, D] that all draws share, or [R, N, D]; float32 stays float32 in memory.
        y: Targets [N, K'] or [R, N, K']: the second class's indicator (K' = 1), or one-hot.
        weight: Weight of each row in the loss, 0 for padding, [R, N].
        strength: C of each head [S].
        solver: A name of `SOLVERS`.
        standardised: Fit on features of mean 0 and variance 1 over the rows that count; the head
            is returned for the features as they are, objective and gradient are the fit's.

    Returns:
        The heads, each field with the leading axes [S, R].
    """
    dtype = strength.dtype
    weight = weight.astype(dtype)
    own, scalings = None, []
    if standardised and x.ndim == 3:
        x, *scaling = jax.vmap(functools.partial(standardise, dtype=dtype))(x, weight)
        scalings = [scaling]
    elif standardised and len(weight) == 1:
        x, *scaling = standardise(x, weight[0], dtype)
        scalings = [scaling]
    elif standardised:
        x, scaling, own = standardise_draws(x, weight, dtype)
        scalings = [own, scaling]
    rows = _Rows(x, jnp.swapaxes(y, -1, -2).astype(dtype), weight, own)
    chosen = SOLVERS[solver]
    end = (_fit_whitened if chosen.whitened else _fit_from_zero)(rows, strength, chosen)
    axes = len(strength), len(weight)
    end = jax.tree.map(lambda array: array.reshape(*axes, *array.shape[1:]), end)
    head = jnp.swapaxes(end.x, -1, -2)
    for mean, deviation in scalings:
        head = fold_into_head(head, mean, deviation)
    return end._replace(x=head)


def _fit_from_zero(rows: _Rows, strength: Array, solver: Solver) -> Heads:
    """The harness's fit: raw features, start at zero.

    The iterates are sums of rows, so with fewer rows than features the fit runs on the rows'
    coordinates in an orthonormal basis of their span. L-BFGS takes the same path there; only the
    largest entry of the gradient, its stopping rule, must be asked in the features' own axes.
    (Shared rows that each draw scales for itself have no span in common.)
    """
    width, classes = rows.x.shape[-1], rows.y.shape[-2]
    few = rows.x.shape[-2] < width and rows.scaling is None
    basis = first = None
    if few:
        axes, coordinates = jnp.linalg.qr(jnp.swapaxes(rows.x, -1, -2).astype(strength.dtype))
        basis = jnp.swapaxes(axes, -1, -2)
        size = jnp.sum(rows.x * rows.x, axis=-2)
        largest = jax.lax.top_k(size, min(_FIRST_AXES, width))[1]
        first = jnp.take_along_axis(basis, jnp.expand_dims(largest, -2), axis=-1)
        rows = rows._replace(x=jnp.swapaxes(coordinates, -1, -2))
    own, parts = _by_head(rows, (basis, first), strength)

    def objective(own: Any, flat: Array, asked: Array) -> tuple[Array, Array]:
        penalty, rows, _ = parts(own)
        head = flat.reshape(len(flat), classes, -1)
        f, g = _objective(rows, penalty, head, solver.rounded, asked)
        return f, g.reshape(flat.shape)

    def unrotated(flat: Array, basis: Array | None) -> Array:
        """Heads or gradients in the features' axes, or in those that a basis has."""
        head = flat.reshape(len(flat), classes, -1)
        if basis is None:
            return head
        return jnp.concatenate([multiply(head[..., :-1], basis), head[..., -1:]], axis=-1)

    def norm(own: Any, g: Array, asked: Array) -> Array:
        _, _, (basis, first) = parts(own)
        if basis is None:
            return largest_entry(own, g, asked)

        def largest(basis: Array) -> Array:
            return jnp.max(jnp.abs(unrotated(g, basis)), axis=(1, 2))

        # Most gradients are too large in a few of the axes already.
        least = largest(first)
        near = jnp.any(asked & (least <= solver.stopping.gradient))
        return jax.lax.cond(near, lambda: largest(basis), lambda: least)

    heads = len(strength) * len(rows.weight)
    start = jnp.zeros((heads, classes * (rows.x.shape[-1] + 1)), strength.dtype)
    end = minimise(objective, own, start, solver.stopping, norm)
    _, _, (basis, _) = parts(own)
    return _heads(end, unrotated(end.x, basis), end.f, unrotated(end.gradient, basis))


def _fit_whitened(rows: _Rows, strength: Array, solver: Solver) -> Heads:
    """The optimum, found in the scaled eigenbasis of the centred features' covariance.

    The loss's curvature is about m X'X / N there, m = (1 - 1/K) / K the variance of a class
    indicator at even odds: dividing each direction by the square root of m variance + penalty
    makes the Hessian about the identity, whatever the features' scales.

    With more rows than features the basis is applied to the heads, and the rows are read as they
    are; otherwise to the rows, once. Draws of shared rows share the basis of all of them: each
    draw's covariance is near enough. Where they scale the features by s and there are fewer rows
    than features, the optimum lies in the basis's span divided by s, for which s is near 1.
    """
    classes = rows.y.shape[-2]
    levels = max(classes, 2)
    curvature = (1 - 1 / levels) / levels
    find = functools.partial(eigenbasis, dtype=strength.dtype)
    if rows.x.ndim == 2:
        basis = find(rows.x, jnp.max(rows.weight, axis=0))
    else:
        basis = jax.vmap(find)(rows.x, rows.weight)
    coordinates = basis.x if rows.scaling is None else None
    own, parts = _by_head(rows, (coordinates, basis._replace(x=None)), strength)

    def scaled(own: Any, heads: Array) -> Array:
        """Heads or, as the map is its own transpose, gradients [H, K', R + 1]."""
        penalty, _, (_, basis) = parts(own)
        variance = jnp.broadcast_to(basis.variance, (len(heads), basis.variance.shape[-1]))
        flat = jnp.zeros((len(heads), 1), heads.dtype)  # of the intercept
        diagonal = curvature * variance + penalty[:, None]
        diagonal = jnp.concatenate([diagonal, flat + curvature], axis=1)
        return heads * jax.lax.rsqrt(diagonal)[:, None]

    def rotated(own: Any, heads: Array) -> Array:
        """[H, K', R + 1] on coordinates -> [H, K', D + 1] on features."""
        _, rows, (_, basis) = parts(own)
        w = to_features(basis.directions, heads[..., :-1])
        if rows.scaling is not None:
            w = w / rows.scaling[1][rows.draw][:, None]
        shift = multiply(w, basis.mean[..., None])
        return jnp.concatenate([w, heads[..., -1:] - shift], axis=-1)

    def rotated_back(own: Any, g: Array) -> Array:
        """The transpose, for gradients."""
        _, rows, (_, basis) = parts(own)
        mean = basis.mean if basis.mean.ndim == 1 else basis.mean[:, None]
        slope = g[..., :-1] - g[..., -1:] * mean
        if rows.scaling is not None:
            slope = slope / rows.scaling[1][rows.draw][:, None]
        return jnp.concatenate([to_basis(basis.directions, slope), g[..., -1:]], axis=-1)

    def objective(own: Any, flat: Array, asked: Array) -> tuple[Array, Array]:
        penalty, rows, (coordinates, _) = parts(own)
        head = scaled(own, flat.reshape(len(flat), classes, -1))
        if coordinates is not None:
            rows = rows._replace(x=coordinates)
            f, g = _objective(rows, penalty, head, solver.rounded, asked)
        else:
            f, g = _objective(rows, penalty, rotated(own, head), solver.rounded, asked)
            g = rotated_back(own, g)
        return f, scaled(own, g).reshape(flat.shape)

    heads = len(strength) * len(rows.weight)
    start = jnp.zeros((heads, (basis.variance.shape[-1] + 1) * classes), strength.dtype)
    end = minimise(objective, own, start, solver.stopping)
    head = rotated(own, scaled(own, end.x.reshape(heads, classes, -1)))
    penalty, rows, _ = parts(own)
    f, g = _objective(rows, penalty, head)
    if solver.rounded:
        # A function of curvature m or more exceeds its minimum by at most |g|^2 / (2 m). Of the
        # weights m is the penalty; of intercepts, a class's variance, which is more.
        excess = jnp.sum(g * g, axis=(1, 2)) / (2 * penalty)
        end = end._replace(converged=excess <= _LARGEST_EXCESS * f)
    return _heads(end, head, f, g)


def _heads(end: Result, head: Array, f: Array, gradient: Array) -> Heads:
    """Of heads and gradients [H, K', D + 1]."""
    largest = jnp.max(jnp.abs(gradient), axis=(1, 2))
    return Heads(head, f, largest, end.iterations, end.converged)


def _by_head(rows: _Rows, more: Any, strength: Array) -> tuple[Any, Callable[[Any], Any]]:
    """What each of H heads, strengths times draws, has of its own, for `minimise`.

    Args:
        rows: Shared, or of each draw.
        more: Further arrays, shared or of each draw as the rows are.
        strength: C [S].

    Returns:
        What each head has of its own, and what takes (penalty [H], rows, more) out of it: shared
        ones as they are, of draws with the leading axis H.
    """
    penalty = (1 / (strength[:, None] * jnp.sum(rows.weight, axis=-1))).ravel()

    def repeat(array: Array) -> Array:
        return jnp.tile(array, (len(strength),) + (1,) * (array.ndim - 1))

    if rows.x.ndim == 3:
        return (penalty, *jax.tree.map(repeat, (rows, more))), lambda own: own
    draw = repeat(jnp.arange(len(rows.weight)))
    return (penalty, draw), lambda own: (own[0], rows._replace(draw=own[1]), more)


def _objective(
    rows: _Rows,
    penalty: Array,
    head: Array,
    rounded: bool = False,
    asked: Array | None = None,
) -> tuple[Array, Array]:
    """Averaged objectives [H] and their gradients [H, K', D + 1] at heads [H, K', D + 1].

    Of heads that are not `asked` for [H] anything; without it all are.
    """
    count = jnp.sum(rows.weight, axis=-1)
    if rows.x.ndim == 3:
        loss, slope, offset = _draw_sums(rows, head)
    else:
        count = count[rows.draw]
        products = jnp.dtype("float32") if rounded else head.dtype
        sums = functools.partial(_shared_sums, rows, products)
        unscaled = _on_shared_features(rows, head)
        heads = unscaled, rows.draw
        loss, slope, offset = sums(*heads) if asked is None else _of_some(sums, heads, asked)
        slope = _on_scaled_features(rows, slope, offset)
    w = head[..., :-1]
    f = loss / count + 0.5 * penalty * jnp.sum(w * w, axis=(1, 2))
    count = count[:, None, None]
    gradient = slope / count + penalty[:, None, None] * w
    return f, jnp.concatenate([gradient, offset[..., None] / count], axis=-1)


def _on_shared_features(rows: _Rows, head: Array) -> Array:
    """The heads [H, K', D + 1] for features that are not yet scaled as their draws scale them."""
    if rows.scaling is None:
        return head
    mean, deviation = (own[rows.draw] for own in rows.scaling)
    return jnp.swapaxes(fold_into_head(jnp.swapaxes(head, 1, 2), mean, deviation), 1, 2)


def _on_scaled_features(rows: _Rows, slope: Array, offset: Array) -> Array:
    """The transpose: slopes [H, K', D] by the weights of heads for scaled features."""
    if rows.scaling is None:
        return slope
    mean, deviation = (own[rows.draw][:, None] for own in rows.scaling)
    return (slope - offset[..., None] * mean) / deviation


def _draw_sums(rows: _Rows, head: Array) -> tuple[Array, Array, Array]:
    """Sums over each head's own rows of the loss [H] and its slopes [H, K', D] and [H, K']."""
    x = rows.x.astype(head.dtype)
    z = jnp.swapaxes(multiply(x, jnp.swapaxes(head[..., :-1], 1, 2)), 1, 2) + head[..., -1:]
    loss, residual = row_loss(z, rows.y, axis=1)
    residual = residual * rows.weight[:, None]
    return jnp.sum(loss * rows.weight, axis=1), multiply(residual, x), jnp.sum(residual, axis=2)


def _shared_sums(
    rows: _Rows, products: jnp.dtype, head: Array, draw: Array | None
) -> tuple[Array, Array, Array]:
    """The same over rows that all heads share: each product serves them all."""
    w, b = head[..., :-1], head[..., -1:]
    columns = head.shape[0] * head.shape[1]
    flat = w.reshape(columns, -1).astype(products)
    if 1 < columns < _FEWEST_COLUMNS:
        flat = jnp.pad(flat, [(0, _FEWEST_COLUMNS - columns), (0, 0)])

    def add(x: Array, y: Array, weight: Array, total: tuple[Array, ...]) -> tuple[Array, ...]:
        x = x.astype(products)
        # Kept apart from its transpose: a narrow product is fast in this order alone.
        z = jax.lax.optimization_barrier(multiply(x, flat.T))
        z = z.T[:columns].astype(head.dtype).reshape(*w.shape[:2], -1) + b
        loss, residual = row_loss(z, y.T, axis=1)
        own = weight.T if weight.shape[1] == 1 else weight.T[draw]  # [1, B] or [H, B]
        residual = residual * own[:, None]
        slope = multiply(residual.reshape(columns, -1).astype(products), x)
        slope = slope.astype(head.dtype).reshape(w.shape)
        new = jnp.sum(loss * own, axis=1), slope, jnp.sum(residual, axis=2)
        return jax.tree.map(jnp.add, total, new)

    zero = jnp.zeros(len(head), head.dtype), jnp.zeros_like(w), jnp.zeros_like(b[..., 0])
    return over_blocks(add, (rows.x, rows.y.T, rows.weight.T), zero, columns)


def _of_some(sums: Callable[..., tuple[Array, ...]], heads: Any, asked: Array) -> tuple[Array, ...]:
    """`sums` of the heads asked for, in the narrowest of some widths; zeros for others."""
    count = len(asked)
    order = jnp.argsort(~asked, stable=True)
    widths = sorted({-(-count * part // _WIDTHS) for part in range(1, _WIDTHS + 1)})

    def of_first(width: int) -> tuple[Array, ...]:
        some = order[:width]
        return jax.tree.map(
            lambda part: jnp.zeros((count, *part.shape[1:]), part.dtype).at[some].set(part),
            sums(*jax.tree.map(lambda array: array[some], heads)),
        )

    narrowest = jnp.searchsorted(jnp.array(widths), jnp.sum(asked))
    return jax.lax.switch(narrowest, [functools.partial(of_first, width) for width in widths])


def row_loss(z: Array, y: Array, axis: int = -1) -> tuple[Array, Array]:
    """Loss of each row and its derivative by the decision values.

    Args:
        z: Decision values, K' along `axis`.
        y: Targets, broadcast to them.
        axis: Of the classes; the loss lacks it.
    """
    if z.shape[axis] == 1:
        e = jnp.exp(-jnp.abs(z))
        loss = jnp.maximum(z, 0) + jnp.log1p(e) - y * z
        return jnp.squeeze(loss, axis), jnp.where(z >= 0, 1, e) / (1 + e) - y
    top = jax.lax.stop_gradient(jnp.max(z, axis=axis, keepdims=True))
    e = jnp.exp(z - top)
    total = jnp.sum(e, axis=axis, keepdims=True)
    loss = jnp.log(total) + top - jnp.sum(y * z, axis=axis, keepdims=True)
    return jnp.squeeze(loss, axis), e / total - y


@jax.jit
def decision_values(x: Array, head: Array) -> Array:
    """x W + b: [N, D] and [..., D + 1, K'] -> [..., N, K']."""
    product = multiply(x, head[..., :-1, :])
    return product + head[..., -1:, :]


def targets(classes: np.ndarray, count: int) -> np.ndarray:
    """Class numbers [N] as the targets of `fit_heads`, float64 [N, K']."""
    one_hot = np.eye(count)[classes]
    return one_hot[:, 1:] if count == 2 else one_hot
