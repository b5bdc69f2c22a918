"""Blocks of the convolution towers of Enformer and Borzoi, and their feed-forward.

Letters of shapes: B batch, L length, D width, C channels.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from model_ports.layers.dense import layer_norm, linear


class BatchNorm(nnx.Module):
    """Batch normalisation by the statistics that the checkpoint holds."""

    def __init__(self, width: int, epsilon: float):
        self.epsilon = epsilon
        self.scale, self.bias = nnx.Param(jnp.ones(width)), nnx.Param(jnp.zeros(width))
        self.mean, self.variance = nnx.Param(jnp.zeros(width)), nnx.Param(jnp.ones(width))

    def __call__(self, x: Float[Array, "B L C"]) -> Float[Array, "B L C"]:
        """Normalises each channel, in the dtype of `x`."""
        gain = self.scale[...] / jnp.sqrt(self.variance[...] + self.epsilon)
        return ((x - self.mean[...]) * gain + self.bias[...]).astype(x.dtype)


class ConvolutionBlock(nnx.Module):
    """Batch norm, activation, convolution."""

    def __init__(
        self,
        width_in: int,
        width_out: int,
        size: int,
        *,
        epsilon: float,
        activation: Callable[[Array], Array],
        rngs: nnx.Rngs,
    ):
        self.activation = activation
        self.norm = BatchNorm(width_in, epsilon)
        self.convolution = nnx.Conv(width_in, width_out, (size,), rngs=rngs)

    def __call__(self, x: Float[Array, "B L C"]) -> Float[Array, "B L out"]:
        """Convolves; beyond both ends stand zeros, which neither norm nor activation sees."""
        return self.convolution(self.activation(self.norm(x)))


class FeedForward(nnx.Module):
    """Layer norm and ReLU feed-forward of twice the width, with its residual."""

    def __init__(self, width: int, epsilon: float, *, rngs: nnx.Rngs):
        self.norm = layer_norm(width, epsilon, rngs=rngs)
        self.up = linear(width, 2 * width, rngs=rngs)
        self.down = linear(2 * width, width, rngs=rngs)

    def __call__(self, x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        """Adds the branch to `x`."""
        return x + self.down(jax.nn.relu(self.up(self.norm(x))))
