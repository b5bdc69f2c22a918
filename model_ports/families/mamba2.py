"""eccDNAMamba (Liu et al. 2025): two Mamba-2 stacks, one on the record turned around.

The original masks its residual stream after every layer, but padding before a record (in the
stack that runs backwards) still acts on it. Given `attention_mask`, padding stays behind the
reversed tokens here and has no effect; without it, a batch is computed as the original does.
"""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.fields import COUNTS, ROWS, Fields, Stated
from model_ports.contract.weights import (
    Ignored,
    Weight,
    linear_weights,
    norm_weights,
    padded_rows,
)
from model_ports.layers.convolutions import short_causal_convolution
from model_ports.layers.dense import embed, linear
from model_ports.layers.scans import reverse_records, state_space_duality
from model_ports.layers.stacking import scan_layers, stack_layers

_EPSILON = 1e-5
_WIDENING = 4  # of the feed-forward, where config.json does not state its width
_MULTIPLE = 128  # that the width of the feed-forward is rounded up to
_WIDEST = 2**6  # of a mixer, in widths of the model

BATCHING = "masked"

# The defaults of mamba_ssm's Mamba2 and of its stack of blocks.
FIXED = {
    "model_type": "mamba2",
    "rms_norm": True,
    "attn_layer_idx": [],
    "ssm_cfg.layer": Stated("Mamba2"),
    "ssm_cfg.ngroups": 1,
    "ssm_cfg.d_ssm": None,
    "ssm_cfg.D_has_hdim": False,
    "ssm_cfg.rmsnorm": True,
    "ssm_cfg.norm_before_gate": False,
    "ssm_cfg.dt_limit": [0.0, math.inf],
    "ssm_cfg.bias": False,
    "ssm_cfg.conv_bias": True,
    "ssm_cfg.activation": ("silu", "swish"),
}

