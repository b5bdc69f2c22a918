"""Logistic heads fitted together on the devices: all heads of a batch in one compiled program.

The objective is that of `logistic`, divided by C n, n = sum_i weight_i: the mean loss with penalty
||W||^2 / (2 C n).
"""

import functools
import importlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, PyTree

from probes.blocks import multiply
from probes.draws import PaddedRows
from probes.eigen import Basis, eigenbasis, to_basis, to_features
from probes.kind import FittedHeads
from probes.lbfgs import Result, largest_entry, minimise
from probes.objective import HeadRows, averaged_objective
from probes.solvers import MEMORY, SOLVERS, Solver
from probes.standardise import fold_into_head, standardise, standardise_draws
from probes.whitening import curvature, is_near_optimum

_STATE_BYTES = 2**28  # of the heads that are fitted together

# On CPUs programs are compiled without XLA's fusion emitters: it takes a fifth to a third less time
# and 60 to 90 MB instead of 220 to 290, and the heads of all solvers but `optax` are the same. From
# JAX 0.11 on that can be had by XLA_FLAGS alone, for all programs of a process.
_COMPILER_OPTIONS: Mapping[str, Mapping[str, bool]] = (
    {"cpu": {"xla_cpu_use_fusion_emitters": False}} if jax.__version_info__ < (0, 11) else {}
)

_OPTAX = "probes.logistic_optax"  # imported when it is asked for: optax costs 0.1 s

# Features, the largest ones, of which a rotated gradient's entries are looked at before all are.
_FIRST_AXES = 64


def fit_in_parts(
    rows: PaddedRows, strengths: np.ndarray, *, solver: str, standardised: bool
) -> FittedHeads:
    """Fits heads as `fit_logistic` does; draws that share rows in parts whose state has room."""
    fit = functools.partial(program(), solver=solver, standardised=standardised)
    draws, weights = len(rows.weight), _weights_of_parts(rows, len(strengths))
    parts = [fit(rows.x, rows.y, weight, strengths) for weight in weights]
    if len(parts) == 1:
        return parts[0]
    return jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=1)[:, :draws], *parts)


def compile_parts(
    rows: PaddedRows, strengths: np.ndarray, *, solver: str, standardised: bool
) -> None:
    """Compiles the program of `fit_in_parts`, which all parts share."""
    weight = _weights_of_parts(rows, len(strengths))[0]
    program().lower(
        rows.x, rows.y, weight, strengths, solver=solver, standardised=standardised
    ).compile()


def _weights_of_parts(rows: PaddedRows, strengths: int) -> list[np.ndarray]:
    """Returns the weights of each part's draws, as many in each; the last draw fills the last."""
    if rows.x.ndim == 3:
        return [rows.weight]
    draws, size = len(rows.weight), _draws_together(rows, strengths)
    weights = np.pad(rows.weight, [(0, -draws % size), (0, 0)], mode="edge")
    return [weights[first : first + size] for first in range(0, draws, size)]


