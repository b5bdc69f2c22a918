"""L-BFGS as scipy's `L-BFGS-B` runs it without bounds, for many functions at once.

scikit-learn's early stop shows in GENEB's scores, so the whole path counts: direction, line
search, which pairs are remembered, when it stops (Zhu et al. 1997, algorithm 778; Moré and
Thuente 1994 for the line search). All heads advance together, one function evaluation a step, and
each is a separate state machine in between. A head that has stopped is frozen.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int, Int32, PyTree, Shaped

from probes.heads import where_heads
from probes.line_search import Search, advance_search, start_search
from probes.solvers import MAX_EVALUATIONS, MEMORY, Stopping

# An objective takes per-head data, arrays with the leading axis H; iterates x [H, P]; and which
# heads' values are needed, bool [H], or None for all. It returns values f [H] and gradients [H, P],
# which may be anything for the other heads.
Objective = Callable[[PyTree, Array, Array | None], tuple[Array, Array]]
# A norm takes per-head data, gradients [H, P], and which heads' norms are needed, bool [H]. It
# returns norms [H], which may be anything for the other heads; for a norm that is too large to
# stop at, a lower bound that is too large as well will do.
Norm = Callable[[PyTree, Array, Array], Array]


class Result(NamedTuple):
    """Where H fits ended.

    Attributes:
        x: The last iterates.
        f: Objectives there.
        gradient: Gradients there.
        iterations: How many iterations were done.
        converged: Whether a tolerance was met, not the limit or a failed line search.
    """

    x: Float[Array, "H P"]
    f: Float[Array, " H"]
    gradient: Float[Array, "H P"]
    iterations: Int[Array, " H"]
    converged: Bool[Array, " H"]


class _Pairs(NamedTuple):
    """The last L = `MEMORY` steps s and gradient changes y of each head, in a ring of slots."""

    vectors: Float[Array, "H 2*L P"]  # every s, then every y
    sy: Float[Array, "H L L"]  # s_i'y_j; right where i is not newer than j
    yy: Float[Array, "H L L"]  # y_i'y_j
    along: Float[Array, "H 2*L"]  # the vectors' products with the gradient at `_State.x0`
    scale: Float[Array, " H"]  # s'y / y'y of the newest pair
    first: Int32[Array, " H"]  # slot of the oldest pair
    stored: Int32[Array, " H"]  # how many pairs there are


class _State(NamedTuple):
    """State of each head's fit."""

    x0: Float[Array, "H P"]  # where the line search started
    f0: Float[Array, " H"]
    g0: Float[Array, "H P"]
    direction: Float[Array, "H P"]
    step: Float[Array, " H"]  # the next to evaluate
    search: Search
    evaluations: Int32[Array, " H"]  # of this line search
    pairs: _Pairs
    iterations: Int32[Array, " H"]
    converged: Bool[Array, " H"]
    stopped: Bool[Array, " H"]


def largest_entry(
    per_head: PyTree, g: Float[Array, "H P"], needed: Bool[Array, " H"]
) -> Float[Array, " H"]:
    """Returns the max-norm of each gradient, a `Norm`: scipy's stopping rule is about it."""
    return jnp.max(jnp.abs(g), axis=1)


def minimise(
    objective: Objective,
    per_head: PyTree[Shaped[Array, "H ..."]],
    x: Float[Array, "H P"],
    stopping: Stopping,
    norm: Norm = largest_entry,
) -> Result:
    """Minimises H smooth functions; traceable.

    Args:
        objective: Returns values and gradients of the heads.
        per_head: What the objective and the norm have to know of each head.
        x: Where each fit starts.
        stopping: Tolerances and limit.
        norm: The gradient's norm that `stopping.gradient` bounds.

    Returns:
        Where each fit stopped.
    """
    state = jax.lax.while_loop(
        lambda state: jnp.any(~state.stopped),
        lambda state: _advance(objective, per_head, state, stopping, norm),
        _start(objective, per_head, x, stopping, norm),
    )
    return Result(state.x0, state.f0, state.g0, state.iterations, state.converged)