# Kernels, initial values and the residual's precision, which is float32 here; and fields that the
# original does not read: `d_intermediate`, for which it takes `intermediate_size`, and those of
# transformers' Mamba2, whose defaults the file holds.
UNUSED = (
    "attn_cfg", "d_intermediate", "fused_add_norm", "residual_in_fp32", "tie_embeddings",
    "ssm_cfg.A_init_range", "ssm_cfg.chunk_size", "ssm_cfg.conv_init", "ssm_cfg.dt_init_floor",
    "ssm_cfg.dt_max", "ssm_cfg.dt_min", "ssm_cfg.use_mem_eff_path", "chunk_size", "conv_kernel",
    "expand", "head_dim", "hidden_act", "hidden_size", "layer_norm_epsilon", "n_groups",
    "num_heads", "num_hidden_layers", "rescale_prenorm_residual", "state_size",
    "time_step_floor", "time_step_limit", "time_step_max", "time_step_min", "time_step_rank",
    "use_bias", "use_conv_bias",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on; many others are left-overs."""

    vocab_size: int
    rows: int
    width: int
    inner: int
    states: int
    head_width: int
    convolution: int
    feed_forward: int
    layers: int
    pad_id: int

    @property
    def heads(self) -> int:
        """The number of heads of a mixer."""
        return self.inner // self.head_width

    @property
    def max_tokens(self) -> int | None:
        """The longest input in tokens: None, as there is no position table."""
        return None

    @classmethod
    def from_json(cls, fields: Fields) -> "Config":
        """Returns the config that a checkpoint's config.json states.

        Raises:
            FieldError: A field is missing, malformed, or asks for what is not computed here.
        """
        fields.check(FIXED)
        width, rows = fields.count("d_model"), fields.count("vocab_size", most=ROWS)
        multiple = fields.count("pad_vocab_size_multiple")
        inner = fields.count("ssm_cfg.expand", most=_WIDEST, absent=2) * width
        head_width = fields.divisor("ssm_cfg.headdim", of="the inner width", whole=inner, absent=64)
        feed_forward = fields.count("intermediate_size", absent=_WIDENING * width)
        return cls(
            vocab_size=rows,
            rows=math.ceil(rows / multiple) * multiple,
            width=width,
            inner=inner,
            states=fields.count("ssm_cfg.d_state", most=COUNTS, absent=128),
            head_width=head_width,
            convolution=fields.count("ssm_cfg.d_conv", most=COUNTS, absent=4),
            feed_forward=math.ceil(feed_forward / _MULTIPLE) * _MULTIPLE,
            layers=fields.count("n_layer", most=COUNTS),
            pad_id=fields.count("pad_token_id", least=0, most=rows - 1),
        )


def _norm(width: int, rngs: nnx.Rngs) -> nnx.RMSNorm:
    return nnx.RMSNorm(width, epsilon=_EPSILON, rngs=rngs)


class Mixer(nnx.Module):
    """Mamba-2 with one group: one projection, one convolution, gated norm."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        inner, states, heads = config.inner, config.states, config.heads
        mixed = inner + 2 * states
        normal = nnx.initializers.normal(0.02)
        self.input = linear(config.width, inner + mixed + heads, bias=False, rngs=rngs)
        self.kernel = nnx.Param(normal(rngs.params(), (mixed, config.convolution)))
        self.bias = nnx.Param(jnp.zeros(mixed))
        self.step_bias = nnx.Param(jnp.zeros(heads))
        self.log_decay = nnx.Param(jnp.zeros(heads))
        self.skip = nnx.Param(jnp.ones(heads))
        self.norm = _norm(inner, rngs)
        self.output = linear(inner, config.width, bias=False, rngs=rngs)

    def __call__(self, u: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        inner, states, heads = self.config.inner, self.config.states, self.config.heads
        mixed = inner + 2 * states
        gate, mix, step = jnp.split(self.input(u), (inner, inner + mixed), axis=-1)
        mix = jax.nn.silu(short_causal_convolution(mix, self.kernel[...], self.bias[...]))
        x, b, c = jnp.split(mix.astype(jnp.float32), (inner, inner + states), axis=-1)
        x = x.reshape(*x.shape[:2], heads, -1)
        dt = jax.nn.softplus(step.astype(jnp.float32) + self.step_bias[...])
        y = state_space_duality(x, dt, -jnp.exp(self.log_decay[...]), b, c)
        y = (y + self.skip[...][:, None] * x).reshape(*u.shape[:2], inner)
        y = self.norm(y * jax.nn.silu(gate.astype(jnp.float32)))  # the gate comes first
        return self.output(y.astype(u.dtype))


class Block(nnx.Module):
    """Mixer and gated feed-forward behind RMSNorms; the residual stream is float32."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.mixer_norm = _norm(config.width, rngs)
        self.mixer = Mixer(config, rngs=rngs)
        self.feed_forward_norm = _norm(config.width, rngs)
        self.up = linear(config.width, 2 * config.feed_forward, bias=False, rngs=rngs)
        self.down = linear(config.feed_forward, config.width, bias=False, rngs=rngs)

    def __call__(
        self, x: Float[Array, "B L D"], mask: Float[Array, "B L"]
    ) -> Float[Array, "B L D"]:
        dtype = self.up.kernel.dtype
        x = x + self.mixer(self.mixer_norm(x).astype(dtype)).astype(jnp.float32)
        value, gate = jnp.split(self.up(self.feed_forward_norm(x).astype(dtype)), 2, axis=-1)
        x = x + self.down(value * jax.nn.silu(gate)).astype(jnp.float32)
        return x * mask[..., None]


class Stack(nnx.Module):
    """The blocks of one direction and their final norm."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.blocks = stack_layers(lambda rngs: Block(config, rngs=rngs), config.layers, rngs)
        self.norm = _norm(config.width, rngs)

    def __call__(
        self, x: Float[Array, "B L D"], mask: Float[Array, "B L"], taps: tuple[int, ...]
    ) -> tuple[Float[Array, "B L D"], dict[int, Float[Array, "B L D"]]]:
        x, states = scan_layers(self.blocks, x, lambda block, x: block(x, mask), taps)
        return self.norm(x), states


class Model(nnx.Module):
    """The encoder, from token ids to hidden states.

    The state of a tap inside holds both directions side by side, [B, L, 2 D].
    """

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        self.tokens = embed(config.rows, config.width, rngs=rngs)
        self.forward = Stack(config, rngs=rngs)
        self.backward = Stack(config, rngs=rngs)
        self.output = linear(2 * config.width, config.width, bias=False, rngs=rngs)

    def __call__(self, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)) -> Hidden:
        ids, records = inputs["input_ids"], inputs.get("attention_mask")
        mask = ids != self.config.pad_id if records is None else records
        x = self.tokens(ids).astype(jnp.float32)
        ahead, ahead_states = self.forward(x, mask.astype(x.dtype), taps)
        turned = reverse_records(mask, records).astype(x.dtype)
        back, back_states = self.backward(reverse_records(x, records), turned, taps)

        def join(ahead: Array, back: Array) -> Array:
            return jnp.concatenate([ahead, reverse_records(back, records)], axis=-1)

        states = {tap: join(ahead_states[tap], back_states[tap]) for tap in ahead_states}
        return Hidden(
            states | {FINAL: self.output(join(ahead, back).astype(self.output.kernel.dtype))}
        )


def weights(config: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    rules: list[Weight | Ignored] = [
        # The original pads the stacks' tables, which it never uses, and not the one that it does.
        Weight(
            "token_embedding.weight",
            "tokens.embedding",
            padded_rows(config.vocab_size, config.rows),
        ),
        *linear_weights({"lm_head_proj": "output"}, bias=False),
        Ignored(r"mamba_(for|back)ward\.backbone\.embedding\.weight", "never used"),
        Ignored(r"mamba_(for|back)ward\.lm_head\.weight", "language-model heads"),
    ]
    for direction in ("forward", "backward"):
        backbone = f"mamba_{direction}.backbone"
        layer, block = f"{backbone}.layers.{{}}", f"{direction}.blocks"
        linears = {
            f"{layer}.mixer.in_proj": f"{block}.mixer.input",
            f"{layer}.mixer.out_proj": f"{block}.mixer.output",
            f"{layer}.mlp.fc1": f"{block}.up",
            f"{layer}.mlp.fc2": f"{block}.down",
        }
        norms = {
            f"{layer}.norm": f"{block}.mixer_norm",
            f"{layer}.norm2": f"{block}.feed_forward_norm",
            f"{layer}.mixer.norm": f"{block}.mixer.norm",
            f"{backbone}.norm_f": f"{direction}.norm",
        }
        mixer = f"{layer}.mixer"
        rules += [
            *linear_weights(linears, bias=False),
            *norm_weights(norms, bias=False),
            Weight(f"{mixer}.conv1d.weight", f"{block}.mixer.kernel", lambda w: w[:, 0]),
            Weight(f"{mixer}.conv1d.bias", f"{block}.mixer.bias"),
            Weight(f"{mixer}.dt_bias", f"{block}.mixer.step_bias"),
            Weight(f"{mixer}.A_log", f"{block}.mixer.log_decay"),
            Weight(f"{mixer}.D", f"{block}.mixer.skip"),
        ]
    return tuple(rules)


# The fused projections hold their parts one after the other: rows are sharded.
SHARDING = (
    (r".*\.mixer\.(input|output)\.kernel", (None, "model", None)),
    (r".*\.(up|down)\.kernel", (None, "model", None)),
)

FLOAT32 = (r".*\.mixer\.(step_bias|log_decay|skip)",)

TINY = {"d_model": 32, "n_layer": 2, "ssm_cfg": {"d_state": 16, "headdim": 16}}
