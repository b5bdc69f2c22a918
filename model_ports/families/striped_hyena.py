"""StripedHyena: Evo-1 (Nguyen et al. 2024), gated long convolutions with some attention blocks.

The filters are sums of exponentials, given by poles and residues. Original: the repository
togethercomputer/evo-1-131k-base. Causal, without a mask.
"""

import math
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Float, Float32, Int

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.fields import COUNTS, ROWS, Fields, Stated, check_rotary_width
from model_ports.contract.weights import Ignored, Weight, linear_weights
from model_ports.layers.attention import attend
from model_ports.layers.convolutions import (
    causal_fft_convolution,
    join_modes,
    short_causal_convolution,
)
from model_ports.layers.dense import OuterEpsilonNorm, embed, linear
from model_ports.layers.positions import rotary_table, rotate
from model_ports.layers.stacking import interleaved, scan_mixed, stack_layers

_PARTS = 3  # two gates and the value, or query, key and value
_TURN = 2**16  # units of an angle

BATCHING = "causal"

# The original's defaults are other ones where `Stated`, or not known here.
FIXED = {
    "model_type": "stripedhyena",
    "mlp_activation": Stated("gelu"),
    "hyena_filter_groups": Stated(1),
    "proj_groups": Stated(1),
    "column_split_hyena": Stated(True),
    "column_split": Stated(False),
    "final_norm": Stated(True),
    "qkv_proj_bias": Stated(True),
    "mha_out_proj_bias": Stated(True),
    "short_filter_bias": Stated(True),
    "smeared_gqa": False,
}