def _start(
    objective: Objective, per_head: PyTree, x: Array, stopping: Stopping, norm: Norm
) -> _State:
    everyone = jnp.ones(len(x), bool)
    f, g = objective(per_head, x, everyone)
    small = norm(per_head, g, everyone) <= stopping.gradient
    step = 1 / jnp.maximum(jnp.sqrt(_dot(g, g)), jnp.finfo(x.dtype).tiny)
    count = jnp.zeros(len(x), jnp.int32)
    gram = jnp.zeros((len(x), MEMORY, MEMORY), x.dtype)
    vectors = jnp.zeros((len(x), 2 * MEMORY, x.shape[1]), x.dtype)
    return _State(
        x0=x,
        f0=f,
        g0=g,
        direction=-g,
        step=step,
        search=start_search(f, -_dot(g, g), step),
        evaluations=count,
        pairs=_Pairs(vectors, gram, gram, vectors[:, :, 0], jnp.ones_like(f), count, count),
        iterations=count,
        converged=small,
        stopped=small,
    )


def _advance(
    objective: Objective, per_head: PyTree, state: _State, stopping: Stopping, norm: Norm
) -> _State:
    """Evaluates each head that has not stopped once, and takes what follows from it."""
    x = state.x0 + state.step[:, None] * state.direction
    f, g = objective(per_head, x, ~state.stopped)
    slope = _dot(g, state.direction)
    search, next_step, accepted = advance_search(state.search, state.step, f, slope)
    evaluations = state.evaluations + 1
    failed = ~state.stopped & ~accepted & (evaluations >= MAX_EVALUATIONS)
    accepted &= ~state.stopped

    # An accepted step: the iterate moves, the stopping rules are asked, a pair is remembered
    # unless its curvature s'y is no more than rounding.
    iterations = state.iterations + accepted
    small = norm(per_head, g, accepted) <= stopping.gradient
    magnitude = jnp.maximum(jnp.maximum(jnp.abs(state.f0), jnp.abs(f)), 1.0)
    flat = state.f0 - f <= stopping.decrease * magnitude
    converged = state.converged | (accepted & (small | flat))
    s, y = state.step[:, None] * state.direction, g - state.g0
    curvature = (slope - state.search.slope0) * state.step
    rounding = -jnp.finfo(x.dtype).eps * state.search.slope0 * state.step
    x0, f0, g0 = where_heads(accepted, (x, f, g), (state.x0, state.f0, state.g0))
    curved = accepted & (curvature > rounding)
    pairs = _remember(state.pairs, g0, s, y, curvature, curved)

    # A failed search goes back and forgets the pairs; without pairs there is no way on.
    stuck = failed & (state.pairs.stored == 0)
    pairs = _forget(pairs, failed)
    direction = _direction(pairs, g0)
    slope0 = _dot(g0, direction)
    ascent = slope0 >= 0
    new = accepted | failed
    pairs = _forget(pairs, new & ascent)
    direction, slope0 = where_heads(ascent, (-g0, -_dot(g0, g0)), (direction, slope0))
    one = jnp.ones_like(f)
    return _State(
        x0=x0,
        f0=f0,
        g0=g0,
        direction=where_heads(new, direction, state.direction),
        step=jnp.where(new, one, next_step),
        search=where_heads(new, start_search(f0, slope0, one), search),
        evaluations=jnp.where(new, 0, evaluations),
        pairs=pairs,
        iterations=iterations,
        converged=converged,
        stopped=state.stopped | converged | stuck | (iterations >= stopping.iterations),
    )


def _dot(a: Array, b: Array) -> Array:
    """Returns the dot products of each head's vectors: of [H, P] or [H, any, P] with [H, P]."""
    return jnp.einsum("h...p,hp->h...", a, b, precision=jax.lax.Precision.HIGHEST)


def _forget(pairs: _Pairs, condition: Array) -> _Pairs:
    """Returns the pairs, without any where the condition [H] holds."""
    return pairs._replace(
        scale=jnp.where(condition, 1, pairs.scale), stored=jnp.where(condition, 0, pairs.stored)
    )


