"""HyenaDNA (Nguyen et al. 2023): a causal stack of Hyena operators, long convolutions by FFT.

Original: modeling_hyena.py of the repositories LongSafari/hyenadna-*-hf. No mask anywhere:
padding behind a record changes nothing, padding before it does.
"""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float, Float32

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.fields import COUNTS, ROWS, Fields
from model_ports.contract.weights import (
    Ignored,
    Weight,
    linear_weights,
    norm_weights,
    padded_rows,
)
from model_ports.layers.convolutions import causal_fft_convolution, short_causal_convolution
from model_ports.layers.dense import embed, layer_norm, linear
from model_ports.layers.stacking import scan_layers, stack_layers

_BLOCK_EPSILON = 1e-5  # of the norms in the blocks, whatever config.json says
_DECAY_SHIFT = 0.05  # keeps every position of a filter above zero
_FAST_DECAY, _SLOW_DECAY, _DECAY_TARGET = 0.3, 1.5, 1e-2
_PARTS = 3  # two gates and the value

BATCHING = "causal"

# Operators of two gates, filters of two inner layers, and biases in the projections.
FIXED = {"model_type": "hyenadna", "hyena_order": 2, "num_inner_mlps": 2, "use_bias": True}

# Dropouts, and whether the frequencies were trained: they are read from the checkpoint.
UNUSED = (
    "embed_dropout", "hyena_dropout", "hyena_filter_dropout", "train_freq",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on."""

    vocab_size: int
    rows: int
    width: int
    inner: int
    layers: int
    max_tokens: int
    filter_width: int
    filter_features: int
    short_width: int
    frequency: float
    epsilon: float

    @classmethod
    def from_json(cls, fields: Fields) -> "Config":
        """Returns the config that a checkpoint's config.json states.

        Raises:
            FieldError: A field is missing, malformed, or asks for what is not computed here.
        """
        fields.check(FIXED)
        stated = fields.count("vocab_size", most=ROWS)
        multiple = fields.count("pad_vocab_size_multiple")
        features = fields.count("emb_dim", least=3, most=COUNTS)
        if features % 2 == 0:
            raise fields.refuse("emb_dim", "it must be odd: the time, cosines and as many sines")
        return cls(
            vocab_size=stated,
            rows=math.ceil(stated / multiple) * multiple,
            width=fields.count("d_model"),
            inner=fields.count("d_inner"),
            layers=fields.count("n_layer", most=COUNTS),
            max_tokens=fields.count("max_seq_len", most=ROWS),
            filter_width=fields.count("filter_order"),
            filter_features=features,
            short_width=fields.count("short_filter_order", most=COUNTS),
            frequency=fields.number("activation_freq", most=1e6),
            epsilon=fields.number("layer_norm_epsilon"),
        )


class Filter(nnx.Module):
    """The long filter of each channel: a sine network over features of the position, with decay.

    Everything here is float32: the sines magnify rounding about tenfold.
    """

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        width, positions = config.filter_width, config.max_tokens
        bands = (config.filter_features - 1) // 2
        time = jnp.linspace(0, 1, positions)[:, None]
        turns = 2 * jnp.pi * jnp.arange(positions)[:, None] / positions
        phase = turns * jnp.linspace(1e-4, bands - 1, bands)
        # Stored in the checkpoint, where training may have moved them: read, never recomputed.
        self.features = nnx.Param(jnp.concatenate([time, jnp.cos(phase), -jnp.sin(phase)], 1))
        self.time = nnx.Param(time)
        target = math.log(_DECAY_TARGET)
        decay = jnp.linspace(target / _SLOW_DECAY, target / _FAST_DECAY, config.width)
        self.decay = nnx.Param(decay)
        self.frequency = nnx.Param(jnp.full(width, float(config.frequency)))
        self.first = linear(config.filter_features, width, rngs=rngs)
        self.second = linear(width, width, rngs=rngs)
        self.third = linear(width, width, rngs=rngs)
        self.last = linear(width, config.width, bias=False, rngs=rngs)

    def __call__(self, length: int) -> Float32[Array, "L D"]:
        # A bucket may be longer than the table: those lags reach no token of a record.
        rows = jnp.minimum(jnp.arange(length), self.time.shape[0] - 1)
        time, x = self.time[...][rows], self.features[...][rows]
        for layer in (self.first, self.second, self.third):
            x = jnp.sin(self.frequency[...] * layer(x))
        return self.last(x) * (jnp.exp(-time * jnp.abs(self.decay[...])) + _DECAY_SHIFT)


class Block(nnx.Module):
    """Pre-norm Hyena operator and feed-forward; the residual stream stays float32."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        width, inner = config.width, config.inner
        self.mixer_norm = layer_norm(width, _BLOCK_EPSILON, rngs=rngs)
        self.project = linear(width, _PARTS * width, rngs=rngs)
        self.short_kernel = nnx.Param(
            nnx.initializers.normal(0.02)(rngs.params(), (_PARTS * width, config.short_width))
        )
        self.short_bias = nnx.Param(jnp.zeros(_PARTS * width))
        self.filter = Filter(config, rngs=rngs)
        self.skip = nnx.Param(jnp.ones(width))
        self.output = linear(width, width, rngs=rngs)
        self.feed_forward_norm = layer_norm(width, _BLOCK_EPSILON, rngs=rngs)
        self.up = linear(width, inner, rngs=rngs)
        self.down = linear(inner, width, rngs=rngs)

    def __call__(self, x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        dtype = self.up.kernel.dtype
        x = x + self._mix(self.mixer_norm(x).astype(dtype)).astype(jnp.float32)
        y = jax.nn.gelu(self.up(self.feed_forward_norm(x).astype(dtype)), approximate=True)
        return x + self.down(y).astype(jnp.float32)

    def _mix(self, x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        y = short_causal_convolution(self.project(x), self.short_kernel[...], self.short_bias[...])
        gate, inner_gate, value = jnp.split(y, _PARTS, axis=-1)
        value = value * inner_gate
        mixed = causal_fft_convolution(value, self.filter(x.shape[1])) + value * self.skip[...]
        return self.output(mixed.astype(x.dtype) * gate)


class Model(nnx.Module):
    """The decoder, from token ids to hidden states."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.tokens = embed(config.rows, config.width, rngs=rngs)
        self.blocks = stack_layers(lambda rngs: Block(config, rngs=rngs), config.layers, rngs)
        self.norm = layer_norm(config.width, config.epsilon, rngs=rngs)

    def __call__(self, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)) -> Hidden:
        x = self.tokens(inputs["input_ids"]).astype(jnp.float32)
        x, states = scan_layers(self.blocks, x, lambda block, x: block(x), taps)
        return Hidden(states | {FINAL: self.norm(x)})


def weights(config: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    layer = "hyena.backbone.layers.{}"
    filters = f"{layer}.mixer.filter_fn"
    linears = {
        f"{layer}.mixer.in_proj": "blocks.project",
        f"{layer}.mixer.out_proj": "blocks.output",
        f"{layer}.mlp.fc1": "blocks.up",
        f"{layer}.mlp.fc2": "blocks.down",
        f"{filters}.implicit_filter.0": "blocks.filter.first",
        f"{filters}.implicit_filter.2": "blocks.filter.second",
        f"{filters}.implicit_filter.4": "blocks.filter.third",
    }
    norms = {
        f"{layer}.norm1": "blocks.mixer_norm",
        f"{layer}.norm2": "blocks.feed_forward_norm",
        "hyena.backbone.ln_f": "norm",
    }
    return (
        Weight(
            "hyena.backbone.embeddings.word_embeddings.weight",
            "tokens.embedding",
            padded_rows(config.vocab_size, config.rows),
        ),
        *linear_weights(linears),
        *linear_weights({f"{filters}.implicit_filter.6": "blocks.filter.last"}, bias=False),
        *norm_weights(norms),
        Weight(f"{layer}.mixer.short_filter.weight", "blocks.short_kernel", lambda w: w[:, 0]),
        Weight(f"{layer}.mixer.short_filter.bias", "blocks.short_bias"),
        Weight(f"{filters}.bias", "blocks.skip"),
        Weight(f"{filters}.pos_emb.z", "blocks.filter.features", lambda z: z[0]),
        Weight(f"{filters}.pos_emb.t", "blocks.filter.time", lambda t: t[0]),
        # One frequency serves all three sines; it is stored under the first.
        Weight(f"{filters}.implicit_filter.1.freq", "blocks.filter.frequency", lambda f: f[0]),
        Ignored(
            r"(.*\.implicit_filter)\.[35]\.freq",
            "the first one under other names",
            same=r"\1.1.freq",
        ),
        Weight(f"{filters}.modulation.deltas", "blocks.filter.decay", lambda d: d[0, 0]),
        Ignored(r"lm_head\.weight", "language-model head"),
    )


SHARDING = (
    (r"blocks\.up\.kernel", (None, None, "model")),
    (r"blocks\.up\.bias", (None, "model")),
    (r"blocks\.down\.kernel", (None, "model", None)),
)

FLOAT32 = (r"blocks\.filter\..*", r"blocks\.skip")

TINY = {"d_model": 32, "d_inner": 64, "n_layer": 2, "filter_order": 16, "max_seq_len": 1024}
