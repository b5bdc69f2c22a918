"""LucaOne's encoder, gene branch (He et al. 2024): pre-norm with rotary positions.

Original: modeling of the repository LucaGroup/LucaOne-default-step36M.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.fields import COUNTS, ROWS, Fields, check_rotary_width
from model_ports.contract.weights import Ignored, Weight, linear_weights, norm_weights
from model_ports.layers.attention import SelfAttention
from model_ports.layers.dense import embed, layer_norm, linear
from model_ports.layers.positions import rotary_table
from model_ports.layers.stacking import scan_layers, stack_layers

_EPSILON = 1e-5  # hard-wired in the original, whatever config.json says
_WIDENING = 4  # of the feed-forward, hard-wired too
_GENE_TYPE = 0

BATCHING = "masked"

# Positions are rotary whatever config.json says; learned ones would come on top.
FIXED = {
    "model_type": "lucaone",
    "alphabet": "gene_prot",
    "embed_scale": 1.0,
    "no_position_embeddings": True,
    "no_token_type_embeddings": False,
    "use_embed_layer_norm": False,
    "use_last_layer_norm": True,
}

# Hard-wired in the original (`hidden_act`, `layer_norm_eps`, `ffn_dim`), or of learned positions
# (`max_position_embeddings`); what happens in training alone; the heads and their losses.
UNUSED = (
    "hidden_act", "layer_norm_eps", "ffn_dim", "max_position_embeddings", "token_dropout",
    "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout_prob",
    "classifier_loss_reduction", "classifier_loss_type", "classifier_num_labels",
    "classifier_pooling_type", "classifier_pos_weight", "classifier_weight", "ignore_index",
    "task_level", "task_type",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on."""

    vocab_size: int
    type_vocab_size: int
    hidden_size: int
    layers: int
    heads: int
    pad_id: int

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
        width, rows = fields.count("hidden_size"), fields.count("vocab_size", most=ROWS)
        heads = fields.divisor("num_attention_heads", of="hidden_size", whole=width)
        check_rotary_width(width // heads)
        return cls(
            vocab_size=rows,
            type_vocab_size=fields.count("type_vocab_size"),
            hidden_size=width,
            layers=fields.count("num_hidden_layers", most=COUNTS),
            heads=heads,
            pad_id=fields.count("pad_token_id", least=0, most=rows - 1),
        )


class Block(nnx.Module):
    """Pre-norm attention and GELU feed-forward."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        width = config.hidden_size
        self.attention_norm = layer_norm(width, _EPSILON, rngs=rngs)
        self.attention = SelfAttention(width, config.heads, rngs=rngs)
        # Read from the checkpoint, where they are rounded to half precision: the exact ones are
        # off by up to 0.65 radian at position 4095.
        half = width // config.heads // 2
        self.frequencies = nnx.Param(10000.0 ** (-jnp.arange(half, dtype=jnp.float32) / half))
        self.feed_forward_norm = layer_norm(width, _EPSILON, rngs=rngs)
        self.up = linear(width, _WIDENING * width, rngs=rngs)
        self.down = linear(_WIDENING * width, width, rngs=rngs)

    def __call__(self, x: Float[Array, "B L D"], mask: Bool[Array, "B L"]) -> Float[Array, "B L D"]:
        frequencies = self.frequencies[...]
        table = rotary_table(x.shape[1], 2 * len(frequencies), frequencies=frequencies)
        x = x + self.attention(self.attention_norm(x), mask, table)
        y = self.up(self.feed_forward_norm(x))
        return x + self.down(jax.nn.gelu(y, approximate=False))


class Model(nnx.Module):
    """The encoder, from token ids to hidden states; `attention_mask` is required."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        self.tokens = embed(config.vocab_size, config.hidden_size, rngs=rngs)
        self.types = embed(config.type_vocab_size, config.hidden_size, rngs=rngs)
        self.blocks = stack_layers(lambda rngs: Block(config, rngs=rngs), config.layers, rngs)
        self.norm = layer_norm(config.hidden_size, _EPSILON, rngs=rngs)

    def __call__(self, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)) -> Hidden:
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        x = self.tokens(ids) + self.types(jnp.full_like(ids, _GENE_TYPE))
        x = jnp.where((ids == self.config.pad_id)[..., None], 0, x)
        x, states = scan_layers(self.blocks, x, lambda block, x: block(x, mask), taps)
        return Hidden(states | {FINAL: self.norm(x)})


def weights(_: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    layer = "lucaone.encoder.layers.{}"
    linears = {
        f"{layer}.self_attn.q_proj": "blocks.attention.query",
        f"{layer}.self_attn.k_proj": "blocks.attention.key",
        f"{layer}.self_attn.v_proj": "blocks.attention.value",
        f"{layer}.self_attn.out_proj": "blocks.attention.output",
        f"{layer}.fc1": "blocks.up",
        f"{layer}.fc2": "blocks.down",
    }
    norms = {
        f"{layer}.pre_layer_norm": "blocks.attention_norm",
        f"{layer}.post_layer_norm": "blocks.feed_forward_norm",
        "lucaone.encoder.last_layer_norm": "norm",
    }
    return (
        Weight("lucaone.embeddings.embed_tokens.weight", "tokens.embedding"),
        Weight("lucaone.embeddings.embed_type.weight", "types.embedding"),
        *linear_weights(linears),
        *norm_weights(norms),
        Weight(f"{layer}.self_attn.rot_emb.inv_freq", "blocks.frequencies"),
        Ignored(r"lm_head\..*", "masked-language-model head"),
    )


# Megatron's split (Shoeybi et al. 2019): heads and inner features over `model`.
SHARDING = (
    (r"blocks\.(attention\.(query|key|value)|up)\.kernel", (None, None, "model")),
    (r"blocks\.(attention\.(query|key|value)|up)\.bias", (None, "model")),
    (r"blocks\.(attention\.output|down)\.kernel", (None, "model", None)),
)

FLOAT32 = (r"blocks\.frequencies",)

TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
