"""The averaged objective of many logistic heads at once, and its gradient.

    1/n sum_i weight_i loss(x_i W + b, y_i) + penalty / 2 ||W||^2,   n = sum_i weight_i

Heads and gradients are [H, K1, D + 1], transposed against `FittedHeads`: their last column has
the intercepts.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from probes.blocks import multiply, over_blocks
from probes.heads import take_heads
from probes.loss import row_loss
from probes.standardise import fold_into_head

_FEWEST_COLUMNS = 4  # of a product on rows: two and three take CPUs longer than four

# Widths, parts of the heads, that products on shared rows are compiled for: as heads stop, the
# others go on in narrower ones. Five save no time over three, and take a third longer to compile.
_WIDTHS = 3


class HeadRows(NamedTuple):
    """The rows that heads are fitted on: shared by all, or with a leading axis of draws.

    Rows that are not shared are repeated for each head, x, y and weight with the leading axis H,
    before they reach `averaged_objective`.

    Attributes:
        x: Features, [N, D] or [R, N, D].
        y: Targets, [K1, N] or [R, K1, N].
        weight: Weights of the rows in each draw.
        scaling: Mean and deviation that shared features have in each draw, whose fit is on
            features standardised with them; None: features are taken as they are.
        draw: Number of each head's draw, where the rows are shared; None: they are not.
    """

    x: Float[Array, "*draws N D"]
    y: Float[Array, "*draws K1 N"]
    weight: Float[Array, "R N"]
    scaling: tuple[Float[Array, "R D"], Float[Array, "R D"]] | None = None
    draw: Int[Array, " H"] | None = None


def averaged_objective(
    rows: HeadRows,
    penalty: Float[Array, " H"],
    head: Float[Array, "H K1 D1"],
    rounded: bool = False,
    needed: Bool[Array, " H"] | None = None,
) -> tuple[Float[Array, " H"], Float[Array, "H K1 D1"]]:
    """Returns the averaged objective and its gradient of each head.

    Args:
        rows: Rows that the heads share, or of each head.
        penalty: 1 / (C n) of each head.
        head: W and b; D1 = D + 1.
        rounded: Whether products with shared features are float32.
        needed: Which heads' values are needed; the others' may be anything. None: all.
    """
    count = jnp.sum(rows.weight, axis=-1)
    if rows.draw is None:
        loss, slope, offset = _sums_of_each_head(rows, head)
    else:
        count = count[rows.draw]
        products = jnp.dtype("float32") if rounded else head.dtype
        sums = functools.partial(_sums_on_shared_rows, rows, products)
        heads = _on_shared_features(rows, head), rows.draw
        loss, slope, offset = sums(*heads) if needed is None else _of_some(sums, heads, needed)
        slope = _on_scaled_features(rows, slope, offset)
    w = head[..., :-1]
    f = loss / count + 0.5 * penalty * jnp.sum(w * w, axis=(1, 2))
    count = count[:, None, None]
    gradient = slope / count + penalty[:, None, None] * w
    return f, jnp.concatenate([gradient, offset[..., None] / count], axis=-1)


def _on_shared_features(rows: HeadRows, head: Array) -> Array:
    """Returns the heads for features that are not yet scaled as their draws scale them."""
    if rows.scaling is None:
        return head
    mean, deviation = (of_draws[rows.draw] for of_draws in rows.scaling)
    return jnp.swapaxes(fold_into_head(jnp.swapaxes(head, 1, 2), mean, deviation), 1, 2)


def _on_scaled_features(rows: HeadRows, slope: Array, offset: Array) -> Array:
    """Returns the slopes [H, K1, D] by the weights of heads for scaled features: the transpose."""
    if rows.scaling is None:
        return slope
    mean, deviation = (of_draws[rows.draw][:, None] for of_draws in rows.scaling)
    return (slope - offset[..., None] * mean) / deviation


def _sums_of_each_head(rows: HeadRows, head: Array) -> tuple[Array, Array, Array]:
    """Sums the loss [H] and its slopes [H, K1, D] and [H, K1] over the rows of each head."""
    x = rows.x.astype(head.dtype)
    z = jnp.swapaxes(multiply(x, jnp.swapaxes(head[..., :-1], 1, 2)), 1, 2) + head[..., -1:]
    loss, residual = row_loss(z, rows.y, axis=1)
    residual = residual * rows.weight[:, None]
    return jnp.sum(loss * rows.weight, axis=1), multiply(residual, x), jnp.sum(residual, axis=2)


def _sums_on_shared_rows(
    rows: HeadRows, products: jnp.dtype, head: Array, draw: Array
) -> tuple[Array, Array, Array]:
    """Sums the same over rows that all heads share: each product serves them all."""
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
        head_weight = weight.T if weight.shape[1] == 1 else weight.T[draw]  # [1, N] or [H, N]
        residual = residual * head_weight[:, None]
        slope = multiply(residual.reshape(columns, -1).astype(products), x)
        slope = slope.astype(head.dtype).reshape(w.shape)
        new = jnp.sum(loss * head_weight, axis=1), slope, jnp.sum(residual, axis=2)
        return jax.tree.map(jnp.add, total, new)

    zero = jnp.zeros(len(head), head.dtype), jnp.zeros_like(w), jnp.zeros_like(b[..., 0])
    loss, slope, offset = over_blocks(add, (rows.x, rows.y.T, rows.weight.T), zero, columns)
    return loss, slope, offset


def _of_some(
    sums: Callable[..., tuple[Array, ...]], heads: tuple[Array, ...], needed: Array
) -> tuple[Array, ...]:
    """Returns `sums` of the heads needed, in the narrowest of some widths; zeros for others."""
    count = len(needed)
    order = jnp.argsort(~needed, stable=True)
    widths = sorted({-(-count * part // _WIDTHS) for part in range(1, _WIDTHS + 1)})

    def of_first(width: int) -> tuple[Array, ...]:
        some = order[:width]
        return jax.tree.map(
            lambda part: jnp.zeros((count, *part.shape[1:]), part.dtype).at[some].set(part),
            sums(*take_heads(heads, some)),
        )

    narrowest = jnp.searchsorted(jnp.array(widths), jnp.sum(needed))
    return jax.lax.switch(narrowest, [functools.partial(of_first, width) for width in widths])
