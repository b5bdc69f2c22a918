"""L-BFGS as scipy's `L-BFGS-B` runs it without bounds, one function evaluation a step.

scikit-learn's early stop shows in GENEB's scores, so the whole path counts: direction, line
search, which pairs are kept, when it stops (Zhu et al. 1997, algorithm 778; Moré and Thuente
1994 for the line search, with the constants of the L-BFGS-B code). The loop evaluates the
function once a step and is a state machine in between, so that under `vmap` all heads advance
together and a head that has stopped is frozen.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

MEMORY = 10
_MAX_EVALUATIONS = 50  # of one line search; scikit-learn's `maxls`
_SUFFICIENT_DECREASE = 1e-3
_CURVATURE = 0.9
_INTERVAL_TOLERANCE = 0.1
_STEP_MAX = 1e10

# x [P] -> f, gradient [P]
Objective = Callable[[Array], tuple[Array, Array]]


class Stopping(NamedTuple):
    """When a fit stops.

    Attributes:
        gradient: Largest absolute entry of the gradient at which it stops.
        decrease: Decrease of f in one iteration, relative to max(|f|, 1), at which it stops.
        iterations: Most iterations.
    """

    gradient: float
    decrease: float
    iterations: int


class Result(NamedTuple):
    """A fit's end.

    Attributes:
        x: The last iterate [P].
        f: Objective there.
        gradient_norm: Largest absolute entry of the gradient there.
        iterations: Iterations done.
        converged: Whether a tolerance was met, not the limit or a failed line search.
    """

    x: Array
    f: Array
    gradient_norm: Array
    iterations: Array
    converged: Array


class _Search(NamedTuple):
    """Moré-Thuente line search: the interval (x, y) of steps with their values and slopes."""

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
    """The last steps s and gradient changes y, the newest last; unused ones have rho = 0."""

    s: Array  # [M, P]
    y: Array  # [M, P]
    rho: Array  # [M], 1 / s'y
    scale: Array  # s'y / y'y of the newest
    count: Array


class _State(NamedTuple):
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


def largest_entry(g: Array) -> Array:
    """Max-norm of a gradient, which scipy's rule asks."""
    return jnp.max(jnp.abs(g))


def minimise(
    objective: Objective,
    x: Array,
    stopping: Stopping,
    norm: Callable[[Array], Array] = largest_entry,
) -> Result:
    """Minimises a smooth function from `x` [P] on; traceable, and meant for `vmap`.

    Args:
        objective: Returns value and gradient.
        x: Start.
        stopping: Tolerances and limit.
        norm: The gradient's norm that `stopping.gradient` bounds.
    """
    epsilon = float(jnp.finfo(x.dtype).eps)
    f, g = objective(x)
    small = norm(g) <= stopping.gradient
    direction = -g
    first_step = 1 / jnp.maximum(jnp.linalg.norm(g), jnp.finfo(x.dtype).tiny)
    start = _State(
        x0=x,
        f0=f,
        g0=g,
        direction=direction,
        step=first_step,
        search=_start_search(f, g @ direction, first_step),
        evaluations=jnp.zeros((), jnp.int32),
        pairs=_no_pairs(x),
        iterations=jnp.zeros((), jnp.int32),
        converged=small,
        stopped=small,
    )

    def advance(state: _State) -> _State:
        x = state.x0 + state.step * state.direction
        f, g = objective(x)
        slope = g @ state.direction
        search, next_step, accepted = _advance_search(state.search, state.step, f, slope)
        evaluations = state.evaluations + 1
        failed = ~accepted & (evaluations >= _MAX_EVALUATIONS)

        # An accepted step: the iterate moves, the stopping rules are asked, a pair is kept.
        iterations = state.iterations + accepted
        small = norm(g) <= stopping.gradient
        magnitude = jnp.maximum(jnp.maximum(jnp.abs(state.f0), jnp.abs(f)), 1.0)
        flat = state.f0 - f <= stopping.decrease * magnitude
        converged = accepted & (small | flat)
        kept = _keep_pair(state, g, slope, epsilon)
        pairs = _select(accepted, kept, _select(failed, _no_pairs(x), state.pairs))

        # A failed search goes back and forgets the pairs; without pairs there is no way on.
        stuck = failed & (state.pairs.count == 0)
        x0, f0, g0 = _select(accepted, (x, f, g), (state.x0, state.f0, state.g0))

        direction = _direction(pairs, g0)
        ascent = g0 @ direction >= 0
        pairs = _select(ascent, _no_pairs(x), pairs)
        direction = jnp.where(ascent, -g0, direction)
        new = accepted | failed
        one = jnp.ones((), x.dtype)
        return _State(
            x0=x0,
            f0=f0,
            g0=g0,
            direction=jnp.where(new, direction, state.direction),
            step=jnp.where(new, one, next_step),
            search=_select(new, _start_search(f0, g0 @ direction, one), search),
            evaluations=jnp.where(new, 0, evaluations),
            pairs=_select(new, pairs, state.pairs),
            iterations=iterations,
            converged=converged,
            stopped=converged | stuck | (accepted & (iterations >= stopping.iterations)),
        )

    end = jax.lax.while_loop(lambda state: ~state.stopped, advance, start)
    return Result(end.x0, end.f0, norm(end.g0), end.iterations, end.converged)


def _select(condition: Array, a, b):
    return jax.tree.map(lambda u, v: jnp.where(condition, u, v), a, b)


def _no_pairs(x: Array) -> _Pairs:
    rows = jnp.zeros((MEMORY, x.size), x.dtype)
    return _Pairs(
        rows, rows, jnp.zeros(MEMORY, x.dtype), jnp.ones((), x.dtype), jnp.zeros((), jnp.int32)
    )


def _keep_pair(state: _State, g: Array, slope: Array, epsilon: float) -> _Pairs:
    """Appends the step's pair unless its curvature s'y is no more than rounding."""
    s, y = state.step * state.direction, g - state.g0
    curvature = (slope - state.search.slope0) * state.step
    old = state.pairs
    new = _Pairs(
        s=jnp.roll(old.s, -1, axis=0).at[-1].set(s),
        y=jnp.roll(old.y, -1, axis=0).at[-1].set(y),
        rho=jnp.roll(old.rho, -1).at[-1].set(1 / curvature),
        scale=curvature / (y @ y),
        count=jnp.minimum(old.count + 1, MEMORY),
    )
    return _select(curvature <= -epsilon * state.search.slope0 * state.step, old, new)


def _direction(pairs: _Pairs, g: Array) -> Array:
    """-H g by the two-loop recursion (Nocedal 1980), with H0 = scale * I."""

    def newest_first(q: Array, pair: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        s, y, rho = pair
        alpha = rho * (s @ q)
        return q - alpha * y, alpha

    def oldest_first(q: Array, pair: tuple[Array, ...]) -> tuple[Array, None]:
        s, y, rho, alpha = pair
        return q + s * (alpha - rho * (y @ q)), None

    table = (pairs.s, pairs.y, pairs.rho)
    q, alphas = jax.lax.scan(newest_first, g, table, reverse=True)
    q, _ = jax.lax.scan(oldest_first, pairs.scale * q, (*table, alphas))
    return -q


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
        bracketed=jnp.zeros((), bool),
        second_stage=jnp.zeros((), bool),
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
