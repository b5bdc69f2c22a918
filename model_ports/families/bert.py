"""BERT encoders (Devlin et al. 2019): GENA-LM, GROVER, MutBERT and DeepGene's RoFormer stage.

What they differ in, by config.json: the norm stands behind each sublayer (post) or before it
(pre, AIRI's modeling_bert.py), positions are learned or rotary, in halves (MutBERT) or
interleaved (RoFormer, Su et al. 2021).
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float, Float32

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.fields import COUNTS, ROWS, Fields, check_rotary_width, rotary_base
from model_ports.contract.weights import Ignored, Weight, linear_weights, norm_weights
from model_ports.layers.attention import SelfAttention
from model_ports.layers.dense import ACTIVATIONS, embed, layer_norm, linear
from model_ports.layers.positions import rotary_table
from model_ports.layers.stacking import scan_layers, stack_layers

# A decoder has a causal mask; relative positions, RoFormer's rotated values, and norms and linear
# layers of another kind are computed nowhere here.
FIXED = {
    "is_decoder": (False, None),
    "position_embedding_type": ("absolute", None),
    "rotary_value": False,
    "norm_type": "layer_norm",
    "use_bias": True,
}

# Dropouts and the pooler; positions, where they are rotary.
UNUSED = (
    "hidden_dropout_prob", "attention_probs_dropout_prob", "max_position_embeddings",
    "pooler_activation", "pooler_type", "pooler_fc_size", "pooler_num_attention_heads",
    "pooler_num_fc_layers", "pooler_size_per_head", "directionality",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on."""

    prefix: str
    vocab_size: int
    type_vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    activation: str
    epsilon: float
    pre_norm: bool
    last_norm: bool
    learned_positions: int | None
    rotary_base: float | None
    interleaved: bool

    @property
    def max_tokens(self) -> int | None:
        """The longest input in tokens that the position table allows."""
        return self.learned_positions

    @classmethod
    def from_json(cls, fields: Fields) -> "Config":
        """Returns the config that a checkpoint's config.json states.

        Raises:
            FieldError: A field is missing, malformed, or asks for what is not computed here.
        """
        fields.check(FIXED)
        roformer = fields.choice("model_type", among=("bert", "roformer")) == "roformer"
        width = fields.count("hidden_size")
        heads = fields.divisor("num_attention_heads", of="hidden_size", whole=width)
        if not fields.unset("embedding_size") and fields.count("embedding_size") != width:
            raise fields.refuse("embedding_size", f"only that of hidden_size, {width}, is computed")
        base = 10000.0 if roformer else rotary_base(fields, absent=None)
        if base is not None:
            check_rotary_width(width // heads)
        pre_norm = fields.flag("pre_layer_norm", absent=False)
        return cls(
            prefix="roformer" if roformer else "bert",
            vocab_size=fields.count("vocab_size", most=ROWS),
            type_vocab_size=fields.count("type_vocab_size"),
            hidden_size=width,
            intermediate_size=fields.count("intermediate_size"),
            layers=fields.count("num_hidden_layers", most=COUNTS),
            heads=heads,
            activation=fields.choice("hidden_act", among=ACTIVATIONS),
            epsilon=fields.number("layer_norm_eps"),
            pre_norm=pre_norm,
            last_norm=fields.flag("last_layer_norm", absent=pre_norm),
            learned_positions=(
                fields.count("max_position_embeddings", most=ROWS) if base is None else None
            ),
            rotary_base=base,
            interleaved=roformer,
        )


def rotary(
    config: Config, length: int
) -> tuple[Float32[Array, "L pairs"], Float32[Array, "L pairs"]] | None:
    """Returns the cosines and sines of `length` positions; None where positions are learned."""
    width, base = config.hidden_size // config.heads, config.rotary_base
    if base is None:
        return None
    if not config.interleaved:
        return rotary_table(length, width, base)
    # RoFormer computes its table in float64 and rounds the sines and cosines.
    angles = np.arange(length)[:, None] * base ** (-np.arange(0, width, 2) / width)
    return jnp.float32(np.cos(angles)), jnp.float32(np.sin(angles))


class Block(nnx.Module):
    """Attention and feed-forward, each with a residual and a norm before or behind it."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        width, inner = config.hidden_size, config.intermediate_size
        self.attention = SelfAttention(width, config.heads, rngs=rngs)
        self.attention_norm = layer_norm(width, config.epsilon, rngs=rngs)
        self.up = linear(width, inner, rngs=rngs)
        self.down = linear(inner, width, rngs=rngs)
        self.feed_forward_norm = layer_norm(width, config.epsilon, rngs=rngs)

    def __call__(self, x: Float[Array, "B L D"], mask: Bool[Array, "B L"]) -> Float[Array, "B L D"]:
        rotation = (rotary(self.config, x.shape[1]), self.config.interleaved)
        if self.config.pre_norm:
            x = x + self.attention(self.attention_norm(x), mask, *rotation)
            return x + self._feed_forward(self.feed_forward_norm(x))
        x = self.attention_norm(x + self.attention(x, mask, *rotation))
        return self.feed_forward_norm(x + self._feed_forward(x))

    def _feed_forward(self, x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        return self.down(ACTIVATIONS[self.config.activation](self.up(x)))


class Model(nnx.Module):
    """The encoder, from token ids to hidden states; `attention_mask` is required."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        width = config.hidden_size
        self.tokens = embed(config.vocab_size, width, rngs=rngs)
        self.types = embed(config.type_vocab_size, width, rngs=rngs)
        if config.learned_positions is not None:
            self.positions = embed(config.learned_positions, width, rngs=rngs)
        self.embedding_norm = layer_norm(width, config.epsilon, rngs=rngs)
        self.blocks = stack_layers(lambda rngs: Block(config, rngs=rngs), config.layers, rngs)
        if config.last_norm:
            self.norm = layer_norm(width, config.epsilon, rngs=rngs)

    def __call__(self, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)) -> Hidden:
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        x = self.tokens(ids) + self.types(jnp.zeros_like(ids))
        if self.config.learned_positions is not None:
            # A bucket may be padded beyond the table; what padding holds there is never seen.
            last = self.config.learned_positions - 1
            x = x + self.positions(jnp.minimum(jnp.arange(ids.shape[1]), last))
        x = self.embedding_norm(x).astype(self.blocks.up.kernel.dtype)
        x, states = scan_layers(self.blocks, x, lambda block, x: block(x, mask), taps)
        return Hidden(states | {FINAL: self.norm(x) if self.config.last_norm else x})


