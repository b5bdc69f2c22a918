"""The mixers of Mamba and of Mamba-2 for one direction, which several families share.

Letters of shapes: B batch, L length, D inner width, P width of a projection.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float, Float32

from model_ports.layers.convolutions import short_causal_convolution
from model_ports.layers.dense import linear
from model_ports.layers.scans import selective_scan, state_space_duality


class SelectiveMixer(nnx.Module):
    """Convolution, input-dependent step sizes and selective scan (Gu and Dao 2023), causal.

    With `norm_epsilon`, the step size, B and C are RMS-normed, as in Jamba (Lieber et al. 2024).

    Args:
        inner: Inner width D.
        states: States of each channel.
        rank: Width from which the step sizes are projected.
        convolution: Length of the short convolution.
        norm_epsilon: Epsilon of the RMS norms; None: there are none.
        rngs: Source of the random weights.
    """

    def __init__(
        self,
        inner: int,
        states: int,
        rank: int,
        convolution: int,
        norm_epsilon: float | None = None,
        *,
        rngs: nnx.Rngs,
    ):
        self.states, self.rank = states, rank
        self.kernel = nnx.Param(nnx.initializers.normal(0.02)(rngs.params(), (inner, convolution)))
        self.bias = nnx.Param(jnp.zeros(inner))
        self.project = linear(inner, rank + 2 * states, bias=False, rngs=rngs)
        self.step = linear(rank, inner, rngs=rngs)
        decay = jnp.log(jnp.arange(1, states + 1, dtype=jnp.float32))
        self.log_decay = nnx.Param(jnp.broadcast_to(decay, (inner, states)))
        self.skip = nnx.Param(jnp.ones(inner))
        self.normed = norm_epsilon is not None
        if norm_epsilon is not None:
            self.norms = nnx.List(
                nnx.RMSNorm(width, epsilon=norm_epsilon, rngs=rngs)
                for width in (rank, states, states)
            )

    def __call__(self, x: Float[Array, "B L D"]) -> Float32[Array, "B L D"]:
        """Mixes each channel with what was before it; scan and skip are float32."""
        x = jax.nn.silu(short_causal_convolution(x, self.kernel[...], self.bias[...]))
        parts = jnp.split(self.project(x), (self.rank, self.rank + self.states), axis=-1)
        if self.normed:
            parts = [norm(part) for norm, part in zip(self.norms, parts, strict=True)]
        low, b, c = parts
        wide = x.astype(jnp.float32)
        dt = jax.nn.softplus(self.step(low.astype(jnp.float32)))
        y = selective_scan(wide, dt, -jnp.exp(self.log_decay[...]), b, c)
        return y + self.skip[...] * wide


class DualityMixer(nnx.Module):
    """Mamba-2 between its projections (Dao and Gu 2024), causal, with one group of states.

    The projection holds, one after the other, the gate [D], the channels [D], the input and output
    weights of the states, and the step of each head. The gate comes before the norm.

    Args:
        inner: Inner width D.
        states: States of each channel.
        heads: Heads, each with one decay.
        convolution: Length of the short convolution.
        epsilon: Epsilon of the norm.
        rngs: Source of the random weights.
    """

    def __init__(
        self,
        inner: int,
        states: int,
        heads: int,
        convolution: int,
        epsilon: float,
        *,
        rngs: nnx.Rngs,
    ):
        self.inner, self.states, self.heads = inner, states, heads
        mixed = inner + 2 * states
        self.kernel = nnx.Param(nnx.initializers.normal(0.02)(rngs.params(), (mixed, convolution)))
        self.bias = nnx.Param(jnp.zeros(mixed))
        self.step_bias = nnx.Param(jnp.zeros(heads))
        self.log_decay = nnx.Param(jnp.zeros(heads))
        self.skip = nnx.Param(jnp.ones(heads))
        self.norm = nnx.RMSNorm(inner, epsilon=epsilon, rngs=rngs)

    def mix(self, projected: Float[Array, "B L P"]) -> Float32[Array, "B L D"]:
        """Mixes each head with what was before it; scan, skip, gate and norm are float32."""
        inner, states = self.inner, self.states
        gate, mixed, step = jnp.split(projected, (inner, 2 * inner + 2 * states), axis=-1)
        mixed = jax.nn.silu(short_causal_convolution(mixed, self.kernel[...], self.bias[...]))
        x, b, c = jnp.split(mixed.astype(jnp.float32), (inner, inner + states), axis=-1)
        x = x.reshape(*x.shape[:2], self.heads, -1)
        dt = jax.nn.softplus(step.astype(jnp.float32) + self.step_bias[...])
        y = state_space_duality(x, dt, -jnp.exp(self.log_decay[...]), b, c)
        y = (y + self.skip[...][:, None] * x).reshape(*projected.shape[:2], inner)
        return self.norm(y * jax.nn.silu(gate.astype(jnp.float32)))
