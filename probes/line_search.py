"""Line search of Moré and Thuente (1994), one evaluation a step, for H functions at once.

It is MINPACK-2's `dcsrch` and `dcstep`, with the constants of the L-BFGS-B code.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from probes.heads import where_heads

_SUFFICIENT_DECREASE = 1e-3
_CURVATURE = 0.9
_INTERVAL_TOLERANCE = 0.1
_STEP_MAX = 1e10


class Search(NamedTuple):
    """State of a line search of each head.

    Attributes:
        f0, slope0: Value and slope at step 0.
        step_x, f_x, slope_x: The best step so far, an end of the interval that holds a minimum.
        step_y, f_y, slope_y: The interval's other end.
        low, high: Bounds of the next step.
        width, width_before: Widths of the interval, now and one evaluation before.
        bracketed: Whether the interval is known to hold a minimum.
        second_stage: Whether a step of low enough value and rising slope has been seen.
    """

    f0: Float[Array, " H"]
    slope0: Float[Array, " H"]
    step_x: Float[Array, " H"]
    f_x: Float[Array, " H"]
    slope_x: Float[Array, " H"]
    step_y: Float[Array, " H"]
    f_y: Float[Array, " H"]
    slope_y: Float[Array, " H"]
    low: Float[Array, " H"]
    high: Float[Array, " H"]
    width: Float[Array, " H"]
    width_before: Float[Array, " H"]
    bracketed: Bool[Array, " H"]
    second_stage: Bool[Array, " H"]


def start_search(
    f: Float[Array, " H"], slope: Float[Array, " H"], step: Float[Array, " H"]
) -> Search:
    """Returns the searches that begin at values f with negative slopes; `step` is tried first."""
    zero = jnp.zeros_like(f)
    return Search(
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


def advance_search(
    search: Search, step: Float[Array, " H"], f: Float[Array, " H"], slope: Float[Array, " H"]
) -> tuple[Search, Float[Array, " H"], Bool[Array, " H"]]:
    """Advances each search by one evaluation, as one call of MINPACK-2's dcsrch does.

    As in L-BFGS-B, a step is also accepted where rounding or the interval's width allow no better.

    Args:
        search: The searches so far.
        step: The steps that were evaluated.
        f: The values there.
        slope: The slopes there, along the direction of the search.

    Returns:
        The searches, the next step to evaluate, and whether this one is accepted.
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


def _trial(search: Search, step: Array, f: Array, slope: Array) -> tuple[Search, Array]:
    """Returns the searches with this step in their interval, and the next trial step.

    It is MINPACK-2's dcstep; the comments number its four cases.
    """
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
    steeper = jnp.where(bracketed, step + ratio * (step_y - step), limit)

    is_rise = f > f_x
    is_turn = ~is_rise & opposite
    is_shrink = ~is_rise & ~opposite & (jnp.abs(slope) < jnp.abs(slope_x))
    next_step = jnp.select([is_rise, is_turn, is_shrink], [rose, turned, shrank], steeper)

    here, x, y = (step, f, slope), (step_x, f_x, slope_x), (step_y, f_y, slope_y)
    new_y = where_heads(is_rise, here, where_heads(opposite, x, y))
    new_x = where_heads(is_rise, x, here)
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
    """Returns theta and sqrt(theta^2 - slope_a slope_b) of the cubic through two points.

    Both are computed from scaled slopes, whose squares neither overflow nor vanish.
    """
    theta = chord + slope_a + slope_b
    scale = jnp.maximum(jnp.abs(theta), jnp.maximum(jnp.abs(slope_a), jnp.abs(slope_b)))
    inner = (theta / scale) ** 2 - (slope_a / scale) * (slope_b / scale)
    return theta, scale * jnp.sqrt(jnp.maximum(inner, 0.0))
