"""StripedHyena 2: Evo 2 (Brixi et al. 2025), gated convolutions of three lengths and attention.

Short and medium filters are stored tap by tap, long ones as sums of decaying exponentials.
Original: vortex/model/*.py of the repository Zymrael/vortex, with the configs of ArcInstitute/evo2.
Causal, without a mask.

Letters of shapes: G groups of channels that share a filter, W taps of a filter, S exponentials.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float, Float32

from model_ports.contract.family import FINAL, Hidden, Inputs, Tap
from model_ports.contract.fields import COUNTS, ROWS, Fields, Stated, check_rotary_width
from model_ports.contract.weights import Ignored, Layout, Weight, linear_weights
from model_ports.layers.attention import attend, split_heads
from model_ports.layers.convolutions import (
    causal_fft_convolution,
    grouped_causal_convolution,
    join_modes,
    short_causal_convolution,
)
from model_ports.layers.dense import ACTIVATIONS, OuterEpsilonNorm, embed, linear
from model_ports.layers.positions import rotary_table, rotate
from model_ports.layers.stacking import interleaved, scan_mixed, stack_layers

_PARTS = 3  # two gates and the value, or query, key and value
_LONG = 128  # taps from which the original reads a stored filter from its front, and adds a skip
_KINDS = ("hcs", "hcm", "hcl", "attn")  # of blocks, as config.json names them
_MLP = "mlp"  # begins the name of a tap of what a feed-forward adds

BATCHING = "causal"

# The original's defaults are other ones where `Stated`, or it has none.
FIXED = {
    "column_split_hyena": Stated(False),
    "interleave": Stated(True),
    "hyena_flip_x1x2": False,
    "short_filter_bias": Stated(False),
    "qkv_proj_bias": Stated(False),
    "mha_out_proj_bias": True,
    "hyena_out_proj_bias": Stated(True),
    "final_norm": True,
    "proj_groups": 1,
    "smeared_gqa": False,
    "use_flash_rmsnorm": False,
    "long_fir_threshold": None,
}

# What the hub's config.json calls the model; kernels, fp8 and the way a prompt is read, which
# compute the same but for rounding; initial values; the parts that a model is split in; the head;
# sizes that others have the last word on; the declared context, which is not enforced; what only
# interpolated positions read.
UNUSED = (
    "name", "architecture",
    "model_name", "max_seqlen", "max_batch_size", "tie_embeddings", "tokenizer_type",
    "make_vocab_size_divisible_by", "inner_size_multiple_of", "hcl_filter_groups",
    "hyena_filter_groups", "model_parallel_size", "pipe_parallel_size", "inference_mode",
    "log_intermediate_values", "print_activations", "prefill_style", "mlp_init_method",
    "mlp_output_init_method", "use_flash_attn", "use_flash_depthwise", "use_flashfft",
    "use_laughing_hyena", "use_fp8_input_projections", "use_hcs_kernel", "use_hcm_kernel",
    "use_hcl_kernel", "rotary_emb_scaling_factor",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on.

    Attributes:
        short_layers: Numbers of the blocks with the short stored filters (hcs).
        medium_layers: Those with the medium stored filters (hcm).
        long_layers: Those with sums of exponentials (hcl).
        attention_layers: Those with attention.
        short_filters: Groups and taps of the short filters.
        medium_filters: Groups and taps of the medium ones.
        states: Exponentials of a long filter.
        input_width: Taps of the filter behind each projection.
        rotary_base: Base of the frequencies of an untrained model; a checkpoint stores its own.
        rotary_scaling: What positions are divided by.
        activation: A name of `ACTIVATIONS`.
        activated_layers: How many blocks, from the first, have the activation in their
            feed-forward; the others have a product of two linear maps there.
        by_head: Whether a file has the rows of query, key and value head by head.
    """

    vocab_size: int
    width: int
    inner: int
    heads: int
    short_layers: tuple[int, ...]
    medium_layers: tuple[int, ...]
    long_layers: tuple[int, ...]
    attention_layers: tuple[int, ...]
    short_filters: tuple[int, int]
    medium_filters: tuple[int, int]
    states: int
    input_width: int
    rotary_base: float
    rotary_scaling: float
    activation: str
    activated_layers: int
    by_head: bool
    epsilon: float

    @classmethod
    def from_json(cls, fields: Fields) -> "Config":
        """Returns the config that a checkpoint's config.json states.

        Raises:
            FieldError: A field is missing, malformed, or asks for what is not computed here.
        """
        fields.check(FIXED)
        width = fields.count("hidden_size")
        heads = fields.divisor("num_attention_heads", of="hidden_size", whole=width)
        check_rotary_width(width // heads)
        if width % fields.count("num_filters", absent=width):
            raise fields.refuse("num_filters", f"it must divide hidden_size, which is {width}")
        short, medium, long, attention = (fields.counts(f"{kind}_layer_idxs") for kind in _KINDS)
        numbers = (*short, *medium, *long, *attention)
        layers = len(numbers)
        if sorted(numbers) != list(range(layers)) or not layers:
            others = "hcs_layer_idxs, hcm_layer_idxs and hcl_layer_idxs"
            mend = f"together with {others} it must name the layers 0 to {layers - 1}, each once"
            raise fields.refuse("attn_layer_idxs", mend)
        if fields.count("num_layers", most=COUNTS) != layers:
            raise fields.refuse("num_layers", f"the indices name {layers} layers")
        short_filters, medium_filters = (
            (
                fields.divisor(f"{kind}_filter_groups", of="hidden_size", whole=width),
                fields.count(f"{kind}_filter_length", most=COUNTS),
            )
            for kind in ("hcs", "hcm")
        )
        scaling = 1.0
        if fields.flag("use_interpolated_rotary_pos_emb", absent=False):
            scaling = fields.number("rotary_emb_scaling_factor", most=1e6, absent=1.0)
        first_alone = fields.flag("evo2_style_activations", absent=False)
        return cls(
            vocab_size=fields.count("vocab_size", most=ROWS),
            width=width,
            inner=fields.count("inner_mlp_size"),
            heads=heads,
            short_layers=short,
            medium_layers=medium,
            long_layers=long,
            attention_layers=attention,
            short_filters=short_filters,
            medium_filters=medium_filters,
            states=fields.count("state_size", most=COUNTS),
            input_width=fields.count("short_filter_length", most=COUNTS),
            rotary_base=fields.number("rotary_emb_base", most=1e12, absent=1e6),
            rotary_scaling=scaling,
            activation=fields.choice("mlp_activation", among=("gelu", "silu"), absent="gelu"),
            activated_layers=1 if first_alone else layers,
            by_head=fields.flag("column_split", absent=True),
            epsilon=fields.number("eps"),
        )

    @property
    def max_tokens(self) -> int | None:
        """The longest input in tokens: None, as the declared context is not enforced."""
        return None

    @property
    def layers(self) -> int:
        """The number of blocks."""
        return sum(map(len, self.kinds.values()))

    @property
    def kinds(self) -> Mapping[str, tuple[int, ...]]:
        """The numbers of the blocks of each kind that there are any of."""
        kinds = {
            "short": self.short_layers,
            "medium": self.medium_layers,
            "long": self.long_layers,
            "attention": self.attention_layers,
        }
        return {kind: layers for kind, layers in kinds.items() if layers}

    @property
    def named_taps(self) -> Sequence[Tap]:
        """The names of what each block's feed-forward adds: 'mlp1' of the first block, and so on.

        Evo 2's authors count blocks from 0: their `blocks.28.mlp.l3` is 'mlp29'.
        """
        return tuple(f"{_MLP}{layer}" for layer in range(1, self.layers + 1))


class FeedForward(nnx.Module):
    """Gated feed-forward behind its norm, without the residual."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.activation = config.activation
        self.norm = OuterEpsilonNorm(config.width, config.epsilon)
        self.gate = linear(config.width, config.inner, bias=False, rngs=rngs)
        self.up = linear(config.width, config.inner, bias=False, rngs=rngs)
        self.down = linear(config.inner, config.width, bias=False, rngs=rngs)

    def __call__(
        self, x: Float[Array, "B L D"], activated: Bool[Array, ""]
    ) -> Float[Array, "B L D"]:
        y = self.norm(x)
        gate = jax.lax.cond(activated, ACTIVATIONS[self.activation], lambda g: g, self.gate(y))
        return self.down(gate * self.up(y))


class StoredFilter(nnx.Module):
    """A filter of each group of channels, tap by tap; from 128 taps on with a skip."""

    def __init__(self, width: int, groups: int, taps: int, *, rngs: nnx.Rngs):
        self.kernel = nnx.Param(nnx.initializers.normal(0.02)(rngs.params(), (groups, taps)))
        if taps >= _LONG:
            self.skip = nnx.Param(jnp.ones(width))

    def __call__(self, x: Float32[Array, "B L D"]) -> Float32[Array, "B L D"]:
        groups, taps = self.kernel.shape
        if taps < _LONG:
            return short_causal_convolution(
                x, jnp.repeat(self.kernel[...], x.shape[-1] // groups, axis=0)
            )
        return grouped_causal_convolution(x, self.kernel[...]) + self.skip[...] * x


class ModalFilter(nnx.Module):
    """A filter of each channel as a sum of real exponentials, with a skip."""

    def __init__(self, width: int, states: int, *, rngs: nnx.Rngs):
        # Random filters decay by half in 1, 2, 4, ... tokens.
        decay = -math.log(2) * 0.5 ** jnp.arange(states, dtype=jnp.float32)
        self.log_poles = nnx.Param(jnp.broadcast_to(decay, (width, states)))
        self.residues = nnx.Param(nnx.initializers.normal(0.02)(rngs.params(), (width, states)))
        self.skip = nnx.Param(jnp.ones(width))

    def __call__(self, x: Float32[Array, "B L D"]) -> Float32[Array, "B L D"]:
        return causal_fft_convolution(x, self.filters(x.shape[1])) + self.skip[...] * x

    def filters(self, length: int) -> Float32[Array, "L D"]:
        """Computes the filters sum_k residue_k exp(log_pole_k t) for t = 0 .. length - 1."""
        stride = math.ceil(math.sqrt(length))
        steps = jnp.arange(stride, dtype=jnp.float32)[:, None, None]
        far = self.residues[...] * jnp.exp(self.log_poles[...] * (stride * steps))
        return join_modes(far, jnp.exp(self.log_poles[...] * steps), length)


class Convolution(nnx.Module):
    """Projection, short convolution, gate, filter, gate, projection."""

    def __init__(self, config: Config, filters: nnx.Module, *, rngs: nnx.Rngs):
        width = config.width
        normal = nnx.initializers.normal(0.02)
        self.project = linear(width, _PARTS * width, bias=False, rngs=rngs)
        self.kernel = nnx.Param(normal(rngs.params(), (_PARTS * width, config.input_width)))
        self.filter = filters
        self.output = linear(width, width, rngs=rngs)

    def __call__(self, x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        # Convolutions are float32, as in the original; products with gates are not.
        y = short_causal_convolution(self.project(x).astype(jnp.float32), self.kernel[...])
        gate, inner_gate, value = jnp.split(y.astype(x.dtype), _PARTS, axis=-1)
        mixed = self.filter((value * inner_gate).astype(jnp.float32))
        return self.output(mixed.astype(x.dtype) * gate)


class Attention(nnx.Module):
    """Causal attention with rotary positions, whose frequencies are stored."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        half = config.width // config.heads // 2
        exponents = jnp.arange(half, dtype=jnp.float32) / half
        self.qkv = linear(config.width, _PARTS * config.width, bias=False, rngs=rngs)
        # Files hold them rounded to bfloat16, and the original takes them as they are.
        self.frequencies = nnx.Param(config.rotary_base**-exponents)
        self.output = linear(config.width, config.width, rngs=rngs)

    def __call__(self, x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        query, key, value = (
            split_heads(part, self.config.heads) for part in jnp.split(self.qkv(x), _PARTS, axis=-1)
        )
        frequencies = self.frequencies[...] / self.config.rotary_scaling
        table = rotary_table(x.shape[1], query.shape[-1], frequencies=frequencies)
        mixed = attend(rotate(query, table), rotate(key, table), value, None, causal=True)
        return self.output(mixed)


class Block(nnx.Module):
    """A mixer of tokens and a feed-forward, each behind a norm and with a residual.

    Returns the hidden state, and what the feed-forward added to it.
    """

    def __init__(self, config: Config, kind: str, *, rngs: nnx.Rngs):
        self.norm = OuterEpsilonNorm(config.width, config.epsilon)
        self.mixer = _MIXERS[kind](config, rngs)
        self.feed_forward = FeedForward(config, rngs=rngs)

    def __call__(
        self, x: Float[Array, "B L D"], activated: Bool[Array, ""]
    ) -> tuple[Float[Array, "B L D"], Float[Array, "B L D"]]:
        x = x + self.mixer(self.norm(x))
        added = self.feed_forward(x, activated)
        return x + added, added


def _stored(config: Config, filters: tuple[int, int], rngs: nnx.Rngs) -> nnx.Module:
    return Convolution(config, StoredFilter(config.width, *filters, rngs=rngs), rngs=rngs)


def _modal(config: Config, rngs: nnx.Rngs) -> nnx.Module:
    return Convolution(config, ModalFilter(config.width, config.states, rngs=rngs), rngs=rngs)


_MIXERS: Mapping[str, Callable[[Config, nnx.Rngs], nnx.Module]] = {
    "short": lambda config, rngs: _stored(config, config.short_filters, rngs),
    "medium": lambda config, rngs: _stored(config, config.medium_filters, rngs),
    "long": _modal,
    "attention": lambda config, rngs: Attention(config, rngs=rngs),
}


def _stack(config: Config, kind: str, rngs: nnx.Rngs) -> nnx.Module:
    count = len(config.kinds[kind])
    return stack_layers(lambda rngs: Block(config, kind, rngs=rngs), count, rngs)


class Model(nnx.Module):
    """The decoder, from token ids to hidden states; blocks behind the last tap do not run."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        self.tokens = embed(config.vocab_size, config.width, rngs=rngs)
        for kind in config.kinds:
            setattr(self, kind, _stack(config, kind, rngs))
        self.norm = OuterEpsilonNorm(config.width, config.epsilon)

    def __call__(self, inputs: Inputs, taps: tuple[Tap, ...] = (FINAL,)) -> Hidden:
        config = self.config
        blocks = {tap: int(str(tap).removeprefix(_MLP)) for tap in taps if tap != FINAL}
        last = config.layers if FINAL in taps else max(1, *blocks.values())
        x = self.tokens(inputs["input_ids"])
        (x, _), states = scan_mixed(
            [getattr(self, kind) for kind in config.kinds],
            interleaved(*config.kinds.values())[:last],
            (x, jnp.zeros_like(x)),
            lambda block, both, activated: block(both[0], activated),
            tuple(blocks.values()),
            (jnp.arange(last) < config.activated_layers,),
        )
        # Of a block both are there: the hidden state, and what has a name, the summand behind it.
        found = {tap: states[block][tap in config.named_taps] for tap, block in blocks.items()}
        return Hidden(found | ({FINAL: self.norm(x)} if FINAL in taps else {}))


def _thirds(groups: int) -> Layout:
    """Returns the layout that makes three thirds of rows that stand part by part in each group."""

    def layout(rows: np.ndarray) -> np.ndarray:
        split = rows.reshape(groups, _PARTS, -1, *rows.shape[1:])
        return split.swapaxes(0, 1).reshape(rows.shape)

    return layout


def weights(config: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    layer = "blocks.{}"
    by_channel, by_head = _thirds(config.width), _thirds(config.heads if config.by_head else 1)
    feed_forward = {"l1": "gate", "l2": "up", "l3": "down"}
    rules: list[Weight | Ignored] = [
        Weight("embedding_layer.weight", "tokens.embedding"),
        Weight("norm.scale", "norm.scale"),
        Ignored(r"unembed\.weight", "language-model head, tied to the embedding"),
        Ignored(r".*\._extra_state", "scales of fp8"),
        Ignored(r".*\.filter\.t", "a buffer of positions"),
    ]
    for kind, layers in config.kinds.items():
        linears = {f"{layer}.mlp.{a}": f"{kind}.feed_forward.{b}" for a, b in feed_forward.items()}
        of_kind = [
            *linear_weights(linears, bias=False),
            Weight(f"{layer}.pre_norm.scale", f"{kind}.norm.scale"),
            Weight(f"{layer}.post_norm.scale", f"{kind}.feed_forward.norm.scale"),
        ]
        mixer = f"{kind}.mixer"
        if kind == "attention":
            of_kind += [
                Weight(
                    f"{layer}.inner_mha_cls.Wqkv.weight",
                    f"{mixer}.qkv.kernel",
                    lambda w: by_head(w).T,
                ),
                Weight(f"{layer}.inner_mha_cls.rotary_emb.inv_freq", f"{mixer}.frequencies"),
                *linear_weights({f"{layer}.inner_mha_cls.out_proj": f"{mixer}.output"}),
            ]
        else:
            of_kind += [
                Weight(
                    f"{layer}.projections.weight",
                    f"{mixer}.project.kernel",
                    lambda w: by_channel(w).T,
                ),
                Weight(
                    f"{layer}.filter.short_filter_weight",
                    f"{mixer}.kernel",
                    lambda w: by_channel(w[:, 0]),
                ),
                *_filter_weights(config, kind, f"{layer}.filter", f"{mixer}.filter"),
                *linear_weights({f"{layer}.out_filter_dense": f"{mixer}.output"}),
            ]
        rules += [replace(rule, only=frozenset(layers)) for rule in of_kind]
    return tuple(rules)


def _filter_weights(config: Config, kind: str, source: str, path: str) -> list[Weight]:
    skip = Weight(f"{source}.D", f"{path}.skip")
    if kind == "long":
        log_poles = Weight(f"{source}.log_poles", f"{path}.log_poles", lambda p: p[:, :, 0])
        return [log_poles, Weight(f"{source}.residues", f"{path}.residues"), skip]
    _, taps = config.short_filters if kind == "short" else config.medium_filters
    kernel = Weight(f"{source}.h", f"{path}.kernel", lambda h: h[:, 0])
    return [kernel, skip] if taps >= _LONG else [kernel]


SHARDING = (
    (r".*\.feed_forward\.(gate|up)\.kernel", (None, None, "model")),
    (r".*\.feed_forward\.down\.kernel", (None, "model", None)),
    (r".*\.mixer\.(project|qkv|output)\.kernel", (None, "model", None)),
)

# Exponentials and positions reach far, and convolutions are float32.
FLOAT32 = (r".*\.mixer\.(kernel|filter\..*|frequencies)",)

TINY = {
    "hidden_size": 32,
    "num_filters": 32,
    "inner_mlp_size": 64,
    "num_attention_heads": 4,
    "hcs_filter_groups": 4,
    "hcm_filter_groups": 8,
    "num_layers": 32,  # as deep as Evo 2 7B, whose preset pools what block 29 adds
    **{f"{kind}_layer_idxs": [*range(i, 32, 4)] for i, kind in enumerate(_KINDS)},
}
