"""L-BFGS as scipy's `L-BFGS-B` runs it without bounds, for many functions at once.

scikit-learn's early stop shows in GENEB's scores, so the whole path counts: direction, line
search, which pairs are kept, when it stops (Zhu et al. 1997, algorithm 778; Moré and Thuente
1994 for the line search, with the constants of the L-BFGS-B code). All heads advance together,
one function evaluation a step, each a state machine of its own in between. A head that has
stopped is frozen, and once two fifths of them have, the others go on alone.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

MEMORY = 10
_MAX_EVALUATIONS = 50  # of one line search; scikit-learn's `maxls`
_SUFFICIENT_DECREASE = 1e-3
_CURVATURE = 0.9
_INTERVAL_TOLERANCE = 0.1
_STEP_MAX = 1e10

# What each head has of its own, arrays with the leading axis H; x [H, P]; which heads are asked
# for [H] -> f [H], gradient [H, P], of heads that are not asked for anything.
Objective = Callable[[Any, Array, Array], tuple[Array, Array]]
# The same, a gradient [H, P], which heads' norms are asked for [H] -> norm [H]; of a head that is
# not asked for anything, of one whose norm is too large to stop a lower bound that is too.
Norm = Callable[[Any, Array, Array], Array]


class Stopping(NamedTuple):
    """When a fit stops.

    Attributes:
        gradient: Norm of the gradient at which it stops.
        decrease: Decrease of f in one iteration, relative to max(|f|, 1), at which it stops.
        iterations: Most iterations.
    """

    gradient: float
    decrease: float
    iterations: int


class Result(NamedTuple):
    """The ends of H fits.

    Attributes:
        x: The last iterates [H, P].
        f: Objectives there [H].
        gradient: Gradients there [H, P].
        iterations: Iterations done [H].
        converged: Whether a tolerance was met, not the limit or a failed line search [H].
    """

    x: Array
    f: Array
    gradient: Array
    iterations: Array
    converged: Array


class _Search(NamedTuple):
    """Moré-Thuente line search: the interval (x, y) of steps with their values and slopes, [H]."""

    f0: Array
    slope0: Array
    step_x: Array
    f_x: Array
    slope_x: Array
    step_y: Array
    f_y: Array
    slope_y: Array
    low: Array
    high: Array
    width: Array
    width_before: Array
    bracketed: Array
    second_stage: Array


class _Pairs(NamedTuple):
    """The last M steps s and gradient changes y of each head, in a ring."""

    rows: Array  # [H, 2 M, P]: every s, then every y
    sy: Array  # [H, M, M], s_i'y_j; right where i is not newer than j
    yy: Array  # [H, M, M], y_i'y_j
    along: Array  # [H, 2 M], of the rows with the gradient where the line search started
    scale: Array  # [H], s'y / y'y of the newest
    first: Array  # [H], slot of the oldest
    count: Array  # [H]


class _State(NamedTuple):
    """Arrays with the leading axis H."""

    x0: Array  # where the line search started
    f0: Array
    g0: Array
    direction: Array
    step: Array
    search: _Search
    evaluations: Array
    pairs: _Pairs
    iterations: Array
    converged: Array
    stopped: Array


def largest_entry(own: Any, g: Array, asked: Array) -> Array:
    """Max-norm of each gradient, which scipy's rule asks."""
    return jnp.max(jnp.abs(g), axis=1)


