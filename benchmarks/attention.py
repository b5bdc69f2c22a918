"""Which attention is the fastest on this device, at the models' shapes?

    python -m benchmarks.attention --dtype bfloat16

One layer's attention, in batches of as many tokens as the engine's, milliseconds: `engine` as the
models call it (cuDNN's kernel where a GPU has it), `blocks` without a kernel (some queries at a
time), `whole` with the scores of all pairs at once (`jax.nn.dot_product_attention`; empty where
they do not fit into memory). `difference` is the largest one of `engine` from float32, relative to
the largest entry; a third of each record is padding.

Needs nothing but the package. `--out` holds these rows, with the dtype, the tokens of a batch and
the device.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from benchmarks.needs import begin, new_parser
from benchmarks.rows import Rows
from geneb_jax.devices.capacity import best_seconds, out_of_memory
from geneb_jax.embedding.tuning import default_batch_tokens
from model_ports import catalog
from model_ports.layers.attention import attend


class Shape(NamedTuple):
    """One layer's attention: query heads, key heads, width of a head, whether it is causal."""

    heads: int
    groups: int
    width: int
    causal: bool


# Models, and whether their attention is causal.
MODELS = {
    "nucleotide-transformer-v2-50m-multi-species": False,
    "gena-lm-bert-large-t2t": False,
    "GENERator-eukaryote-3b-base": True,
    "METAGENE-1": True,
}
LENGTHS = (128, 512, 2048, 8192)


def shape_of(name: str) -> Shape:
    """The attention of a model at full size."""
    config = catalog.get(name).config
    heads = config["num_attention_heads"]
    groups = config.get("num_key_value_heads", heads)
    return Shape(heads, groups, config["hidden_size"] // heads, MODELS[name])


def whole(query: Array, key: Array, value: Array, mask: Array, *, causal: bool) -> Array:
    """Attention with the scores of all pairs at once, [B, L, H * d]."""
    seen = mask[:, None, None]
    mixed = jax.nn.dot_product_attention(query, key, value, mask=seen, is_causal=causal)
    return mixed.reshape(*query.shape[:2], -1)


SIDES: dict[str, Callable[..., Array]] = {
    "engine": attend,
    "blocks": functools.partial(attend, kernel=False),
    "whole": whole,
}


def draw(shape: Shape, length: int, batch: int, dtype: str) -> tuple[Any, ...]:
    """Random queries, keys and values, and the mask."""
    rng = np.random.default_rng(0)
    heads = (shape.heads, shape.groups, shape.groups)
    parts = (rng.standard_normal((batch, length, n, shape.width), np.float32) for n in heads)
    mask = np.broadcast_to(np.arange(length) < length - length // 3, (batch, length))
    return *(jnp.asarray(part, dtype) for part in parts), jnp.asarray(mask)


def measure(
    shape: Shape, length: int, batch: int, dtype: str
) -> tuple[dict[str, float | None], float]:
    """Seconds of each side (None: does not fit), and the engine's difference from float32."""
    arrays = draw(shape, length, batch, dtype)
    seconds: dict[str, float | None] = {}
    for name, side in SIDES.items():
        run = jax.jit(functools.partial(side, causal=shape.causal))
        try:
            seconds[name] = best_seconds(lambda run=run: run(*arrays))
        except jax.errors.JaxRuntimeError as error:
            if not out_of_memory(error):
                raise
            seconds[name] = None
    found = attend(*(array[:1] for array in arrays), causal=shape.causal)
    query, key, value = (part[:1].astype(jnp.float32) for part in arrays[:3])
    exact = attend(query, key, value, arrays[3][:1], causal=shape.causal)
    change = jnp.abs(found.astype(jnp.float32) - exact).max() / jnp.abs(exact).max()
    return seconds, float(change)


def main() -> None:
    """Measures the lengths that are asked for, at each model's shapes."""
    parser = new_parser(__doc__)
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, metavar="L")
    parser.add_argument("--tokens", type=int, default=default_batch_tokens())
    options = begin(parser)
    constants = {"dtype": options.dtype, "tokens": options.tokens}
    constants |= {"device": jax.devices()[0].device_kind}
    columns = {"model": "45s", "length": "6"} | dict.fromkeys(SIDES, "9.2f")
    rows = Rows(columns | {"difference": "10.1e"}, options.out)
    for model in MODELS:
        shape = shape_of(model)
        for length in options.lengths:
            batch = max(options.tokens // length, 1)
            with jax.default_matmul_precision("highest"):  # as models' forward
                seconds, change = measure(shape, length, batch, options.dtype)
            times = {name: s and 1000 * s for name, s in seconds.items()}
            rows.add(
                {"model": model, "length": length} | times | {"difference": change} | constants
            )


if __name__ == "__main__":
    main()