def _draws_together(rows: PaddedRows, strengths: int) -> int:
    """Returns how many draws of shared rows may be fitted in one part.

    The state of their heads, mostly L-BFGS pairs, is `_STATE_BYTES` at most.
    """
    parameters = rows.y.shape[-1] * (rows.x.shape[-1] + 1)
    pairs = 2 * MEMORY * parameters * 8
    # Twice: the next state stands beside the last.
    together = max(_STATE_BYTES // (2 * strengths * pairs), 1)
    draws = len(rows.weight)
    return -(-draws // -(-draws // together))


@functools.cache
def program(platform: str | None = None) -> Any:
    """Returns `fit_logistic` as a jitted function for a platform; None: JAX's default backend."""
    return jax.jit(
        fit_logistic,
        static_argnames=("solver", "standardised"),
        compiler_options=dict(_COMPILER_OPTIONS.get(platform or jax.default_backend(), {})),
    )


def fit_logistic(
    x: Float[Array, "*draws N D"],
    y: Float[Array, "*draws N K1"],
    weight: Float[Array, "R N"],
    strength: Float[Array, " S"],
    *,
    solver: str,
    standardised: bool = False,
) -> FittedHeads:
    """Fits S heads on each of R draws of rows, together; arithmetic is in `strength`'s dtype.

    It is traceable; `program` jits it.

    Args:
        x: Features; float32 stays float32 in memory.
        y: Targets: the second class's indicator (K1 = 1), or one-hot.
        weight: Weight of each row in the loss, 0 for padding.
        strength: C of each head.
        solver: A name of `solvers.SOLVERS`.
        standardised: Fit on features of mean 0 and variance 1 over the rows with a weight above
            0; the head is returned for the features as they are, objective and gradient are those
            of the fit.
    """
    dtype = strength.dtype
    weight = weight.astype(dtype)
    draw_scaling, scalings = None, []
    if standardised and x.ndim == 3:
        x, *scaling = jax.vmap(functools.partial(standardise, dtype=dtype))(x, weight)
        scalings = [scaling]
    elif standardised and len(weight) == 1:
        x, *scaling = standardise(x, weight[0], dtype)
        scalings = [scaling]
    elif standardised:
        x, scaling, draw_scaling = standardise_draws(x, weight, dtype)
        scalings = [draw_scaling, scaling]
    rows = HeadRows(x, jnp.swapaxes(y, -1, -2).astype(dtype), weight, draw_scaling)
    chosen = SOLVERS[solver]
    end = (_fit_whitened if chosen.whitened else _fit_from_zero)(rows, strength, chosen)
    axes = len(strength), len(weight)
    end = jax.tree.map(lambda array: array.reshape(*axes, *array.shape[1:]), end)
    head = jnp.swapaxes(end.head, -1, -2)
    for mean, deviation in scalings:
        head = fold_into_head(head, mean, deviation)
    return end._replace(head=head)


def _fit_from_zero(rows: HeadRows, strength: Array, solver: Solver) -> FittedHeads:
    """Fits as the harness does: on raw features, from zero.

    The iterates are sums of rows, so with fewer rows than features the fit runs on the rows'
    coordinates in an orthonormal basis of their span. L-BFGS takes the same path there; only the
    largest entry of the gradient, its stopping rule, must be asked in the axes of the features.
    (Shared rows that each draw scales for itself have no span in common.)

    Returns:
        Heads [H, K1, D + 1] and their facts [H].
    """
    width, columns = rows.x.shape[-1], rows.y.shape[-2]
    few = rows.x.shape[-2] < width and rows.scaling is None
    basis = first = None
    if few:
        axes, coordinates = jnp.linalg.qr(jnp.swapaxes(rows.x, -1, -2).astype(strength.dtype))
        basis = jnp.swapaxes(axes, -1, -2)
        size = jnp.sum(rows.x * rows.x, axis=-2)
        largest = jax.lax.top_k(size, min(_FIRST_AXES, width))[1]
        first = jnp.take_along_axis(basis, jnp.expand_dims(largest, -2), axis=-1)
        rows = rows._replace(x=jnp.swapaxes(coordinates, -1, -2))
    per_head, parts = _by_head(rows, (basis, first), strength)

    def objective(per_head: PyTree, flat: Array, needed: Array | None) -> tuple[Array, Array]:
        penalty, rows, _ = parts(per_head)
        head = flat.reshape(len(flat), columns, -1)
        f, g = averaged_objective(rows, penalty, head, solver.rounded, needed)
        return f, g.reshape(flat.shape)

    def unrotated(flat: Array, basis: Array | None) -> Array:
        """Returns heads or gradients [H, K1, any + 1] in the axes that a basis has as columns."""
        head = flat.reshape(len(flat), columns, -1)
        if basis is None:
            return head
        return jnp.concatenate([multiply(head[..., :-1], basis), head[..., -1:]], axis=-1)

    def norm(per_head: PyTree, g: Array, needed: Array) -> Array:
        _, _, (basis, first) = parts(per_head)
        if basis is None:
            return largest_entry(per_head, g, needed)

        def largest(basis: Array) -> Array:
            return jnp.max(jnp.abs(unrotated(g, basis)), axis=(1, 2))

        # Most gradients are too large in a few of the axes already.
        least = largest(first)
        near = jnp.any(needed & (least <= solver.stopping.gradient))
        return jax.lax.cond(near, lambda: largest(basis), lambda: least)

    heads = len(strength) * len(rows.weight)
    start = jnp.zeros((heads, columns * (rows.x.shape[-1] + 1)), strength.dtype)
    end = minimise(objective, per_head, start, solver.stopping, norm)
    _, _, (basis, _) = parts(per_head)
    return _fitted(end, unrotated(end.x, basis), end.f, unrotated(end.gradient, basis))


def _fit_whitened(rows: HeadRows, strength: Array, solver: Solver) -> FittedHeads:
    """Fits to the optimum, in the scaled eigenbasis of the centred features (see `whitening`).

    With more rows than features the basis is applied to the heads, and the rows are read as they
    are; otherwise to the rows, once. Draws of shared rows share the basis of all of them: each
    draw's covariance is near enough. Where they scale the features by s and there are fewer rows
    than features, the optimum lies in the basis's span divided by s, for which s is near 1.

    Returns:
        Heads [H, K1, D + 1] and their facts [H].
    """
    columns = rows.y.shape[-2]
    basis_of = functools.partial(eigenbasis, dtype=strength.dtype)
    if rows.x.ndim == 2:
        basis = basis_of(rows.x, jnp.max(rows.weight, axis=0))
    else:
        basis = jax.vmap(basis_of)(rows.x, rows.weight)
    coordinates = basis.x if rows.scaling is None else None
    per_head, parts = _by_head(rows, (coordinates, basis._replace(x=None)), strength)

    def objective(per_head: PyTree, flat: Array, needed: Array | None) -> tuple[Array, Array]:
        penalty, rows, (coordinates, basis) = parts(per_head)
        head = _scaled(penalty, basis, flat.reshape(len(flat), columns, -1))
        if coordinates is not None:
            rows = rows._replace(x=coordinates)
            f, g = averaged_objective(rows, penalty, head, solver.rounded, needed)
        else:
            head = _rotated(rows, basis, head)
            f, g = averaged_objective(rows, penalty, head, solver.rounded, needed)
            g = _rotated_back(rows, basis, g)
        return f, _scaled(penalty, basis, g).reshape(flat.shape)

    heads = len(strength) * len(rows.weight)
    start = jnp.zeros((heads, (basis.variance.shape[-1] + 1) * columns), strength.dtype)
    fit = importlib.import_module(_OPTAX).minimise if solver.optax else minimise
    end = fit(objective, per_head, start, solver.stopping)
    penalty, rows, (_, basis) = parts(per_head)
    scaled = _scaled(penalty, basis, end.x.reshape(heads, columns, -1))
    head = _rotated(rows, basis, scaled)
    f, g = averaged_objective(rows, penalty, head)
    if solver.rounded:
        near = is_near_optimum(f, jnp.sum(g * g, axis=(1, 2)), penalty)
        end = end._replace(converged=near)
    return _fitted(end, head, f, g)


def _scaled(penalty: Array, basis: Basis, heads: Array) -> Array:
    """Scales heads or, as the map is its own transpose, gradients [H, K1, B + 1]."""
    m = curvature(heads.shape[1])
    variance = jnp.broadcast_to(basis.variance, (len(heads), basis.variance.shape[-1]))
    flat = jnp.zeros((len(heads), 1), heads.dtype)  # of the intercept
    diagonal = m * variance + penalty[:, None]
    diagonal = jnp.concatenate([diagonal, flat + m], axis=1)
    return heads * jax.lax.rsqrt(diagonal)[:, None]


def _rotated(rows: HeadRows, basis: Basis, heads: Array) -> Array:
    """Maps heads [H, K1, B + 1] on coordinates to heads [H, K1, D + 1] on features."""
    w = to_features(basis.directions, heads[..., :-1])
    if rows.scaling is not None:
        w = w / rows.scaling[1][rows.draw][:, None]
    shift = multiply(w, basis.mean[..., None])
    return jnp.concatenate([w, heads[..., -1:] - shift], axis=-1)


def _rotated_back(rows: HeadRows, basis: Basis, g: Array) -> Array:
    """Maps gradients [H, K1, D + 1] with the transpose of `_rotated`."""
    mean = basis.mean if basis.mean.ndim == 1 else basis.mean[:, None]
    slope = g[..., :-1] - g[..., -1:] * mean
    if rows.scaling is not None:
        slope = slope / rows.scaling[1][rows.draw][:, None]
    return jnp.concatenate([to_basis(basis.directions, slope), g[..., -1:]], axis=-1)


def _fitted(end: Result, head: Array, f: Array, gradient: Array) -> FittedHeads:
    """Returns the facts of heads and gradients [H, K1, D + 1], each with the leading axis H."""
    largest = jnp.max(jnp.abs(gradient), axis=(1, 2))
    return FittedHeads(head, end.iterations, f, largest, end.converged)


def _by_head(
    rows: HeadRows, more: PyTree, strength: Array
) -> tuple[PyTree, Callable[[PyTree], tuple[Array, HeadRows, PyTree]]]:
    """Returns the per-head data of H heads, strengths times draws, for `minimise`.

    Args:
        rows: Shared, or of each draw.
        more: Further arrays, shared or of each draw as the rows are.
        strength: C [S].

    Returns:
        The data of each head, arrays with the leading axis H, and a function that makes
        (penalty [H], rows, more) of the data of all heads or some: shared arrays as they are,
        those of draws with the leading axis H.
    """
    penalty = (1 / (strength[:, None] * jnp.sum(rows.weight, axis=-1))).ravel()

    def repeat(array: Array) -> Array:
        return jnp.tile(array, (len(strength),) + (1,) * (array.ndim - 1))

    if rows.x.ndim == 3:
        return (penalty, *jax.tree.map(repeat, (rows, more))), lambda per_head: per_head
    draw = repeat(jnp.arange(len(rows.weight)))
    return (penalty, draw), lambda per_head: (per_head[0], rows._replace(draw=per_head[1]), more)
