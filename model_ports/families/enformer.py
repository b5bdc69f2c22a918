"""Enformer (Avsec et al. 2021) and SPACE (Yang et al. 2025): convolution tower and attention.

Letters of shapes: B batch, L length in bases or bins, D width, C channels of a convolution.

SPACE appends a species vector to the bins and has a mixture of experts for a feed-forward.
Original: lucidrains' enformer-pytorch, of which SPACE's code is a copy. Every record is padded
to the model's input length, and padding is real context: there is no mask. Beyond the reach of
a record the convolution tower sees padding alone, so it runs only on a window around the record
(`window_length`), and a short strip of padding gives all other bins.
"""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Float, Int

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
from model_ports.layers.convolution_blocks import ConvolutionBlock, FeedForward
from model_ports.layers.dense import ACTIVATIONS, layer_norm, linear
from model_ports.layers.padded_input import all_bins, bin_size, strip_length
from model_ports.layers.relative_attention import RelativeAttention
from model_ports.layers.stacking import scan_layers, stack_layers

_EPSILON = 1e-5  # of all norms
_ACTIVATION = ACTIVATIONS["quick_gelu"]
_BASES = 4
_STEM_WIDTH, _TOWER_WIDTH = 15, 5  # of the convolutions
_FEATURE_KINDS = 6  # exponential, mask, gamma; each plain and signed
_GATE_SLOPE = 0.01
_TRUNK = {1: "stem", 2: "conv_tower", 4: "transformer", 6: "final_pointwise"}  # in the original

BATCHING = "fixed"

# TensorFlow's gamma functions are another table, ConvNeXt's blocks another stem, and SPACE without
# a mixture over species has another feed-forward.
FIXED = {
    "use_tf_gamma": (False, None),
    "use_convnext": False,
    "moe": (["species", "tracks"], ["species"]),
}

