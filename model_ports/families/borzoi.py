"""Borzoi (Linder et al. 2025) and Flashzoi (Hingerl et al. 2025): a U-Net around a transformer.

Letters of shapes: B batch, L length in bases, N bins of 128 bases, D width, C channels, W width of
a kernel, F features of a distance.

Original: johahi's borzoi-pytorch. Every record stands in the middle of an input of the model's
length, whose other bases are unknown and real context: there is no mask. The embedding is of the
output bins that hold a letter of the record. Beyond the reach of a record the convolution tower
sees padding alone, so it runs only on a window around the record (`window_length`), and a short
strip of padding gives all other bins.
"""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float, Float32, Int

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.fields import COUNTS, Fields
from model_ports.contract.weights import (
    Ignored,
    Weight,
    batch_norm_weights,
    convolution_weights,
    linear_weights,
    norm_weights,
)
from model_ports.layers import padded_input
from model_ports.layers.attention import attend, split_heads
from model_ports.layers.convolution_blocks import ConvolutionBlock, FeedForward
from model_ports.layers.dense import ACTIVATIONS, layer_norm, linear
from model_ports.layers.padded_input import all_bins, bin_size, strip_length, window_start
from model_ports.layers.positions import rotary_table, rotate_front
from model_ports.layers.relative_attention import RelativeAttention
from model_ports.layers.stacking import scan_layers, stack_layers

_EPSILON = 1e-3  # of all norms
_ACTIVATION = ACTIVATIONS["gelu_pytorch_tanh"]
_BASES = 4
_STEM_WIDTH, _TOWER_WIDTH, _SEPARABLE_WIDTH = 15, 5, 3  # of the convolutions
_STAGES = 5  # of the tower behind the stem
_BIN, _UNIT = 32, 128  # bases of an output bin, and of a row of the transformer
_FEATURES = 32  # of a distance
_TRAINED = 4096  # rows of the transformer in training, behind the widths of the features
_ROTARY_BASE = 20000.0
_WHOLE = 16384 - 32  # bins that are kept where config.json does not ask for the centre alone

# The tower, whose last stage has no pooling, and the stage on the pooled tower.
_TOWER = ((_STEM_WIDTH, 2), *[(_TOWER_WIDTH, 2)] * (_STAGES - 1), (_TOWER_WIDTH, 1))
_DEEPER = (*_TOWER, (1, 2), (_TOWER_WIDTH, 1))

# Widths that the authors' code writes as constants. A config.json may state others, in
# `fixture_only_widths`; no published one does.
_TOWER_CHANNELS = (512, 608, 736, 896, 1056, 1280)
_FINAL_CHANNELS = 1920
_TURNED = 128  # elements of a head, from its front, that rotary positions turn

BATCHING = "fixed"

FIXED = {"model_type": "borzoi"}