def weights(config: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    embeddings, layer = f"{config.prefix}.embeddings", f"{config.prefix}.encoder.layer.{{}}"
    linears = {
        f"{layer}.attention.self.query": "blocks.attention.query",
        f"{layer}.attention.self.key": "blocks.attention.key",
        f"{layer}.attention.self.value": "blocks.attention.value",
        f"{layer}.attention.output.dense": "blocks.attention.output",
        f"{layer}.intermediate.dense": "blocks.up",
        f"{layer}.output.dense": "blocks.down",
    }
    norms = {
        f"{embeddings}.LayerNorm": "embedding_norm",
        # AIRI's "post_attention_ln" is the norm before the feed-forward.
        f"{layer}.{'pre_attention_ln' if config.pre_norm else 'attention.output.LayerNorm'}": (
            "blocks.attention_norm"
        ),
        f"{layer}.{'post_attention_ln' if config.pre_norm else 'output.LayerNorm'}": (
            "blocks.feed_forward_norm"
        ),
    }
    if config.last_norm:
        norms[f"{config.prefix}.encoder.last_layer_ln"] = "norm"
    learned = config.learned_positions is not None
    return (
        Weight(f"{embeddings}.word_embeddings.weight", "tokens.embedding"),
        Weight(f"{embeddings}.token_type_embeddings.weight", "types.embedding"),
        *([Weight(f"{embeddings}.position_embeddings.weight", "positions.embedding")] * learned),
        *linear_weights(linears),
        *norm_weights(norms),
        Ignored(r"cls\..*", "pretraining heads"),
        Ignored(r"bert\.pooler\..*", "pooler: the embedding is a mean"),
        Ignored(r"bert\.embeddings\.position_ids", "the numbers 0, 1, 2, ..."),
        Ignored(r"roformer\.encoder\.embed_positions\.weight", "computed from the head width"),
    )


# Megatron's split (Shoeybi et al. 2019): heads and inner features over `model`.
SHARDING = (
    (r"blocks\.attention\.(query|key|value)\.kernel", (None, None, "model")),
    (r"blocks\.attention\.(query|key|value)\.bias", (None, "model")),
    (r"blocks\.attention\.output\.kernel", (None, "model", None)),
    (r"blocks\.up\.kernel", (None, None, "model")),
    (r"blocks\.up\.bias", (None, "model")),
    (r"blocks\.down\.kernel", (None, "model", None)),
)

# The rows summed for a token may nearly cancel, and the norm behind magnifies what is left.
FLOAT32 = (r"(tokens|types|positions)\.embedding",)

TINY = {
    "hidden_size": 32,
    "embedding_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