def _remember(
    pairs: _Pairs, g: Array, s: Array, y: Array, curvature: Array, remembered: Array
) -> _Pairs:
    """Puts a pair s, y into a free slot, or that of the oldest, where `remembered` [H] says so.

    `g` [H, P] is the gradient now, and y its change: the product of y with a vector that stays is
    what that vector's product with the gradient has changed by.
    """
    heads = jnp.arange(len(remembered))
    slot = (pairs.first + pairs.stored) % MEMORY
    vectors = pairs.vectors
    for vector, index in ((s, slot), (y, MEMORY + slot)):
        # What is not remembered goes to an index that does not exist.
        target = jnp.where(remembered, index, 2 * MEMORY)
        vectors = vectors.at[heads, target].set(vector, mode="drop")
    along = _dot(vectors, g)
    change = (along - pairs.along).reshape(-1, 2, MEMORY)
    norm = _dot(y, y)
    here = remembered[:, None] & (jnp.arange(MEMORY) == slot[:, None])  # [H, L]
    sy = jnp.where(here, curvature[:, None], change[:, 0])
    yy = jnp.where(here, norm[:, None], change[:, 1])
    new_yy = jnp.where(here[:, None, :], yy[:, :, None], pairs.yy)
    full = pairs.stored == MEMORY
    return _Pairs(
        vectors=vectors,
        sy=jnp.where(here[:, None, :], sy[:, :, None], pairs.sy),
        yy=jnp.where(here[:, :, None], yy[:, None, :], new_yy),
        along=along,
        scale=jnp.where(remembered, curvature / norm, pairs.scale),
        first=jnp.where(remembered & full, (pairs.first + 1) % MEMORY, pairs.first),
        stored=jnp.where(remembered & ~full, pairs.stored + 1, pairs.stored),
    )


def _direction(pairs: _Pairs, g: Array) -> Array:
    """Returns -H g for each head, H the inverse Hessian that its pairs make of H0 = scale * I.

    The two-loop recursion (Nocedal 1980) needs the pairs' products with g and with one another
    alone (Byrd, Nocedal and Schnabel 1994): with the pairs from the oldest to the newest, R the
    upper triangle of S'Y and D its diagonal, its first loop solves R a = S'g and its second
    R' c = D a - scale (Y'g - Y'Y a), and H g = scale (g - Y a) + S c.
    """
    slots = jnp.arange(MEMORY)
    order = (pairs.first[:, None] + slots) % MEMORY  # [H, L], the oldest first
    used = slots < pairs.stored[:, None]

    def ordered(matrix: Array) -> Array:
        sorted_rows = jnp.take_along_axis(matrix, order[:, :, None], axis=1)
        return jnp.take_along_axis(sorted_rows, order[:, None, :], axis=2)

    both = used[:, :, None] & used[:, None, :]
    upper = jnp.where(both & (slots[:, None] <= slots), ordered(pairs.sy), jnp.eye(MEMORY))
    yy = jnp.where(both, ordered(pairs.yy), 0)
    products = pairs.along.reshape(-1, 2, MEMORY)
    sg, yg = jnp.moveaxis(jnp.take_along_axis(products, order[:, None], axis=2), 1, 0)
    sg, yg = jnp.where(used, sg, 0), jnp.where(used, yg, 0)

    def solve(right: Array, transposed: bool) -> Array:
        return jax.lax.linalg.triangular_solve(
            upper, right[:, :, None], left_side=True, lower=False, transpose_a=transposed
        )[:, :, 0]

    scale = pairs.scale[:, None]
    a = solve(sg, transposed=False)
    diagonal = jnp.diagonal(upper, axis1=1, axis2=2)
    c = solve(diagonal * a - scale * (yg - _dot(yy, a)), transposed=True)
    coefficients = jnp.stack([c, -scale * a], axis=1)  # of S and of Y
    age = (slots - pairs.first[:, None]) % MEMORY  # of each slot, 0 for the oldest
    coefficients = jnp.take_along_axis(coefficients, age[:, None], axis=2)
    coefficients = coefficients.reshape(len(g), 2 * MEMORY)
    correction = jnp.einsum(
        "hm,hmp->hp", coefficients, pairs.vectors, precision=jax.lax.Precision.HIGHEST
    )
    return -(scale * g + correction)