# Dropouts, and the heads behind the embedding.
UNUSED = (
    "attn_dropout", "dropout_rate", "pos_dropout", "enable_human_head", "enable_mouse_head",
    "fixture_only_widths.human_tracks", "fixture_only_widths.mouse_tracks",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on.

    Attributes:
        bins: Output bins that are kept, from the middle.
        flashed: Whether attention is Flashzoi's.
        turned: Of Flashzoi's heads how many elements turn with their position.
    """

    width: int
    layers: int
    heads: int
    key_width: int
    value_width: int
    bins: int
    flashed: bool
    tower: tuple[int, ...]
    final: int
    turned: int

    vocab_size = _BASES + 1  # the codes of the bases and of no base
    max_tokens = None  # records are cut by the preset, to the length of the input

    @classmethod
    def from_json(cls, fields: Fields) -> "Config":
        """Returns the config that a checkpoint's config.json states.

        An absent field has the default of the authors' configuration class.

        Raises:
            FieldError: A field is missing, malformed, or asks for what is not computed here.
        """
        fields.check(FIXED)
        width = fields.count("dim", absent=1536)
        heads = fields.count("heads", most=COUNTS, absent=8)
        centre = fields.flag("return_center_bins_only", absent=True)
        bins = fields.count("bins_to_return", absent=6144)
        flashed = fields.flag("flashed", absent=False)
        turned = fields.count("fixture_only_widths.rotary_dim", most=COUNTS, absent=_TURNED)
        if flashed:
            if heads % 2 or width % heads:
                raise fields.refuse("heads", f"it must be even and divide dim, which is {width}")
            if turned % 2 or turned > width // heads:
                raise fields.refuse(
                    "dim",
                    f"heads are {width // heads} wide, but {turned} elements "
                    "(fixture_only_widths.rotary_dim) turn, in pairs",
                )
        return cls(
            width=width,
            layers=fields.count("depth", most=COUNTS, absent=8),
            heads=heads,
            key_width=fields.count("attn_dim_key", most=COUNTS, absent=64),
            value_width=fields.count("attn_dim_value", most=COUNTS, absent=192),
            bins=bins if centre else _WHOLE,
            flashed=flashed,
            tower=fields.sizes(
                "fixture_only_widths.tower", length=_STAGES + 1, absent=_TOWER_CHANNELS
            ),
            final=fields.count("fixture_only_widths.final", absent=_FINAL_CHANNELS),
            turned=turned,
        )


def _block(width_in: int, width_out: int, size: int, *, rngs: nnx.Rngs) -> ConvolutionBlock:
    return ConvolutionBlock(
        width_in, width_out, size, epsilon=_EPSILON, activation=_ACTIVATION, rngs=rngs
    )


def _pool(x: Float[Array, "B L C"]) -> Float[Array, "B L//2 C"]:
    """Takes the maximum of each pair of rows."""
    return x.reshape(x.shape[0], -1, 2, x.shape[-1]).max(axis=2)


def position_features(length: int) -> Float32[np.ndarray, "distances F"]:
    """Computes Borzoi's functions of the distance between two rows of the transformer.

    Half of them are masks of the centre, 1 where the distance is below b^k - 1 for k = 1 .. 16 and
    b^16 = 4097, whatever the length of the input; then the same with the distance's sign. Some
    b^k - 1 come near whole numbers: they are computed in float64.

    Args:
        length: Rows N.

    Returns:
        float32 [2 N - 1, F] of 0, 1 and -1, for the distances -(N - 1) .. N - 1.
    """
    count = _FEATURES // 2
    reach = (_TRAINED + 1.0) ** (np.arange(1, count + 1) / count) - 1
    distance = np.arange(-length + 1, length)[:, None]
    centre = (reach > np.abs(distance)).astype(np.float32)
    return np.concatenate([centre, np.sign(distance) * centre], axis=1).astype(np.float32)


class FlashAttention(nnx.Module):
    """Attention with rotary positions; two query heads after each other share keys and values."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        self.query = linear(config.width, config.width, rngs=rngs)
        self.key = linear(config.width, config.width // 2, rngs=rngs)
        self.value = linear(config.width, config.width // 2, rngs=rngs)
        self.output = linear(config.width, config.width, rngs=rngs)

    def __call__(self, x: Float[Array, "B N D"]) -> Float[Array, "B N D"]:
        heads = self.config.heads
        query = split_heads(self.query(x), heads)
        key, value = (split_heads(part(x), heads // 2) for part in (self.key, self.value))
        table = rotary_table(x.shape[1], self.config.turned, _ROTARY_BASE)
        query, key = rotate_front(query, table), rotate_front(key, table)
        return self.output(attend(query, key, value, None))


class Block(nnx.Module):
    """Pre-norm attention and feed-forward."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.norm = layer_norm(config.width, _EPSILON, rngs=rngs)
        self.attention = (
            FlashAttention(config, rngs=rngs)
            if config.flashed
            else RelativeAttention(
                config.width,
                config.heads,
                key_width=config.key_width,
                value_width=config.value_width,
                features=_FEATURES,
                rngs=rngs,
            )
        )
        self.feed_forward = FeedForward(config.width, _EPSILON, rngs=rngs)

    def __call__(self, x: Float[Array, "B N D"]) -> Float[Array, "B N D"]:
        y = self.norm(x)
        if isinstance(self.attention, FlashAttention):
            return self.feed_forward(x + self.attention(y))
        return self.feed_forward(x + self.attention(y, position_features(x.shape[1])))


class Joint(nnx.Module):
    """A step of the decoder: doubles the rows and joins them with those of the tower."""

    def __init__(self, width: int, width_beside: int, *, rngs: nnx.Rngs):
        self.below = _block(width, width, 1, rngs=rngs)
        self.beside = _block(width_beside, width, 1, rngs=rngs)
        init = nnx.initializers.normal(_SEPARABLE_WIDTH**-0.5)
        self.kernel = nnx.Param(init(rngs.params(), (width, _SEPARABLE_WIDTH)))
        self.mix = linear(width, width, rngs=rngs)

    def __call__(
        self, x: Float[Array, "B L D"], beside: Float[Array, "B 2*L C"]
    ) -> Float[Array, "B 2*L D"]:
        x = jnp.repeat(self.below(x), 2, axis=1) + self.beside(beside)
        return self.mix(_convolve_channels(x, self.kernel[...]))


def _convolve_channels(
    x: Float[Array, "B L D"], kernel: Float[Array, "D W"]
) -> Float[Array, "B L D"]:
    """Computes y[t] = sum_j kernel[:, j] x[t + j - (W - 1) / 2] for each channel."""
    width, length = kernel.shape[1], x.shape[1]
    padded = jnp.pad(x, ((0, 0), (width // 2, width // 2), (0, 0)))
    taps = [padded[:, j : j + length] * kernel[:, j] for j in range(width)]
    return functools.reduce(jnp.add, taps)


class Model(nnx.Module):
    """The trunk, from base codes in `input_ids` to hidden states of bins.

    The states of taps inside are of the transformer's rows of 128 bases, the final one is of the
    kept output bins of 32. Rows that hold a letter of the record are meaningful; without
    `attention_mask`, all.
    """

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        first, *others = config.tower
        self.stem = nnx.Conv(_BASES, first, (_STEM_WIDTH,), rngs=rngs)
        self.tower = nnx.List(
            _block(a, b, _TOWER_WIDTH, rngs=rngs)
            for a, b in zip((first, *others), others, strict=False)
        )
        self.deeper = _block(others[-1], config.width, _TOWER_WIDTH, rngs=rngs)
        self.blocks = stack_layers(lambda rngs: Block(config, rngs=rngs), config.layers, rngs)
        self.joint1 = Joint(config.width, config.width, rngs=rngs)
        self.joint0 = Joint(config.width, others[-1], rngs=rngs)
        self.final = _block(config.width, config.final, 1, rngs=rngs)

    def __call__(self, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)) -> Hidden:
        ids = inputs["input_ids"]
        full = inputs.get("padded_length", ids.shape[1])
        bins = full // _BIN
        if full % _UNIT:
            raise ValueError(f"max_tokens is {full}; the input must be a multiple of {_UNIT} bases")
        if bins < self.config.bins:
            raise ValueError(
                f"config.json: bins_to_return is {self.config.bins}, but an input of {full} bases "
                f"has {bins} bins of {_BIN}; state max_tokens of {_BIN * self.config.bins} or more"
            )
        tower, deeper = self._bins(ids, full)
        x = _pool(deeper)
        x, states = scan_layers(self.blocks, x, lambda block, x: block(x), taps)
        x = self.joint0(self.joint1(x, deeper), tower)
        # An odd number of bins too many loses one more than asked, as in the original.
        trim = -((self.config.bins - bins) // 2)
        states[FINAL] = _ACTIVATION(self.final(x[:, trim : bins - trim]))
        mask = inputs.get("attention_mask")
        mask = jnp.ones(ids.shape, bool) if mask is None else mask
        rows = {tap: _held(mask, full, _UNIT) for tap in states}
        rows[FINAL] = _held(mask, full, _BIN)[:, trim : bins - trim]
        return Hidden(states, rows)

    def _convolve(
        self, ids: Int[Array, "B L"]
    ) -> tuple[Float[Array, "B bins C"], Float[Array, "B bins//2 D"]]:
        """Runs the tower, and the stage that sees its pooled bins."""
        x = jax.nn.one_hot(ids, _BASES, dtype=self.stem.kernel.dtype)
        x = self.stem(x)
        for stage in self.tower:
            x = stage(_pool(x))
        return x, self.deeper(_pool(x))

    def _bins(
        self, ids: Int[Array, "B L"], full: int
    ) -> tuple[Float[Array, "B bins C"], Float[Array, "B bins//2 D"]]:
        """Returns all bins of `full` bases, of which `ids` are a window and the others padding."""
        found = self._convolve(ids)
        if ids.shape[1] == full:
            return found
        strip = jnp.full((1, strip_length((_TOWER, _DEEPER), _UNIT)), _BASES, ids.dtype)
        padding = self._convolve(strip)
        tower, deeper = (
            all_bins(tower, window, alone, full // bin_size(tower), centred=True)
            for tower, window, alone in zip((_TOWER, _DEEPER), found, padding, strict=True)
        )
        return tower, deeper


def _held(mask: Bool[Array, "B L"], full: int, size: int) -> Bool[Array, "B rows"]:
    """Returns which rows of `size` bases hold a letter; `mask` is of a window of `full` bases."""
    start = window_start(full, mask.shape[1], centred=True)
    mask = jnp.pad(mask, ((0, 0), (start, full - start - mask.shape[1])))
    return mask.reshape(len(mask), -1, size).any(axis=2)


def window_length(config: Config, full: int, longest: int) -> int:
    """Returns how many bases the window has that gives the same bins as the whole input.

    Args:
        config: The model.
        full: Bases of the model's input.
        longest: Bases of the longest record, at most `full`.
    """
    del config  # the towers of all sizes are alike
    return padded_input.window_length((_TOWER, _DEEPER), _UNIT, full, longest, centred=True)


def _rules(paths: dict[str, str]) -> list[Weight]:
    """Returns the rules of blocks of a batch norm and a convolution."""
    return [
        *batch_norm_weights({f"{a}.norm": f"{b}.norm" for a, b in paths.items()}),
        *convolution_weights({f"{a}.conv_layer": f"{b}.convolution" for a, b in paths.items()}),
    ]


def _joint(number: int) -> list[Weight]:
    """Returns the rules of a step of the decoder."""
    path, separable = f"joint{number}", f"separable{number}.conv_layer"
    blocks = {
        f"upsampling_unet{number}.0": f"{path}.below",
        f"horizontal_conv{number}": f"{path}.beside",
    }
    return [
        *_rules(blocks),
        Weight(f"{separable}.0.weight", f"{path}.kernel", lambda w: w[:, 0]),
        Weight(f"{separable}.1.weight", f"{path}.mix.kernel", lambda w: w[:, :, 0].T),
        Weight(f"{separable}.1.bias", f"{path}.mix.bias"),
    ]


def _attention(config: Config, source: str) -> list[Weight]:
    """Returns the rules of a layer's attention."""
    path = "blocks.attention"
    if not config.flashed:
        projections = {"to_q": "query", "to_k": "key", "to_v": "value", "to_rel_k": "relative"}
        biases = {"rel_content_bias": "content_bias", "rel_pos_bias": "position_bias"}
        return [
            *linear_weights(
                {f"{source}.{a}": f"{path}.{b}" for a, b in projections.items()}, bias=False
            ),
            *linear_weights({f"{source}.to_out": f"{path}.output"}),
            *(
                Weight(f"{source}.{a}", f"{path}.{b}", lambda bias: bias[0, :, 0])
                for a, b in biases.items()
            ),
        ]
    # One tensor holds the queries of all heads, then the keys, then the values.
    width, half = config.width, config.width // 2
    rows = {
        "query": slice(width),
        "key": slice(width, width + half),
        "value": slice(width + half, width + 2 * half),
    }
    return [
        *(
            Weight(f"{source}.mha.Wqkv.weight", f"{path}.{part}.kernel", lambda w, r=r: w[r].T)
            for part, r in rows.items()
        ),
        *(
            Weight(f"{source}.mha.Wqkv.bias", f"{path}.{part}.bias", lambda w, r=r: w[r])
            for part, r in rows.items()
        ),
        *linear_weights({f"{source}.mha.out_proj": f"{path}.output"}),
    ]


def weights(config: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    layer = "transformer.{}"
    blocks = {f"res_tower.{2 * i}": f"tower.{i}" for i in range(_STAGES)}
    blocks |= {"unet1.1": "deeper", "final_joined_convs.0": "final"}
    return (
        *convolution_weights({"conv_dna.conv_layer": "stem"}),
        *_rules(blocks),
        *norm_weights(
            {
                f"{layer}.0.fn.0": "blocks.norm",
                f"{layer}.1.fn.0": "blocks.feed_forward.norm",
            }
        ),
        *_attention(config, f"{layer}.0.fn.1"),
        *linear_weights(
            {
                f"{layer}.1.fn.1": "blocks.feed_forward.up",
                f"{layer}.1.fn.4": "blocks.feed_forward.down",
            }
        ),
        *_joint(1),
        *_joint(0),
        Ignored(r"(human|mouse)_head\..*", "heads of tracks, behind the embedding"),
        Ignored(r".*\.num_batches_tracked", "a counter of the training"),
    )


SHARDING = (
    (r"blocks\.attention\.(query|key|value)\.kernel", (None, None, "model")),
    (r"blocks\.attention\.(query|key|value)\.bias", (None, "model")),
    (r"blocks\.attention\.output\.kernel", (None, "model", None)),
    (r"blocks\.feed_forward\.up\.kernel", (None, None, "model")),
    (r"blocks\.feed_forward\.down\.kernel", (None, "model", None)),
)

# Statistics of batch norms may be tiny.
FLOAT32 = (r".*\.norm\.(mean|variance)",)

TINY = {
    "dim": 48,
    "depth": 2,
    "heads": 2,
    "attn_dim_key": 8,
    "attn_dim_value": 24,
    "fixture_only_widths": {"tower": [16, 16, 24, 24, 32, 32], "final": 64, "rotary_dim": 8},
}