# Dropouts; the heads and SPACE's mixture over tracks, which come behind the embedding; losses. The
# length of the input is the preset's.
UNUSED = (
    "attn_dropout", "dropout_rate", "pos_dropout", "use_checkpointing", "output_heads", "num",
    "tracks_num_experts", "seq_length", "MIloss_lambda", "cvloss_lambda", "zloss_lambda",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on."""

    width: int
    layers: int
    heads: int
    key_width: int
    downsamples: int
    divisible_by: int
    bins: int
    experts: int
    chosen: int

    vocab_size = _BASES + 1  # the codes of the bases and of no base
    max_tokens = None  # records are cut by the preset, to the length of the input

    @property
    def space(self) -> bool:
        """Whether this is SPACE."""
        return self.experts > 0

    @property
    def tower(self) -> list[tuple[int, int]]:
        """Widths in and out of each stage: geometric steps, rounded to `divisible_by`."""
        half, count = self.width // 2, self.downsamples - 1
        ratio = math.exp(math.log(self.width / half) / (count - 1))
        steps = [
            round(half * ratio**i / self.divisible_by) * self.divisible_by for i in range(count)
        ]
        return list(zip([half, *steps], steps, strict=False))

    @property
    def convolutions(self) -> padded_input.Tower:
        """The convolutions of the tower that are wider than one, with the strides behind them."""
        return ((_STEM_WIDTH, 2), *[(_TOWER_WIDTH, 2)] * (self.downsamples - 1))

    @classmethod
    def from_json(cls, fields: Fields) -> "Config":
        """Returns the config that a checkpoint's config.json states.

        Raises:
            FieldError: A field is missing, malformed, or asks for what is not computed here.
        """
        fields.check(FIXED)
        space = fields.choice("model_type", among=("enformer", "space")) == "space"
        width = fields.count("dim")
        heads = fields.divisor("heads", of="dim", whole=width)
        if width % 2 or width // heads % _FEATURE_KINDS:
            mend = f"it must be even, and dim / heads a multiple of {_FEATURE_KINDS}"
            raise fields.refuse("dim", mend)
        experts = fields.count("species_num_experts", most=COUNTS) if space else 0
        step = fields.divisor("dim_divisible_by", of="dim", whole=width)
        if step == width:
            raise fields.refuse("dim_divisible_by", f"it must be at most dim / 2, {width // 2}")
        return cls(
            width=width,
            layers=fields.count("depth", most=COUNTS),
            heads=heads,
            key_width=fields.count("attn_dim_key", most=COUNTS),
            # Below 3 the widths make no geometric row; above 20 a bin is of millions of bases.
            downsamples=fields.count("num_downsamples", least=3, most=20),
            divisible_by=step,
            bins=fields.count("target_length"),
            experts=experts,
            chosen=fields.count("topk", most=experts) if space else 0,
        )


def _block(width_in: int, width_out: int, size: int, *, rngs: nnx.Rngs) -> ConvolutionBlock:
    return ConvolutionBlock(
        width_in, width_out, size, epsilon=_EPSILON, activation=_ACTIVATION, rngs=rngs
    )


class AttentionPool(nnx.Module):
    """Halves the length: of each pair, each channel's mean weighted by a softmax."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.logits = linear(width, width, bias=False, rngs=rngs)

    def __call__(self, x: Float[Array, "B L C"]) -> Float[Array, "B L//2 C"]:
        pairs = x.reshape(x.shape[0], -1, 2, x.shape[-1])
        return jnp.sum(pairs * jax.nn.softmax(self.logits(pairs), axis=2), axis=2)


class Stage(nnx.Module):
    """One stage of the tower, which halves the length; the first, with `stem`, takes bases."""

    def __init__(self, width_in: int, width_out: int, *, stem: bool = False, rngs: nnx.Rngs):
        self.first = (
            nnx.Conv(_BASES, width_out, (_STEM_WIDTH,), rngs=rngs)
            if stem
            else _block(width_in, width_out, _TOWER_WIDTH, rngs=rngs)
        )
        self.second = _block(width_out, width_out, 1, rngs=rngs)
        self.pool = AttentionPool(width_out, rngs=rngs)

    def __call__(self, x: Float[Array, "B L C"]) -> Float[Array, "B L//2 out"]:
        x = self.first(x)
        return self.pool(x + self.second(x))


def position_features(length: int, count: int) -> np.ndarray:
    """Computes Enformer's functions of the distance between two bins.

    A third each are exponentials, masks of the centre, and gamma densities; then all of them
    again, with the distance's sign. The gamma densities lose digits in float32, and which ones
    depends on the order of the steps: here they follow the original's, with logarithms, gamma
    functions and exponentials rounded from float64.

    Args:
        length: Bins N.
        count: Functions F, a multiple of 6.

    Returns:
        float32 [2 N - 1, F], for the distances -(N - 1) .. N - 1.
    """
    each = count // _FEATURE_KINDS
    distance = np.arange(-length + 1, length, dtype=np.float32)
    size = np.abs(distance)[:, None]
    half_life = np.float32(2) ** _linspace(3.0, math.log2(length), each)
    exponential = np.exp(np.float32(-math.log(2)) / half_life * size)
    widths = np.float32(2) ** np.arange(1, each + 1, dtype=np.float32) - np.float32(1)
    centre = (widths > size).astype(np.float32)

    mean, spread = _linspace(length / each, float(length), each), np.float32(length / (2 * each))
    concentration, rate = (mean / spread) ** 2, mean / spread**2
    with np.errstate(divide="ignore"):
        logarithm = np.log(size.astype(np.float64)).astype(np.float32)
    density = (concentration - np.float32(1)) * logarithm - rate * size
    gamma = np.array([math.lgamma(value) for value in concentration], np.float32)
    scale = gamma - concentration * np.log(rate.astype(np.float64)).astype(np.float32)
    density = np.exp((density - scale).astype(np.float64)).astype(np.float32) + np.float32(1e-8)
    density = density / density.max(axis=1, keepdims=True)

    features = np.concatenate([exponential, centre, density], axis=1)
    signed = np.sign(distance)[:, None] * features
    return np.concatenate([features, signed], axis=1).astype(np.float32)


def _linspace(start: float, stop: float, count: int) -> np.ndarray:
    """Computes torch.linspace in float32, which counts from the nearer end."""
    first, last = np.float32(start), np.float32(stop)
    step = (last - first) / np.float32(count - 1)
    index = np.arange(count, dtype=np.float32)
    back = np.float32(count - 1) - index
    return np.where(index < count / 2, first + step * index, last - step * back).astype(np.float32)


class Experts(nnx.Module):
    """SPACE's mixture: the `chosen` experts of the largest gates, with its residual.

    The gate sees the residual stream itself, the experts its norm. All experts are computed,
    those not chosen with weight 0.
    """

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        width, normal = config.width, nnx.initializers.normal(0.02)
        self.chosen = config.chosen
        self.gate = linear(width, config.experts, rngs=rngs)
        self.norm = layer_norm(width, _EPSILON, rngs=rngs)
        self.up = nnx.Param(normal(rngs.params(), (config.experts, width, 2 * width)))
        self.up_bias = nnx.Param(jnp.zeros((config.experts, 2 * width)))
        self.down = nnx.Param(normal(rngs.params(), (config.experts, 2 * width, width)))
        self.down_bias = nnx.Param(jnp.zeros((config.experts, width)))

    def __call__(self, x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        gates = jax.nn.leaky_relu(self.gate(x), _GATE_SLOPE)
        largest, index = jax.lax.top_k(gates, self.chosen)
        share = jax.nn.softmax(largest, axis=-1)[..., None]
        weight = jnp.sum(share * jax.nn.one_hot(index, gates.shape[-1]), axis=-2)
        y = self.norm(x)

        def add(total: Array, expert: tuple[Array, ...]) -> tuple[Array, None]:
            up, up_bias, down, down_bias, weight = expert
            out = jax.nn.relu(y @ up + up_bias) @ down + down_bias
            return total + weight[..., None] * out, None

        weights = jnp.moveaxis(weight, -1, 0)
        experts = (self.up[...], self.up_bias[...], self.down[...], self.down_bias[...], weights)
        return jax.lax.scan(add, x, experts)[0]


class Block(nnx.Module):
    """Pre-norm attention and feed-forward."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.norm = layer_norm(config.width, _EPSILON, rngs=rngs)
        self.features = config.width // config.heads
        self.attention = RelativeAttention(
            config.width,
            config.heads,
            key_width=config.key_width,
            value_width=config.width // config.heads,
            features=self.features,
            rngs=rngs,
        )
        self.feed_forward = (
            Experts(config, rngs=rngs)
            if config.space
            else FeedForward(config.width, _EPSILON, rngs=rngs)
        )

    def __call__(self, x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        features = position_features(x.shape[1], self.features)
        return self.feed_forward(x + self.attention(self.norm(x), features))


class Model(nnx.Module):
    """The trunk, from base codes in `input_ids` to hidden states of bins.

    The state of a tap inside holds every bin, and SPACE's species as the last.
    """

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        self.stem = Stage(_BASES, config.width // 2, stem=True, rngs=rngs)
        self.tower = nnx.List(Stage(a, b, rngs=rngs) for a, b in config.tower)
        if config.space:
            self.species = nnx.Param(jnp.zeros(config.width))
        self.blocks = stack_layers(lambda rngs: Block(config, rngs=rngs), config.layers, rngs)
        self.final = _block(config.width, 2 * config.width, 1, rngs=rngs)

    def __call__(self, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)) -> Hidden:
        ids = inputs["input_ids"]
        x = self._bins(ids, inputs.get("padded_length", ids.shape[1]))
        bins = x.shape[1]
        if self.config.space:
            species = jnp.broadcast_to(self.species[...], (len(x), 1, self.config.width))
            x = jnp.concatenate([x, species], axis=1)
        x, states = scan_layers(self.blocks, x, lambda block, x: block(x), taps)
        # An odd number of bins too many loses one more than asked, as in the original.
        trim = -((self.config.bins - bins) // 2)
        states[FINAL] = _ACTIVATION(self.final(x[:, trim : bins - trim]))
        return Hidden(states, {tap: jnp.ones(x.shape[:2], bool) for tap, x in states.items()})

    def _convolve(self, ids: Int[Array, "B L"]) -> Float[Array, "B bins D"]:
        """Runs the convolution tower: one bin for 2^downsamples bases."""
        # SPACE computes in float32 throughout, as its experts are chosen by the last digits.
        dtype = jnp.float32 if self.config.space else self.stem.pool.logits.kernel.dtype
        x = jax.nn.one_hot(ids, _BASES, dtype=dtype)
        x = self.stem(x)
        for stage in self.tower:
            x = stage(x)
        return x

    def _bins(self, ids: Int[Array, "B L"], full: int) -> Float[Array, "B bins D"]:
        """Returns all bins of `full` bases, of which `ids` are a window and the others padding."""
        x = self._convolve(ids)
        if ids.shape[1] == full:
            return x
        tower, bins = self.config.convolutions, full // 2**self.config.downsamples
        padding = jnp.full((1, strip_length([tower], bin_size(tower))), _BASES, ids.dtype)
        return all_bins(tower, x, self._convolve(padding), bins, centred=self.config.space)


def window_length(config: Config, full: int, longest: int) -> int:
    """Returns how many bases the window has that gives the same bins as the whole input.

    Enformer's records stand at the start of the input, SPACE's in its middle.

    Args:
        config: The model.
        full: Bases of the model's input.
        longest: Bases of the longest record, at most `full`.
    """
    tower = config.convolutions
    return padded_input.window_length([tower], bin_size(tower), full, longest, centred=config.space)


def _rules(source: str, path: str) -> list[Weight]:
    """Returns the rules of a batch norm and its convolution."""
    return [
        *batch_norm_weights({f"{source}.0": f"{path}.norm"}),
        *convolution_weights({f"{source}.2": f"{path}.convolution"}),
    ]


def _pool(source: str, path: str) -> Weight:
    return Weight(
        f"{source}.to_attn_logits.weight", f"{path}.logits.kernel", lambda w: w[:, :, 0, 0].T
    )


def weights(config: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    root = "model." if config.space else ""
    layer = f"{root}transformer.{{}}"
    attention, norm = f"{layer}.0.fn.1", f"{layer}.0.fn.0"
    if config.space:
        layer = "model.transformer.transformer.{}"
        attention, norm = f"{layer}.attention.fn.1", f"{layer}.attention.fn.0"
    projections = {"to_q": "query", "to_k": "key", "to_v": "value", "to_rel_k": "relative"}
    rules: list[Weight | Ignored] = [
        *convolution_weights({f"{root}stem.0": "stem.first"}),
        *_rules(f"{root}stem.1.fn", "stem.second"),
        _pool(f"{root}stem.2", "stem.pool"),
        *_rules(f"{root}final_pointwise.1", "final"),
        *norm_weights({norm: "blocks.norm"}),
        *linear_weights(
            {f"{attention}.{a}": f"blocks.attention.{b}" for a, b in projections.items()},
            bias=False,
        ),
        *linear_weights({f"{attention}.to_out": "blocks.attention.output"}),
        Weight(
            f"{attention}.rel_content_bias", "blocks.attention.content_bias", lambda b: b[0, :, 0]
        ),
        Weight(f"{attention}.rel_pos_bias", "blocks.attention.position_bias", lambda b: b[0, :, 0]),
        Ignored(r".*\.num_batches_tracked", "a counter of the training"),
    ]
    for i in range(len(config.tower)):
        source, path = f"{root}conv_tower.{i}", f"tower.{i}"
        rules += [
            *_rules(f"{source}.0", f"{path}.first"),
            *_rules(f"{source}.1.fn", f"{path}.second"),
            _pool(f"{source}.2", f"{path}.pool"),
        ]
    if not config.space:
        return (
            *rules,
            *norm_weights({f"{layer}.1.fn.0": "blocks.feed_forward.norm"}),
            *linear_weights(
                {
                    f"{layer}.1.fn.1": "blocks.feed_forward.up",
                    f"{layer}.1.fn.4": "blocks.feed_forward.down",
                }
            ),
            *(
                Ignored(rf"_trunk\.{i}\.(.*)", "the same under other names", same=rf"{part}.\1")
                for i, part in _TRUNK.items()
            ),
            Ignored(r"_heads\..*", "output heads"),
        )
    feed, here = f"{layer}.feed_forward", "blocks.feed_forward"
    return (
        *rules,
        Weight("model.transformer.species_embedding.human", "species", lambda s: s[0, 0]),
        *linear_weights({f"{feed}.gates.human.0": f"{here}.gate"}),
        *norm_weights({f"{feed}.layer_norm": f"{here}.norm"}),
        Weight(f"{feed}.input.weight", f"{here}.up"),
        Weight(f"{feed}.input.bias", f"{here}.up_bias"),
        Weight(f"{feed}.output.weight", f"{here}.down"),
        Weight(f"{feed}.output.bias", f"{here}.down_bias"),
        Ignored(r".*\.gates\.mouse\..*", "GENEB's extractor asks for the human species"),
        Ignored(
            r"model\.transformer\.species_embedding\.mouse",
            "GENEB's extractor asks for the human species",
        ),
        Ignored(r"model\.(heads|tracks)\..*", "output heads, behind the embedding"),
    )


SHARDING = (
    (r"blocks\.attention\.(query|key|value)\.kernel", (None, None, "model")),
    (r"blocks\.attention\.output\.kernel", (None, "model", None)),
    (r"blocks\.feed_forward\.up\.kernel", (None, None, "model")),
    (r"blocks\.feed_forward\.down\.kernel", (None, "model", None)),
    (r"blocks\.feed_forward\.up", (None, None, None, "model")),
    (r"blocks\.feed_forward\.down", (None, None, "model", None)),
)

# Statistics of batch norms may be tiny; the gate's last digits choose SPACE's experts.
FLOAT32 = (r".*\.norm\.(mean|variance)", r".*\.gate\..*")

TINY = {"dim": 48, "depth": 2, "heads": 2, "attn_dim_key": 8, "dim_divisible_by": 4}
