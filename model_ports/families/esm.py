"""ESM encoders over k-mers: the Nucleotide Transformers and Agro-NT.

Pre-norm blocks and a final norm (Lin et al. 2023, ESM-2; Dalla-Torre et al. 2023). The first
generation has learned positions and a GELU feed-forward with biases (ESM-1b), the v2 models
rotary positions and a SwiGLU feed-forward without. Original: transformers 4.32 modeling_esm.py
with the feed-forward of InstaDeep's repositories.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float, Int

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.fields import COUNTS, ROWS, Fields, check_rotary_width, rotary_base
from model_ports.contract.weights import Ignored, Weight, linear_weights, norm_weights
from model_ports.layers.attention import SelfAttention
from model_ports.layers.dense import embed, layer_norm, linear
from model_ports.layers.positions import rotary_table
from model_ports.layers.stacking import scan_layers, stack_layers

_TRAINED_MASK_SHARE = 0.15 * 0.8  # of the tokens in pretraining; see `token_dropout` in ESM

BATCHING = "masked"

# A decoder has a causal mask, a folding model another trunk, and InstaDeep's feed-forward may have
# biases.
FIXED = {
    "model_type": "esm",
    "is_decoder": (False, None),
    "is_folding_model": (False, None),
    "add_bias_fnn": False,
}

# Dropouts, and what a folding model alone reads.
UNUSED = (
    "hidden_dropout_prob", "attention_probs_dropout_prob", "esmfold_config", "vocab_list",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on.

    Attributes:
        first_norm: Whether a norm stands before the blocks.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    first_norm: bool
    positions: int
    epsilon: float
    rotary: bool
    rotary_base: float
    gated: bool
    token_dropout: bool
    pad_id: int
    mask_id: int | None

    @property
    def max_tokens(self) -> int | None:
        """The longest input in tokens; the position table starts behind row `pad_id`."""
        return None if self.rotary else self.positions - self.pad_id - 1

    @classmethod
    def from_json(cls, fields: Fields) -> "Config":
        """Returns the config that a checkpoint's config.json states.

        Raises:
            FieldError: A field is missing, malformed, or asks for what is not computed here.
        """
        fields.check(FIXED)
        width, rows = fields.count("hidden_size"), fields.count("vocab_size", most=ROWS)
        heads = fields.divisor("num_attention_heads", of="hidden_size", whole=width)
        pad_id = fields.count("pad_token_id", least=0, most=rows - 1)
        positions = ("absolute", "rotary")
        kind = fields.choice("position_embedding_type", among=positions, absent="absolute")
        rotary = kind == "rotary"
        if rotary:
            check_rotary_width(width // heads)
        dropout = fields.flag("token_dropout", absent=False)
        return cls(
            vocab_size=rows,
            hidden_size=width,
            intermediate_size=fields.count("intermediate_size"),
            layers=fields.count("num_hidden_layers", most=COUNTS),
            heads=heads,
            first_norm=(
                not fields.is_null("emb_layer_norm_before")
                and fields.flag("emb_layer_norm_before", absent=False)
            ),
            # Row `pad_id` is that of padding, and a token's is behind it.
            positions=fields.count(
                "max_position_embeddings", least=1 if rotary else pad_id + 2, most=ROWS
            ),
            epsilon=fields.number("layer_norm_eps", absent=1e-12),
            rotary=rotary,
            rotary_base=rotary_base(fields, absent=10000.0),
            gated=fields.has("add_bias_fnn"),  # a field of the v2 repositories' code alone
            token_dropout=dropout,
            pad_id=pad_id,
            mask_id=fields.count("mask_token_id", least=0, most=rows - 1) if dropout else None,
        )


class FeedForward(nnx.Module):
    """GELU with biases, or SwiGLU without; the gate is the first half of `up`."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.gated = config.gated
        inner = config.intermediate_size
        bias = not config.gated
        self.up = linear(config.hidden_size, inner * (1 + config.gated), bias=bias, rngs=rngs)
        self.down = linear(inner, config.hidden_size, bias=bias, rngs=rngs)

    def __call__(self, x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        x = self.up(x)
        if self.gated:
            gate, x = jnp.split(x, 2, axis=-1)
            return self.down(jax.nn.silu(gate) * x)
        return self.down(jax.nn.gelu(x, approximate=False))


class Block(nnx.Module):
    """Pre-norm attention and feed-forward."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        self.attention_norm = layer_norm(config.hidden_size, config.epsilon, rngs=rngs)
        self.attention = SelfAttention(config.hidden_size, config.heads, rngs=rngs)
        self.feed_forward_norm = layer_norm(config.hidden_size, config.epsilon, rngs=rngs)
        self.feed_forward = FeedForward(config, rngs=rngs)

    def __call__(self, x: Float[Array, "B L D"], mask: Bool[Array, "B L"]) -> Float[Array, "B L D"]:
        width = self.config.hidden_size // self.config.heads
        table = None
        if self.config.rotary:
            table = rotary_table(x.shape[1], width, self.config.rotary_base)
        x = x + self.attention(self.attention_norm(x), mask, table)
        return x + self.feed_forward(self.feed_forward_norm(x))


class Model(nnx.Module):
    """The encoder, from token ids to hidden states; `attention_mask` is required."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        self.tokens = embed(config.vocab_size, config.hidden_size, rngs=rngs)
        if not config.rotary:
            self.positions = embed(config.positions, config.hidden_size, rngs=rngs)
        if config.first_norm:
            self.first_norm = layer_norm(config.hidden_size, config.epsilon, rngs=rngs)
        self.blocks = stack_layers(lambda rngs: Block(config, rngs=rngs), config.layers, rngs)
        self.norm = layer_norm(config.hidden_size, config.epsilon, rngs=rngs)

    def __call__(self, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)) -> Hidden:
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        x = self.tokens(ids)
        if self.config.token_dropout:
            x = self._token_dropout(x, ids, mask)
        if not self.config.rotary:
            content = ids != self.config.pad_id
            position = jnp.cumsum(content, axis=1) * content + self.config.pad_id
            x = x + self.positions(position)
        if self.config.first_norm:
            x = self.first_norm(x)
        x = x * mask[..., None].astype(x.dtype)
        x, states = scan_layers(self.blocks, x, lambda block, x: block(x, mask), taps)
        return Hidden(states | {FINAL: self.norm(x)})

    def _token_dropout(
        self, x: Float[Array, "B L D"], ids: Int[Array, "B L"], mask: Bool[Array, "B L"]
    ) -> Float[Array, "B L D"]:
        # In pretraining 12 % of the embeddings were zero: ESM rescales to the share seen then.
        is_mask = ids == self.config.mask_id
        share = jnp.sum(is_mask & mask, axis=1) / jnp.maximum(jnp.sum(mask, axis=1), 1)
        scale = (1 - _TRAINED_MASK_SHARE) / (1 - share)
        return jnp.where(is_mask[..., None], 0, x) * scale[:, None, None].astype(x.dtype)


