"""Linear layers, embedding tables, layer norms and activations as PyTorch has them."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float


def _exact_gelu(x: Array) -> Array:
    return jax.nn.gelu(x, approximate=False)


def _tanh_gelu(x: Array) -> Array:
    return jax.nn.gelu(x, approximate=True)


# By transformers' names; several of them stand for one function. The exact GELU is that of erf.
ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    **dict.fromkeys(("gelu", "gelu_python"), _exact_gelu),
    **dict.fromkeys(
        ("gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh", "gelu_python_tanh"),
        _tanh_gelu,
    ),
    **dict.fromkeys(("silu", "swish"), jax.nn.silu),
    "gelu_10": lambda x: jnp.clip(_exact_gelu(x), -10, 10),
    "hardswish": jax.nn.hard_swish,
    "leaky_relu": jax.nn.leaky_relu,
    "linear": lambda x: x,
    "mish": jax.nn.mish,
    "quick_gelu": lambda x: x * jax.nn.sigmoid(1.702 * x),
    "relu": jax.nn.relu,
    "relu2": lambda x: jnp.square(jax.nn.relu(x)),
    "relu6": jax.nn.relu6,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
}


def linear(
    features_in: int, features_out: int, *, rngs: nnx.Rngs, bias: bool = True, std: float = 0.02
) -> nnx.Linear:
    """Returns a linear layer, its kernel drawn from a normal distribution, its bias zero.

    Args:
        features_in: Width of the input.
        features_out: Width of the output.
        rngs: Source of the random kernel.
        bias: Whether the layer has a bias.
        std: Standard deviation of the kernel's entries.
    """
    init = nnx.initializers.normal(std)
    return nnx.Linear(features_in, features_out, use_bias=bias, kernel_init=init, rngs=rngs)


def embed(rows: int, features: int, *, rngs: nnx.Rngs, std: float = 0.02) -> nnx.Embed:
    """Returns an embedding table, drawn from a normal distribution.

    The rows that it looks up have the dtype that the table has then, whatever it was built in.

    Args:
        rows: Number of ids.
        features: Width of a row.
        rngs: Source of the random table.
        std: Standard deviation of the table's entries.
    """
    table = nnx.Embed(rows, features, embedding_init=nnx.initializers.normal(std), rngs=rngs)
    table.dtype = None
    return table


def layer_norm(
    features: int, epsilon: float, *, bias: bool = True, scale: bool = True, rngs: nnx.Rngs
) -> nnx.LayerNorm:
    """Returns a layer norm with PyTorch's formula: the biased variance of the centred values.

    Flax's default, E[x^2] - E[x]^2, cancels in float32 where the mean is large.

    Args:
        features: Width of the input.
        epsilon: Added to the variance under the root.
        bias: Whether the norm has a bias.
        scale: Whether the norm has a scale.
        rngs: Required by Flax; nothing is drawn.
    """
    return nnx.LayerNorm(
        features,
        epsilon=epsilon,
        use_bias=bias,
        use_scale=scale,
        use_fast_variance=False,
        rngs=rngs,
    )


class OuterEpsilonNorm(nnx.Module):
    """RMS norm with epsilon outside the root, StripedHyena's: scale * x / (rms(x) + epsilon).

    Args:
        features: Width D of the input.
        epsilon: Added to the root mean square.
    """

    def __init__(self, features: int, epsilon: float):
        self.epsilon = epsilon
        self.scale = nnx.Param(jnp.ones(features))

    def __call__(self, x: Float[Array, "*rows D"]) -> Float[Array, "*rows D"]:
        """Returns the normed rows in the dtype of `x`; the norm itself is float32."""
        wide = x.astype(jnp.float32)
        root = jnp.sqrt(jnp.mean(wide * wide, axis=-1, keepdims=True))
        return (wide / (root + self.epsilon)).astype(x.dtype) * self.scale[...]
