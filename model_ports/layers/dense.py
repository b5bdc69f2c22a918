"""Linear layers, embedding tables, layer norms and activations as PyTorch has them."""

from collections.abc import Callable, Mapping

import jax
from flax import nnx
from jax import Array

# `gelu` is the exact one (erf), as in PyTorch; `gelu_new` and `gelu_fast` are its tanh form.
ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_new": lambda x: jax.nn.gelu(x, approximate=True),
    "gelu_fast": lambda x: jax.nn.gelu(x, approximate=True),
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