# Kernels and the way a prompt is read, which compute the same; the parts that a model is split in;
# the head; and the declared context, which is not enforced.
UNUSED = (
    "max_seqlen", "tie_embeddings", "make_vocab_size_divisible_by",
    "model_parallel_size", "pipe_parallel_size", "inference_mode", "log_intermediate_values",
    "prefill_style", "split_k0", "use_flash_attn", "use_flash_attention_2",
    "use_flash_depthwise", "use_flash_rmsnorm", "use_flashfft", "rotary_emb_scaling_factor",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on."""

    vocab_size: int
    width: int
    inner: int
    heads: int
    convolution_layers: tuple[int, ...]
    attention_layers: tuple[int, ...]
    states: int
    short_width: int
    rotary_base: float
    rotary_scaling: float
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
        if fields.count("num_filters", absent=width) != width:
            raise fields.refuse("num_filters", f"only that of hidden_size, {width}, is computed")
        convolutions = fields.counts("hyena_layer_idxs")
        attentions = fields.counts("attn_layer_idxs")
        layers = len(convolutions) + len(attentions)
        if sorted((*convolutions, *attentions)) != list(range(layers)) or not layers:
            mend = f"together with attn_layer_idxs it must name the layers 0 to {layers - 1}"
            raise fields.refuse("hyena_layer_idxs", mend)
        if fields.count("num_layers", most=COUNTS) != layers:
            raise fields.refuse("num_layers", f"the indices name {layers} layers")
        scaling = 1.0
        if fields.flag("use_interpolated_rotary_pos_emb", absent=False):
            scaling = fields.number("rotary_emb_scaling_factor", most=1e6, absent=1.0)
        return cls(
            vocab_size=fields.count("vocab_size", most=ROWS),
            width=width,
            inner=fields.count("inner_mlp_size"),
            heads=heads,
            convolution_layers=convolutions,
            attention_layers=attentions,
            states=fields.count("state_size", most=COUNTS),
            short_width=fields.count("short_filter_length", most=COUNTS),
            rotary_base=fields.number("rotary_emb_base", most=1e12),
            rotary_scaling=scaling,
            epsilon=fields.number("eps"),
        )

    @property
    def max_tokens(self) -> int | None:
        """The longest input in tokens: None, as the declared context of 131,072 is not enforced."""
        return None

    @property
    def layers(self) -> int:
        """The number of blocks."""
        return len(self.order)

    @property
    def order(self) -> tuple[tuple[int, int], ...]:
        """The kind (0 convolution, 1 attention) and the index in its kind, layer by layer."""
        return interleaved(self.convolution_layers, self.attention_layers)


class FeedForward(nnx.Module):
    """Gated feed-forward with the exact GELU."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.norm = OuterEpsilonNorm(config.width, config.epsilon)
        self.gate = linear(config.width, config.inner, bias=False, rngs=rngs)
        self.up = linear(config.width, config.inner, bias=False, rngs=rngs)
        self.down = linear(config.inner, config.width, bias=False, rngs=rngs)

    def __call__(self, x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        y = self.norm(x)
        return x + self.down(jax.nn.gelu(self.gate(y), approximate=False) * self.up(y))


class ConvolutionBlock(nnx.Module):
    """Short convolution, gate, modal long convolution, gate."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        width = config.width
        normal = nnx.initializers.normal(0.02)
        self.norm = OuterEpsilonNorm(config.width, config.epsilon)
        self.project = linear(width, _PARTS * width, rngs=rngs)
        self.short_kernel = nnx.Param(normal(rngs.params(), (_PARTS * width, config.short_width)))
        self.short_bias = nnx.Param(jnp.zeros(_PARTS * width))
        # As `log_poles` gives them; random filters decay by half in 1, 2, 4, ... tokens.
        decay = -math.log(2) * 0.5 ** jnp.arange(config.states, dtype=jnp.float32)
        poles = jnp.stack([decay, jnp.zeros_like(decay), jnp.zeros_like(decay)], axis=-1)
        self.poles = nnx.Param(jnp.broadcast_to(poles, (width, config.states, 3)))
        self.residues = nnx.Param(normal(rngs.params(), (width, config.states, 2)))
        self.skip = nnx.Param(jnp.ones(width))
        self.output = linear(width, width, rngs=rngs)
        self.feed_forward = FeedForward(config, rngs=rngs)

    def __call__(self, x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        y = short_causal_convolution(
            self.project(self.norm(x)), self.short_kernel[...], self.short_bias[...]
        )
        # Channels are split inside each head, not in three contiguous thirds.
        y = y.reshape(*y.shape[:2], self.config.heads, _PARTS, -1)
        gate, inner_gate, value = (y[:, :, :, i].reshape(x.shape) for i in range(_PARTS))
        value = value * inner_gate
        mixed = causal_fft_convolution(value, self._filters(x.shape[1])).astype(x.dtype)
        mixed = (mixed + value * self.skip[...].astype(x.dtype)) * gate
        return self.feed_forward(x + self.output(mixed))

    def _filters(self, length: int) -> Float32[Array, "L D"]:
        """Computes the filters Re sum_k residue_k pole_k^t for t = 0 .. length - 1.

        With t = a n + b the power is a product; see `join_modes`.
        """
        stride = math.ceil(math.sqrt(length))
        steps = jnp.arange(stride)
        real, imaginary = self._powers(steps)
        far_real, far_imaginary = self._powers(stride * steps)
        residue_real, residue_imaginary = self.residues[..., 0], self.residues[..., 1]
        far = (
            residue_real * far_real - residue_imaginary * far_imaginary,
            -residue_real * far_imaginary - residue_imaginary * far_real,
        )
        return join_modes(
            jnp.concatenate(far, axis=-1), jnp.concatenate([real, imaginary], axis=-1), length
        )

    def _powers(
        self, times: Int[Array, " T"]
    ) -> tuple[Float32[Array, "T D S"], Float32[Array, "T D S"]]:
        """Computes the real and the imaginary part of pole^t for each time t and S poles."""
        decay, coarse, fine = jnp.moveaxis(self.poles[...], -1, 0)
        times = times[:, None, None]
        # Whole turns drop out of an integer product, also where it wraps around.
        turns = (times * coarse.astype(jnp.int32)) & (_TURN - 1)
        angle = 2 * jnp.pi / _TURN * (turns + times * fine)
        size = jnp.exp(times * decay)
        return size * jnp.cos(angle), size * jnp.sin(angle)


def log_poles(poles: np.ndarray) -> np.ndarray:
    """Returns the logarithms of poles, precise enough for powers of 2^17.

    Times t, a float32 angle of a pole would be off by 1e-7 t. It is computed in float64 and split.

    Args:
        poles: Real and imaginary parts [.., 2].

    Returns:
        float32 [.., 3]: log of the absolute value; the angle in 2^-16 turns, the whole ones and
        the rest.
    """
    wide = poles.astype(np.float64)
    size = np.maximum(np.hypot(wide[..., 0], wide[..., 1]), np.finfo(np.float32).tiny)
    angle = np.arctan2(wide[..., 1], wide[..., 0]) / (2 * np.pi) * _TURN
    whole = np.round(angle)
    return np.stack([np.log(size), whole, angle - whole], axis=-1).astype(np.float32)


class AttentionBlock(nnx.Module):
    """Causal attention with interpolated rotary positions."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        self.norm = OuterEpsilonNorm(config.width, config.epsilon)
        self.qkv = linear(config.width, _PARTS * config.width, rngs=rngs)
        self.output = linear(config.width, config.width, rngs=rngs)
        self.feed_forward = FeedForward(config, rngs=rngs)

    def __call__(self, x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        qkv = self.qkv(self.norm(x))
        qkv = qkv.reshape(*qkv.shape[:2], _PARTS, self.config.heads, -1)
        half = qkv.shape[-1] // 2
        # Computed in float32: the frequencies in the checkpoint are rounded to bfloat16.
        exponents = jnp.arange(half, dtype=jnp.float32) / half
        frequencies = self.config.rotary_base**-exponents / self.config.rotary_scaling
        table = rotary_table(x.shape[1], 2 * half, frequencies=frequencies)
        query, key = rotate(qkv[:, :, 0], table), rotate(qkv[:, :, 1], table)
        mixed = attend(query, key, qkv[:, :, 2], None, causal=True)
        return self.feed_forward(x + self.output(mixed))


class Model(nnx.Module):
    """The decoder, from token ids to hidden states."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        self.tokens = embed(config.vocab_size, config.width, rngs=rngs)
        self.convolutions = stack_layers(
            lambda rngs: ConvolutionBlock(config, rngs=rngs), len(config.convolution_layers), rngs
        )
        self.attentions = stack_layers(
            lambda rngs: AttentionBlock(config, rngs=rngs), len(config.attention_layers), rngs
        )
        self.norm = OuterEpsilonNorm(config.width, config.epsilon)

    def __call__(self, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)) -> Hidden:
        x = self.tokens(inputs["input_ids"])
        stacks = (self.convolutions, self.attentions)
        x, states = scan_mixed(stacks, self.config.order, x, lambda block, x: block(x), taps)
        return Hidden(states | {FINAL: self.norm(x)})


def weights(config: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    layer = "backbone.blocks.{}"
    convolution = (
        *linear_weights({f"{layer}.projections": "convolutions.project"}),
        *linear_weights({f"{layer}.out_filter_dense": "convolutions.output"}),
        Weight(
            f"{layer}.filter.short_filter_weight", "convolutions.short_kernel", lambda w: w[:, 0]
        ),
        Weight(f"{layer}.filter.short_filter_bias", "convolutions.short_bias"),
        Weight(f"{layer}.filter.poles", "convolutions.poles", lambda p: log_poles(p[:, :, 0])),
        Weight(f"{layer}.filter.residues", "convolutions.residues", lambda r: r[:, :, 0]),
        Weight(f"{layer}.filter.D", "convolutions.skip"),
    )
    attention = (
        *linear_weights({f"{layer}.inner_mha_cls.Wqkv": "attentions.qkv"}),
        *linear_weights({f"{layer}.inner_mha_cls.out_proj": "attentions.output"}),
    )
    rules: list[Weight | Ignored] = [
        Weight("backbone.embedding_layer.weight", "tokens.embedding"),
        Weight("backbone.norm.scale", "norm.scale"),
        Ignored(r".*\.rotary_emb\.inv_freq", "rounded: the original recomputes them"),
    ]
    for kind, of_kind, layers in (
        ("convolutions", convolution, config.convolution_layers),
        ("attentions", attention, config.attention_layers),
    ):
        names = {"l1": "gate", "l2": "up", "l3": "down"}
        linears = {f"{layer}.mlp.{a}": f"{kind}.feed_forward.{b}" for a, b in names.items()}
        rules += [
            replace(rule, only=frozenset(layers))
            for rule in (
                *of_kind,
                *linear_weights(linears, bias=False),
                Weight(f"{layer}.pre_norm.scale", f"{kind}.norm.scale"),
                Weight(f"{layer}.post_norm.scale", f"{kind}.feed_forward.norm.scale"),
            )
        ]
    return tuple(rules)


SHARDING = (
    (r".*\.feed_forward\.(gate|up)\.kernel", (None, None, "model")),
    (r".*\.feed_forward\.down\.kernel", (None, "model", None)),
    (r"convolutions\.(project|output)\.kernel", (None, "model", None)),
    (r"attentions\.(qkv|output)\.kernel", (None, "model", None)),
)

FLOAT32 = (r"convolutions\.(poles|residues|skip)",)

TINY = {
    "hidden_size": 32,
    "inner_mlp_size": 64,
    "num_filters": 32,
    "num_layers": 3,
    "num_attention_heads": 4,
    "hyena_layer_idxs": [0, 2],
    "attn_layer_idxs": [1],
}