def minimise(
    objective: Objective, own: Any, x: Array, stopping: Stopping, norm: Norm = largest_entry
) -> Result:
    """Minimises H smooth functions from `x` [H, P] on; traceable.

    Args:
        objective: Returns values and gradients of the heads it is given.
        own: What each head has of its own: arrays with the leading axis H.
        x: Starts.
        stopping: Tolerances and limit.
        norm: The gradient's norm that `stopping.gradient` bounds.
    """
    state = _start(objective, own, x, stopping, norm)
    taken = jnp.arange(len(x))
    # All heads until the second stage has room for the unfinished ones; more stages would save
    # little and each is compiled for itself.
    stages = [size for size in (len(x), len(x) * 3 // 5) if size]
    for rest in (*stages[1:], 0):
        some, mine = jax.tree.map(lambda array, taken=taken: array[taken], (state, own))

        def crowded(some: _State, rest: int = rest) -> Array:
            return jnp.sum(~some.stopped) > rest

        def advance(some: _State, mine: Any = mine) -> _State:
            return _advance(objective, mine, some, stopping, norm)

        some = jax.lax.while_loop(crowded, advance, some)
        state = jax.tree.map(lambda a, new, taken=taken: a.at[taken].set(new), state, some)
        taken = jnp.argsort(state.stopped, stable=True)[:rest]  # the unfinished first
    return Result(state.x0, state.f0, state.g0, state.iterations, state.converged)


def _start(objective: Objective, own: Any, x: Array, stopping: Stopping, norm: Norm) -> _State:
    everyone = jnp.ones(len(x), bool)
    f, g = objective(own, x, everyone)
    small = norm(own, g, everyone) <= stopping.gradient
    step = 1 / jnp.maximum(jnp.sqrt(_dot(g, g)), jnp.finfo(x.dtype).tiny)
    count = jnp.zeros(len(x), jnp.int32)
    gram = jnp.zeros((len(x), MEMORY, MEMORY), x.dtype)
    rows = jnp.zeros((len(x), 2 * MEMORY, x.shape[1]), x.dtype)
    return _State(
        x0=x,
        f0=f,
        g0=g,
        direction=-g,
        step=step,
        search=_start_search(f, -_dot(g, g), step),
        evaluations=count,
        pairs=_Pairs(rows, gram, gram, rows[:, :, 0], jnp.ones_like(f), count, count),
        iterations=count,
        converged=small,
        stopped=small,
    )


def _advance(
    objective: Objective, own: Any, state: _State, stopping: Stopping, norm: Norm
) -> _State:
    """One evaluation of each head that has not stopped."""
    x = state.x0 + state.step[:, None] * state.direction
    f, g = objective(own, x, ~state.stopped)
    slope = _dot(g, state.direction)
    search, next_step, accepted = _advance_search(state.search, state.step, f, slope)
    evaluations = state.evaluations + 1
    failed = ~state.stopped & ~accepted & (evaluations >= _MAX_EVALUATIONS)
    accepted &= ~state.stopped

    # An accepted step: the iterate moves, the stopping rules are asked, a pair is kept unless
    # its curvature s'y is no more than rounding.
    iterations = state.iterations + accepted
    small = norm(own, g, accepted) <= stopping.gradient
    magnitude = jnp.maximum(jnp.maximum(jnp.abs(state.f0), jnp.abs(f)), 1.0)
    flat = state.f0 - f <= stopping.decrease * magnitude
    converged = state.converged | (accepted & (small | flat))
    s, y = state.step[:, None] * state.direction, g - state.g0
    curvature = (slope - state.search.slope0) * state.step
    rounding = -jnp.finfo(x.dtype).eps * state.search.slope0 * state.step
    x0, f0, g0 = _select(accepted, (x, f, g), (state.x0, state.f0, state.g0))
    kept = accepted & (curvature > rounding)
    pairs = _keep_pair(state.pairs, g0, s, y, curvature, kept)

    # A failed search goes back and forgets the pairs; without pairs there is no way on.
    stuck = failed & (state.pairs.count == 0)
    pairs = _forget(pairs, failed)
    direction = _direction(pairs, g0)
    slope0 = _dot(g0, direction)
    ascent = slope0 >= 0
    new = accepted | failed
    pairs = _forget(pairs, new & ascent)
    direction, slope0 = _select(ascent, (-g0, -_dot(g0, g0)), (direction, slope0))
    one = jnp.ones_like(f)
    return _State(
        x0=x0,
        f0=f0,
        g0=g0,
        direction=_select(new, direction, state.direction),
        step=jnp.where(new, one, next_step),
        search=_select(new, _start_search(f0, slope0, one), search),
        evaluations=jnp.where(new, 0, evaluations),
        pairs=pairs,
        iterations=iterations,
        converged=converged,
        stopped=state.stopped | converged | stuck | (iterations >= stopping.iterations),
    )


def _select(condition: Array, a: Any, b: Any) -> Any:
    """a or b by head: condition [H]."""

    def select(u: Array, v: Array) -> Array:
        return jnp.where(condition.reshape(-1, *(1,) * (u.ndim - 1)), u, v)

    return jax.tree.map(select, a, b)


def _dot(a: Array, b: Array) -> Array:
    """Dot product of each head's vectors: [H, P], [H, P] or [H, R, P], [H, P]."""
    return jnp.einsum("h...p,hp->h...", a, b, precision=jax.lax.Precision.HIGHEST)


def _forget(pairs: _Pairs, condition: Array) -> _Pairs:
    """Without pairs where the condition holds."""
    return pairs._replace(
        scale=jnp.where(condition, 1, pairs.scale), count=jnp.where(condition, 0, pairs.count)
    )


def _keep_pair(
    pairs: _Pairs, g: Array, s: Array, y: Array, curvature: Array, kept: Array
) -> _Pairs:
    """Puts a pair in the place of the oldest, or in a free one, where `kept` [H] says so.

    `g` [H, P] is the gradient now, and y its change: rows that stay have with y the product that
    their product with the gradient has changed by.
    """
    heads = jnp.arange(len(kept))
    slot = (pairs.first + pairs.count) % MEMORY
    rows = pairs.rows
    for row, place in ((s, slot), (y, MEMORY + slot)):
        # What is not kept goes to a place that does not exist.
        rows = rows.at[heads, jnp.where(kept, place, 2 * MEMORY)].set(row, mode="drop")
    along = _dot(rows, g)
    change = (along - pairs.along).reshape(-1, 2, MEMORY)
    norm = _dot(y, y)
    here = kept[:, None] & (jnp.arange(MEMORY) == slot[:, None])  # [H, M]
    sy = jnp.where(here, curvature[:, None], change[:, 0])
    yy = jnp.where(here, norm[:, None], change[:, 1])
    new_yy = jnp.where(here[:, None, :], yy[:, :, None], pairs.yy)
    full = pairs.count == MEMORY
    return _Pairs(
        rows=rows,
        sy=jnp.where(here[:, None, :], sy[:, :, None], pairs.sy),
        yy=jnp.where(here[:, :, None], yy[:, None, :], new_yy),
        along=along,
        scale=jnp.where(kept, curvature / norm, pairs.scale),
        first=jnp.where(kept & full, (pairs.first + 1) % MEMORY, pairs.first),
        count=jnp.where(kept & ~full, pairs.count + 1, pairs.count),
    )


def _direction(pairs: _Pairs, g: Array) -> Array:
    """-H g, with H0 = scale * I, by a pass over the pairs and their products with g.

    The two-loop recursion (Nocedal 1980) needs the pairs' products with g and with one another
    alone (Byrd, Nocedal and Schnabel 1994): with the pairs from the oldest to the newest, R the
    upper triangle of S'Y and D its diagonal, its first loop solves R a = S'g and its second
    R' c = D a - scale (Y'g - Y'Y a), and H g = scale (g - Y a) + S c.
    """
    slots = jnp.arange(MEMORY)
    order = (pairs.first[:, None] + slots) % MEMORY  # [H, M], the oldest first
    used = slots < pairs.count[:, None]

    def ordered(matrix: Array) -> Array:
        rows = jnp.take_along_axis(matrix, order[:, :, None], axis=1)
        return jnp.take_along_axis(rows, order[:, None, :], axis=2)

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
    place = (slots - pairs.first[:, None]) % MEMORY
    coefficients = jnp.take_along_axis(coefficients, place[:, None], axis=2)
    coefficients = coefficients.reshape(len(g), 2 * MEMORY)
    correction = jnp.einsum(
        "hm,hmp->hp", coefficients, pairs.rows, precision=jax.lax.Precision.HIGHEST
    )
    return -(scale * g + correction)


def _start_search(f: Array, slope: Array, step: Array) -> _Search:
    zero = jnp.zeros_like(f)
    return _Search(
        f0=f,
        slope0=slope,
        step_x=zero,
        f_x=f,
        slope_x=slope,
        step_y=zero,
        f_y=f,
        slope_y=slope,
        low=zero,
        high=5 * step,
        width=jnp.full_like(f, _STEP_MAX),
        width_before=jnp.full_like(f, 2 * _STEP_MAX),
        bracketed=jnp.zeros_like(f, bool),
        second_stage=jnp.zeros_like(f, bool),
    )


def _advance_search(
    search: _Search, step: Array, f: Array, slope: Array
) -> tuple[_Search, Array, Array]:
    """One call of MINPACK-2's dcsrch: the search, the next step, and whether this one is taken.

    As in L-BFGS-B, a step is also taken where rounding or the interval's width allow no better.
    """
    slope_wanted = _SUFFICIENT_DECREASE * search.slope0
    f_wanted = search.f0 + step * slope_wanted
    second_stage = search.second_stage | ((f <= f_wanted) & (slope >= 0))

    outside = (step <= search.low) | (step >= search.high)
    narrow = search.high - search.low <= _INTERVAL_TOLERANCE * search.high
    warning = search.bracketed & (outside | narrow)
    warning |= (step == _STEP_MAX) & (f <= f_wanted) & (slope <= slope_wanted)
    warning |= (step == 0) & ((f > f_wanted) | (slope >= slope_wanted))
    fine = (f <= f_wanted) & (jnp.abs(slope) <= _CURVATURE * -search.slope0)

    # Stage one works on f - f_wanted while no step with a low enough value is known.
    tilt = jnp.where(~second_stage & (f <= search.f_x) & (f > f_wanted), slope_wanted, 0.0)
    moved, next_step = _trial(
        search._replace(
            f_x=search.f_x - search.step_x * tilt,
            slope_x=search.slope_x - tilt,
            f_y=search.f_y - search.step_y * tilt,
            slope_y=search.slope_y - tilt,
        ),
        step,
        f - step * tilt,
        slope - tilt,
    )
    step_x, step_y, bracketed = moved.step_x, moved.step_y, moved.bracketed
    width = jnp.abs(step_y - step_x)
    bisect = bracketed & (width >= 0.66 * search.width_before)
    next_step = jnp.where(bisect, step_x + 0.5 * (step_y - step_x), next_step)
    low = jnp.where(bracketed, jnp.minimum(step_x, step_y), next_step + 1.1 * (next_step - step_x))
    high = jnp.where(bracketed, jnp.maximum(step_x, step_y), next_step + 4.0 * (next_step - step_x))
    next_step = jnp.clip(next_step, 0.0, _STEP_MAX)
    hopeless = (next_step <= low) | (next_step >= high)
    hopeless |= high - low <= _INTERVAL_TOLERANCE * high
    next_step = jnp.where(bracketed & hopeless, step_x, next_step)
    search = moved._replace(
        f_x=moved.f_x + step_x * tilt,
        slope_x=moved.slope_x + tilt,
        f_y=moved.f_y + step_y * tilt,
        slope_y=moved.slope_y + tilt,
        low=low,
        high=high,
        width=jnp.where(bracketed, width, search.width),
        width_before=jnp.where(bracketed, search.width, search.width_before),
        second_stage=second_stage,
    )
    return search, next_step, warning | fine


def _trial(search: _Search, step: Array, f: Array, slope: Array) -> tuple[_Search, Array]:
    """MINPACK-2's dcstep: the interval with this step in it, and the next trial step."""
    step_x, f_x, slope_x = search.step_x, search.f_x, search.slope_x
    step_y, f_y, slope_y = search.step_y, search.f_y, search.slope_y
    bracketed = search.bracketed
    gap = step - step_x
    opposite = jnp.sign(slope) * jnp.sign(slope_x) < 0
    forward = step > step_x

    theta, root = _cubic(3 * (f_x - f) / gap, slope_x, slope)
    quadratic_slopes = step + slope / (slope - slope_x) * -gap

    # 1: the value rose: a minimum lies between; cubic, or its mean with the quadratic.
    gamma = jnp.where(step < step_x, -root, root)
    ratio = ((gamma - slope_x) + theta) / (((gamma - slope_x) + gamma) + slope)
    cubic = step_x + ratio * gap
    quadratic = step_x + slope_x / ((f_x - f) / gap + slope_x) / 2 * gap
    closer = jnp.abs(cubic - step_x) <= jnp.abs(quadratic - step_x)
    rose = jnp.where(closer, cubic, cubic + (quadratic - cubic) / 2)

    # 2: the slope changed sign: the farther of cubic and secant.
    gamma = jnp.where(forward, -root, root)
    ratio = ((gamma - slope) + theta) / (((gamma - slope) + gamma) + slope_x)
    cubic = step - ratio * gap
    farther = jnp.abs(cubic - step) > jnp.abs(quadratic_slopes - step)
    turned = jnp.where(farther, cubic, quadratic_slopes)

    # 3: the slope shrank: the cubic where it has a minimum beyond, else the limit.
    ratio = ((gamma - slope) + theta) / ((gamma + (slope_x - slope)) + gamma)
    limit = jnp.where(forward, search.high, search.low)
    cubic = jnp.where((ratio < 0) & (gamma != 0), step - ratio * gap, limit)
    cubic_closer = jnp.abs(cubic - step) < jnp.abs(quadratic_slopes - step)
    inside = jnp.where(cubic_closer, cubic, quadratic_slopes)
    bound = step + 0.66 * (step_y - step)
    inside = jnp.where(forward, jnp.minimum(bound, inside), jnp.maximum(bound, inside))
    cubic_farther = jnp.abs(cubic - step) > jnp.abs(quadratic_slopes - step)
    outside = jnp.where(cubic_farther, cubic, quadratic_slopes)
    outside = jnp.clip(outside, search.low, search.high)
    shrank = jnp.where(bracketed, inside, outside)

    # 4: the slope did not shrink: the cubic through y where there is one, else the limit.
    theta_y, root_y = _cubic(3 * (f - f_y) / (step_y - step), slope_y, slope)
    gamma = jnp.where(step > step_y, -root_y, root_y)
    ratio = ((gamma - slope) + theta_y) / (((gamma - slope) + gamma) + slope_y)
    kept = jnp.where(bracketed, step + ratio * (step_y - step), limit)

    is_rise = f > f_x
    is_turn = ~is_rise & opposite
    is_shrink = ~is_rise & ~opposite & (jnp.abs(slope) < jnp.abs(slope_x))
    next_step = jnp.select([is_rise, is_turn, is_shrink], [rose, turned, shrank], kept)

    here, x, y = (step, f, slope), (step_x, f_x, slope_x), (step_y, f_y, slope_y)
    new_y = _select(is_rise, here, _select(opposite, x, y))
    new_x = _select(is_rise, x, here)
    moved = search._replace(
        step_x=new_x[0],
        f_x=new_x[1],
        slope_x=new_x[2],
        step_y=new_y[0],
        f_y=new_y[1],
        slope_y=new_y[2],
        bracketed=bracketed | is_rise | is_turn,
    )
    return moved, next_step


def _cubic(chord: Array, slope_a: Array, slope_b: Array) -> tuple[Array, Array]:
    """theta and sqrt(theta^2 - slope_a slope_b) of the cubic through two points, safely scaled."""
    theta = chord + slope_a + slope_b
    scale = jnp.maximum(jnp.abs(theta), jnp.maximum(jnp.abs(slope_a), jnp.abs(slope_b)))
    inner = (theta / scale) ** 2 - (slope_a / scale) * (slope_b / scale)
    return theta, scale * jnp.sqrt(jnp.maximum(inner, 0.0))
