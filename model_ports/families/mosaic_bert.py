"""MosaicBERT encoders: DNABERT-2, DNABERT-S and Genomics-FM.

Post-norm BERT with ALiBi instead of positions and a gated GELU feed-forward (Portes et al.
2023; Zhou et al. 2024, DNABERT-2). Genomics-FM has learned positions and no ALiBi, which its
config.json does not tell. Original: bert_layers.py of the DNABERT-2 repository.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.fields import COUNTS, ROWS, Fields
from model_ports.contract.weights import Ignored, Weight, linear_weights, norm_weights
from model_ports.layers.attention import attend
from model_ports.layers.dense import embed, layer_norm, linear
from model_ports.layers.positions import symmetric_alibi
from model_ports.layers.stacking import scan_layers, stack_layers

BATCHING = "masked"

# An encoder; the gate's GELU is hard-wired in the original.
FIXED = {
    "model_type": "bert",
    "is_decoder": (False, None),
    "position_embedding_type": ("absolute", None),
    "hidden_act": "gelu",
}

# Dropouts, and the length that the original's table of ALiBi begins with and outgrows.
UNUSED = (
    "hidden_dropout_prob", "attention_probs_dropout_prob", "alibi_starting_size",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on, and two it leaves out.

    Attributes:
        alibi: Whether attention is biased by distance; otherwise positions are learned.
        prefix: Beginning of the encoder's tensor names.
    """

    vocab_size: int
    type_vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    positions: int
    epsilon: float
    alibi: bool
    prefix: str

    @property
    def max_tokens(self) -> int | None:
        """The longest input in tokens that the position table allows."""
        return None if self.alibi else self.positions

    @classmethod
    def from_json(cls, fields: Fields) -> "Config":
        """Returns the config that a checkpoint's config.json states.

        Raises:
            FieldError: A field is missing, malformed, or asks for what is not computed here.
        """
        fields.check(FIXED)
        width = fields.count("hidden_size")
        return cls(
            vocab_size=fields.count("vocab_size", most=ROWS),
            type_vocab_size=fields.count("type_vocab_size"),
            hidden_size=width,
            intermediate_size=fields.count("intermediate_size"),
            layers=fields.count("num_hidden_layers", most=COUNTS),
            heads=fields.divisor("num_attention_heads", of="hidden_size", whole=width),
            positions=fields.count("max_position_embeddings", most=ROWS),
            epsilon=fields.number("layer_norm_eps"),
            alibi=fields.flag("alibi"),
            prefix=fields.text("prefix"),
        )


class Block(nnx.Module):
    """Post-norm attention and gated feed-forward."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.heads = config.heads
        width, inner = config.hidden_size, config.intermediate_size
        self.qkv = linear(width, 3 * width, rngs=rngs)
        self.output = linear(width, width, rngs=rngs)
        self.attention_norm = layer_norm(width, config.epsilon, rngs=rngs)
        self.gated = linear(width, 2 * inner, bias=False, rngs=rngs)
        self.down = linear(inner, width, rngs=rngs)
        self.feed_forward_norm = layer_norm(width, config.epsilon, rngs=rngs)

    def __call__(
        self,
        x: Float[Array, "B L D"],
        mask: Bool[Array, "B L"],
        bias: Float[Array, "1 H L L"] | None,
    ) -> Float[Array, "B L D"]:
        qkv = self.qkv(x)
        qkv = qkv.reshape(*qkv.shape[:2], 3, self.heads, -1)
        mixed = attend(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2], mask, bias=bias)
        x = self.attention_norm(x + self.output(mixed))
        gate, value = jnp.split(self.gated(x), 2, axis=-1)
        gated = jax.nn.gelu(gate, approximate=False) * value
        return self.feed_forward_norm(x + self.down(gated))


class Model(nnx.Module):
    """The encoder, from token ids to hidden states; `attention_mask` is required."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        width = config.hidden_size
        self.tokens = embed(config.vocab_size, width, rngs=rngs)
        self.types = embed(config.type_vocab_size, width, rngs=rngs)
        if not config.alibi:
            self.positions = embed(config.positions, width, rngs=rngs)
        self.embedding_norm = layer_norm(width, config.epsilon, rngs=rngs)
        self.blocks = stack_layers(lambda rngs: Block(config, rngs=rngs), config.layers, rngs)

    def __call__(self, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)) -> Hidden:
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        length = ids.shape[1]
        x, bias = self.tokens(ids) + self.types(jnp.zeros_like(ids)), None
        if self.config.alibi:
            bias = symmetric_alibi(length, self.config.heads)
        else:
            # A bucket may be padded beyond the table; what padding holds there is never seen.
            x = x + self.positions(jnp.minimum(jnp.arange(length), self.config.positions - 1))
        x = self.embedding_norm(x).astype(self.blocks.down.kernel.dtype)
        x, states = scan_layers(self.blocks, x, lambda block, x: block(x, mask, bias), taps)
        return Hidden(states | {FINAL: x})


def weights(config: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    embeddings, layer = f"{config.prefix}embeddings", f"{config.prefix}encoder.layer.{{}}"
    linears = {
        f"{layer}.attention.self.Wqkv": "blocks.qkv",
        f"{layer}.attention.output.dense": "blocks.output",
        f"{layer}.mlp.wo": "blocks.down",
    }
    norms = {
        f"{embeddings}.LayerNorm": "embedding_norm",
        f"{layer}.attention.output.LayerNorm": "blocks.attention_norm",
        f"{layer}.mlp.layernorm": "blocks.feed_forward_norm",
    }
    positions = Weight(f"{embeddings}.position_embeddings.weight", "positions.embedding")
    return (
        Weight(f"{embeddings}.word_embeddings.weight", "tokens.embedding"),
        Weight(f"{embeddings}.token_type_embeddings.weight", "types.embedding"),
        *([] if config.alibi else [positions]),
        *linear_weights(linears),
        *linear_weights({f"{layer}.mlp.gated_layers": "blocks.gated"}, bias=False),
        *norm_weights(norms),
        Ignored(r"cls\..*", "masked-language-model head"),
        Ignored(r"pooler\..*", "pooler: the embedding is a hidden state"),
    )


# The fused projection holds queries, keys and values one after the other, which a split of its
# columns would tear apart: it is sharded over its rows.
SHARDING = (
    (r"blocks\.qkv\.kernel", (None, "model", None)),
    (r"blocks\.output\.kernel", (None, "model", None)),
    (r"blocks\.gated\.kernel", (None, "model", None)),
    (r"blocks\.down\.kernel", (None, "model", None)),
)

# The rows summed for a token may nearly cancel, and the norm behind magnifies what is left.
FLOAT32 = (r"(tokens|types|positions)\.embedding",)

TINY = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