def weights(config: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    layer = "esm.encoder.layer.{}"
    attention = {
        f"{layer}.attention.self.query": "blocks.attention.query",
        f"{layer}.attention.self.key": "blocks.attention.key",
        f"{layer}.attention.self.value": "blocks.attention.value",
        f"{layer}.attention.output.dense": "blocks.attention.output",
    }
    feed_forward = {
        f"{layer}.intermediate.dense": "blocks.feed_forward.up",
        f"{layer}.output.dense": "blocks.feed_forward.down",
    }
    norms = {
        f"{layer}.attention.LayerNorm": "blocks.attention_norm",
        f"{layer}.LayerNorm": "blocks.feed_forward_norm",
        "esm.encoder.emb_layer_norm_after": "norm",
    }
    if config.first_norm:
        norms["esm.embeddings.layer_norm"] = "first_norm"
    positions = "esm.embeddings.position_embeddings.weight"
    return (
        Weight("esm.embeddings.word_embeddings.weight", "tokens.embedding"),
        Ignored(positions.replace(".", r"\."), "positions are rotary")
        if config.rotary
        else Weight(positions, "positions.embedding"),
        *linear_weights(attention),
        *linear_weights(feed_forward, bias=not config.gated),
        *norm_weights(norms),
        Ignored(r"lm_head\..*", "masked-language-model head"),
        Ignored(r"esm\.contact_head\..*", "contact head"),
        Ignored(r"esm\.embeddings\.position_ids", "the numbers 0, 1, 2, ..."),
        Ignored(r".*\.rotary_embeddings\.inv_freq", "computed from the head width"),
    )


# Megatron's split (Shoeybi et al. 2019): heads and inner features over `model`.
SHARDING = (
    (r"blocks\.attention\.(query|key|value)\.kernel", (None, None, "model")),
    (r"blocks\.attention\.(query|key|value)\.bias", (None, "model")),
    (r"blocks\.attention\.output\.kernel", (None, "model", None)),
    (r"blocks\.feed_forward\.up\.kernel", (None, None, "model")),
    (r"blocks\.feed_forward\.up\.bias", (None, "model")),
    (r"blocks\.feed_forward\.down\.kernel", (None, "model", None)),
)

FLOAT32 = ()

TINY = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
