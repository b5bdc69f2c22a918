"""gLM2 encoders over genes and DNA (Cornman et al. 2024): Llama's block without its causal mask.

Queries, keys and values are one projection, the width of the feed-forward follows from a rule, and
there is no norm behind the last block: the one that the checkpoint has belongs to its head.
Original: modeling_glm2.py of TattaBio/gLM2.
"""

import math
from dataclasses import dataclass

import jax
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.fields import COUNTS, ROWS, SIZES, Fields, check_rotary_width
from model_ports.contract.weights import Ignored, Weight, linear_weights, norm_weights
from model_ports.layers.attention import attend
from model_ports.layers.dense import embed, linear
from model_ports.layers.positions import rotary_table, rotate
from model_ports.layers.stacking import scan_layers, stack_layers

_WIDEST = 2.0**6  # of a feed-forward, in the width that the rule gives

BATCHING = "masked"

FIXED = {"model_type": "gLM2"}

UNUSED = ()


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on."""

    vocab_size: int
    width: int
    feed_forward: int
    layers: int
    heads: int
    epsilon: float

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
        width = fields.count("dim")
        heads = fields.divisor("heads", of="dim", whole=width)
        check_rotary_width(width // heads)
        return cls(
            vocab_size=fields.count("vocab_size", most=ROWS),
            width=width,
            feed_forward=_feed_forward(fields, width),
            layers=fields.count("depth", most=COUNTS),
            heads=heads,
            epsilon=fields.number("norm_eps", absent=1e-5),
        )


def _feed_forward(fields: Fields, width: int) -> int:
    """Returns the width of the feed-forward: two thirds of four widths, rounded up."""
    inner = 8 * width // 3
    if not fields.unset("ffn_dim_multiplier"):
        inner = int(fields.number("ffn_dim_multiplier", most=_WIDEST) * inner)
    multiple = fields.count("swiglu_multiple_of", absent=256)
    inner = math.ceil(inner / multiple) * multiple
    if not 0 < inner <= SIZES:
        mend = f"it makes the feed-forward {inner} wide, not 1 to {SIZES}"
        raise fields.refuse("ffn_dim_multiplier", mend)
    return inner


class Block(nnx.Module):
    """Attention to all tokens and gated feed-forward, each behind an RMSNorm."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.heads = config.heads
        width, inner = config.width, config.feed_forward
        self.attention_norm = nnx.RMSNorm(width, epsilon=config.epsilon, rngs=rngs)
        self.qkv = linear(width, 3 * width, bias=False, rngs=rngs)
        self.output = linear(width, width, bias=False, rngs=rngs)
        self.feed_forward_norm = nnx.RMSNorm(width, epsilon=config.epsilon, rngs=rngs)
        self.gate = linear(width, inner, bias=False, rngs=rngs)
        self.up = linear(width, inner, bias=False, rngs=rngs)
        self.down = linear(inner, width, bias=False, rngs=rngs)

    def __call__(
        self, x: Float[Array, "B L D"], mask: Bool[Array, "B L"] | None
    ) -> Float[Array, "B L D"]:
        qkv = self.qkv(self.attention_norm(x))
        qkv = qkv.reshape(*qkv.shape[:2], 3, self.heads, -1)
        table = rotary_table(x.shape[1], qkv.shape[-1])
        query, key = rotate(qkv[:, :, 0], table), rotate(qkv[:, :, 1], table)
        x = x + self.output(attend(query, key, qkv[:, :, 2], mask))
        y = self.feed_forward_norm(x)
        return x + self.down(jax.nn.silu(self.gate(y)) * self.up(y))


class Model(nnx.Module):
    """The encoder; without `attention_mask` padding is seen like other tokens."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.tokens = embed(config.vocab_size, config.width, rngs=rngs)
        self.blocks = stack_layers(lambda rngs: Block(config, rngs=rngs), config.layers, rngs)

    def __call__(self, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)) -> Hidden:
        mask = inputs.get("attention_mask")
        x = self.tokens(inputs["input_ids"])
        x, states = scan_layers(self.blocks, x, lambda block, x: block(x, mask), taps)
        return Hidden(states | {FINAL: x})


def weights(_: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    layer = "glm2.encoder.layers.{}"
    linears = {
        f"{layer}.attention.wqkv": "blocks.qkv",
        f"{layer}.attention.wo": "blocks.output",
        f"{layer}.feed_forward.w1": "blocks.gate",
        f"{layer}.feed_forward.w3": "blocks.up",
        f"{layer}.feed_forward.w2": "blocks.down",
    }
    norms = {
        f"{layer}.attention_norm": "blocks.attention_norm",
        f"{layer}.ffn_norm": "blocks.feed_forward_norm",
    }
    return (
        Weight("glm2.tok_embeddings.weight", "tokens.embedding"),
        *linear_weights(linears, bias=False),
        *norm_weights(norms, bias=False),
        Ignored(r"lm_head\..*", "masked-language-model head and its norm"),
    )


# Megatron's split (Shoeybi et al. 2019) of the feed-forward; the fused projection holds its parts
# one after the other, which a split of its columns would tear apart: its rows are sharded.
SHARDING = (
    (r"blocks\.(gate|up)\.kernel", (None, None, "model")),
    (r"blocks\.(qkv|output|down)\.kernel", (None, "model", None)),
)

FLOAT32 = ()

TINY = {"dim": 32, "depth": 2, "heads": 4, "swiglu_multiple_of": 16}
