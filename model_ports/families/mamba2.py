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
from model_ports.contract.mamba2 import (
    Mamba2Sizes,
    mamba2_fixed,
    mamba2_sizes,
    mamba2_unused,
    mamba2_weights,
)
from model_ports.contract.weights import (
    Ignored,
    Weight,
    linear_weights,
    norm_weights,
    padded_rows,
)
from model_ports.layers.dense import embed, linear
from model_ports.layers.mamba import DualityMixer
from model_ports.layers.scans import reverse_records
from model_ports.layers.stacking import scan_layers, stack_layers

_EPSILON = 1e-5
_WIDENING = 4  # of the feed-forward, where config.json does not state its width
_MULTIPLE = 128  # that the width of the feed-forward is rounded up to

BATCHING = "masked"

# The defaults of mamba_ssm's Mamba2 and of its stack of blocks.
FIXED = {
    "model_type": "mamba2",
    "rms_norm": True,
    "attn_layer_idx": [],
    "ssm_cfg.layer": Stated("Mamba2"),
    **mamba2_fixed("ssm_cfg"),
}

# Kernels, initial values and the residual's precision, which is float32 here; and fields that the
# original does not read: `d_intermediate`, for which it takes `intermediate_size`, and those of
# transformers' Mamba2, whose defaults the file holds.
UNUSED = (
    "attn_cfg", "d_intermediate", "fused_add_norm", "residual_in_fp32", "tie_embeddings",
    *mamba2_unused("ssm_cfg"), "chunk_size", "conv_kernel",
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
    mixer: Mamba2Sizes
    feed_forward: int
    layers: int
    pad_id: int

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
        feed_forward = fields.count("intermediate_size", absent=_WIDENING * width)
        return cls(
            vocab_size=rows,
            rows=math.ceil(rows / multiple) * multiple,
            width=width,
            mixer=mamba2_sizes(fields, "ssm_cfg", width),
            feed_forward=math.ceil(feed_forward / _MULTIPLE) * _MULTIPLE,
            layers=fields.count("n_layer", most=COUNTS),
            pad_id=fields.count("pad_token_id", least=0, most=rows - 1),
        )


def _norm(width: int, rngs: nnx.Rngs) -> nnx.RMSNorm:
    return nnx.RMSNorm(width, epsilon=_EPSILON, rngs=rngs)


class Mixer(DualityMixer):
    """Mamba-2 with its projections."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        sizes = config.mixer
        self.input = linear(config.width, sizes.projected, bias=False, rngs=rngs)
        super().__init__(
            sizes.inner, sizes.states, sizes.heads, sizes.convolution, _EPSILON, rngs=rngs
        )
        self.output = linear(sizes.inner, config.width, bias=False, rngs=rngs)

    def __call__(self, u: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        return self.output(self.mix(self.input(u)).astype(u.dtype))


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
            f"{backbone}.norm_f": f"{direction}.norm",
        }
        rules += [
            *linear_weights(linears, bias=False),
            *norm_weights(norms, bias=False),
            *mamba2_weights(f"{layer}.mixer", f"{block}.mixer"),
        ]
    return tuple(rules)


# The fused projections hold their parts one after the other: rows are sharded.
SHARDING = (
    (r".*\.mixer\.(input|output)\.kernel", (None, "model", None)),
    (r".*\.(up|down)\.kernel", (None, "model", None)),
)

FLOAT32 = (r".*\.mixer\.(step_bias|log_decay|skip)",)

TINY = {"d_model": 32, "n_layer": 2, "ssm_cfg": {"d_state": 16, "headdim": 16}}
