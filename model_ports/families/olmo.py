"""OLMo decoders: Omni-DNA.

Pre-norm blocks with fused projections, rotary positions and SwiGLU whose second half is the
gate (Groeneveld et al. 2024). Original: the ai2-olmo package, not transformers' later Olmo.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.fields import COUNTS, ROWS, Fields, Stated, check_rotary_width
from model_ports.contract.weights import Ignored, Weight, linear_weights, norm_weights
from model_ports.layers.attention import attend
from model_ports.layers.dense import embed, layer_norm, linear
from model_ports.layers.positions import rotary_table, rotate
from model_ports.layers.stacking import scan_layers, stack_layers

_WIDEST = 2**6  # of a feed-forward, in widths of the model
_EPSILON = 1e-5  # the package's default, which config.json does not state

BATCHING = "masked"

# The package's defaults are other ones where `Stated`.
FIXED = {
    "model_type": ("olmo-gfm", "hf_olmo"),  # transformers' "olmo" is another layout
    "activation_type": "swiglu",
    "block_type": "sequential",
    "block_group_size": 1,
    "alibi": False,
    "rope": Stated(True),
    "rope_full_precision": True,
    "rope_theta": 10000.0,
    "include_bias": Stated(False),
    "bias_for_layer_norm": Stated(False),
    "layer_norm_eps": _EPSILON,
    "attention_layer_norm": False,
    "embedding_layer_norm": False,
    "norm_after": False,
    "multi_query_attention": (False, None),
    "clip_qkv": None,
}

# Dropouts; what the language-model head does; how the weights were initialised and trained.
UNUSED = (
    "max_sequence_length", "alibi_bias_max", "attention_layer_norm_with_affine", "scale_logits",
    "weight_tying", "attention_dropout", "embedding_dropout", "residual_dropout",
    "flash_attention", "precision", "init_device", "init_fn", "init_std", "init_cutoff_factor",
    "scale_emb_init", "emb_init_std",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on."""

    vocab_size: int
    hidden_size: int
    fused_size: int
    layers: int
    heads: int
    norm: str
    affine: bool

    @property
    def max_tokens(self) -> int | None:
        """The longest input in tokens: None, as rotary positions have no table that ends."""
        return None

    @classmethod
    def from_json(cls, fields: Fields) -> "Config":
        """Returns the config that a checkpoint's config.json states.

        Raises:
            FieldError: A field is missing, malformed, or asks for what is not computed here.
        """
        fields.check(FIXED)
        width = fields.count("d_model")
        heads = fields.divisor("n_heads", of="d_model", whole=width)
        check_rotary_width(width // heads)
        if not fields.unset("n_kv_heads") and fields.count("n_kv_heads") != heads:
            raise fields.refuse("n_kv_heads", f"only that of n_heads, {heads}, is computed here")
        rows = fields.count("vocab_size", most=ROWS)
        if not fields.is_null("embedding_size"):
            rows = fields.count("embedding_size", least=rows, most=ROWS, absent=50304)
        fused = width * fields.count("mlp_ratio", most=_WIDEST, absent=4)
        if not fields.unset("mlp_hidden_size"):
            fused = fields.count("mlp_hidden_size")
        if fused % 2:
            raise fields.refuse("mlp_hidden_size", "it must be even: values and their gates")
        return cls(
            vocab_size=rows,
            hidden_size=width,
            fused_size=fused,
            layers=fields.count("n_layers", most=COUNTS),
            heads=heads,
            norm=fields.choice("layer_norm_type", among=("default", "rms"), absent="default"),
            affine=fields.flag("layer_norm_with_affine", absent=True),
        )


def _norm(config: Config, rngs: nnx.Rngs) -> nnx.Module:
    if config.norm == "rms":
        return nnx.RMSNorm(config.hidden_size, epsilon=_EPSILON, use_scale=config.affine, rngs=rngs)
    return layer_norm(config.hidden_size, _EPSILON, bias=False, scale=config.affine, rngs=rngs)


class Block(nnx.Module):
    """Causal attention and gated feed-forward, each behind a norm."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.heads = config.heads
        width, fused = config.hidden_size, config.fused_size
        self.attention_norm = _norm(config, rngs)
        self.qkv = linear(width, 3 * width, bias=False, rngs=rngs)
        self.output = linear(width, width, bias=False, rngs=rngs)
        self.feed_forward_norm = _norm(config, rngs)
        self.up = linear(width, fused, bias=False, rngs=rngs)
        self.down = linear(fused // 2, width, bias=False, rngs=rngs)

    def __call__(
        self, x: Float[Array, "B L D"], mask: Bool[Array, "B L"] | None
    ) -> Float[Array, "B L D"]:
        qkv = self.qkv(self.attention_norm(x))
        qkv = qkv.reshape(*qkv.shape[:2], 3, self.heads, -1)
        table = rotary_table(x.shape[1], qkv.shape[-1])
        query, key = rotate(qkv[:, :, 0], table), rotate(qkv[:, :, 1], table)
        x = x + self.output(attend(query, key, qkv[:, :, 2], mask, causal=True))
        value, gate = jnp.split(self.up(self.feed_forward_norm(x)), 2, axis=-1)
        return x + self.down(jax.nn.silu(gate) * value)


class Model(nnx.Module):
    """The decoder, from token ids to hidden states."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.tokens = embed(config.vocab_size, config.hidden_size, rngs=rngs)
        self.blocks = stack_layers(lambda rngs: Block(config, rngs=rngs), config.layers, rngs)
        self.norm = _norm(config, rngs)

    def __call__(self, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)) -> Hidden:
        mask = inputs.get("attention_mask")
        x = self.tokens(inputs["input_ids"])
        x, states = scan_layers(self.blocks, x, lambda block, x: block(x, mask), taps)
        return Hidden(states | {FINAL: self.norm(x)})


def weights(config: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    layer = "model.transformer.blocks.{}"
    linears = {
        f"{layer}.att_proj": "blocks.qkv",
        f"{layer}.attn_out": "blocks.output",
        f"{layer}.ff_proj": "blocks.up",
        f"{layer}.ff_out": "blocks.down",
    }
    norms = {
        f"{layer}.attn_norm": "blocks.attention_norm",
        f"{layer}.ff_norm": "blocks.feed_forward_norm",
        "model.transformer.ln_f": "norm",
    }
    return (
        Weight("model.transformer.wte.weight", "tokens.embedding"),
        *linear_weights(linears, bias=False),
        *norm_weights(norms if config.affine else {}, bias=False),
        Ignored(r"model\.transformer\.ff_out\.weight", "language-model head"),
    )


# The fused projections hold their parts one after the other, which a split of their columns
# would tear apart: they are sharded over their rows.
SHARDING = (
    (r"blocks\.(qkv|up)\.kernel", (None, "model", None)),
    (r"blocks\.(output|down)\.kernel", (None, "model", None)),
)

FLOAT32 = ()

TINY = {"d_model": 32, "n_layers": 2, "n_heads": 4}
