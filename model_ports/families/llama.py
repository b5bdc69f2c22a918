"""Llama and Mistral decoders: METAGENE-1, GenomeOcean, GENERator, OmniNA and BioFM.

Pre-norm blocks with RMSNorm, rotary positions, grouped-query attention and SwiGLU (Touvron et
al. 2023; Jiang et al. 2023). Original: transformers' modeling_llama.py and modeling_mistral.py.
"""

from dataclasses import dataclass

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.fields import COUNTS, ROWS, Fields, check_rotary_width, rotary_base
from model_ports.contract.weights import Ignored, Weight, linear_weights, norm_weights
from model_ports.layers.attention import attend, split_heads
from model_ports.layers.dense import ACTIVATIONS, embed, linear
from model_ports.layers.positions import rotary_table, rotate
from model_ports.layers.stacking import scan_layers, stack_layers

FIXED = {
    "attention_bias": (False, None),
    "mlp_bias": (False, None),
    "layer_types": None,  # a window in some layers only
}

# Dropouts; the product in parts that `pretraining_tp` asks for, whose sum is the same; the trained
# context, which no table ends; and what BioFM's tokenizer reads. A decoder is causal whatever
# `is_decoder` says.
UNUSED = (
    "attention_dropout", "pretraining_tp", "is_decoder", "max_position_embeddings",
    "max_sequence_length", "tokenizer_config",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on; absent are transformers' defaults.

    Attributes:
        window: How many tokens a token sees, itself and those before it; None: all. Where records
            are not longer, it changes nothing.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    key_value_heads: int
    head_width: int
    rotary_base: float
    window: int | None
    activation: str
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
        mistral = fields.choice("model_type", among=("llama", "mistral")) == "mistral"
        width = fields.count("hidden_size")
        if fields.unset("head_dim"):
            heads = fields.divisor("num_attention_heads", of="hidden_size", whole=width)
            head_width = width // heads
        else:
            heads = fields.count("num_attention_heads", most=COUNTS)
            head_width = fields.count("head_dim", most=COUNTS)
        check_rotary_width(head_width)
        groups, window = heads, None
        if not fields.is_null("num_key_value_heads"):
            groups = fields.divisor(
                "num_key_value_heads",
                of="num_attention_heads",
                whole=heads,
                absent=8 if mistral else heads,
            )
        if mistral and not fields.is_null("sliding_window"):
            window = fields.count("sliding_window", most=ROWS, absent=4096)
        elif not fields.unset("sliding_window"):
            raise fields.refuse("sliding_window", "only null is computed of a Llama")
        return cls(
            vocab_size=fields.count("vocab_size", most=ROWS),
            hidden_size=width,
            intermediate_size=fields.count("intermediate_size"),
            layers=fields.count("num_hidden_layers", most=COUNTS),
            heads=heads,
            key_value_heads=groups,
            head_width=head_width,
            rotary_base=rotary_base(fields, absent=10000.0),
            window=window,
            activation=fields.choice("hidden_act", among=ACTIVATIONS, absent="silu"),
            epsilon=fields.number("rms_norm_eps", absent=1e-6),
        )


def _within(length: int, window: int | None) -> Bool[Array, "L L"] | None:
    """Returns which token (row) has which (column) in its window; None where it has all."""
    if window is None or window >= length:
        return None
    position = jnp.arange(length)
    return position[None, :] > position[:, None] - window


class Block(nnx.Module):
    """Causal attention and gated feed-forward, each behind an RMSNorm."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        width, inner = config.hidden_size, config.intermediate_size
        queries = config.heads * config.head_width
        keys = config.key_value_heads * config.head_width
        self.attention_norm = nnx.RMSNorm(width, epsilon=config.epsilon, rngs=rngs)
        self.query = linear(width, queries, bias=False, rngs=rngs)
        self.key = linear(width, keys, bias=False, rngs=rngs)
        self.value = linear(width, keys, bias=False, rngs=rngs)
        self.output = linear(queries, width, bias=False, rngs=rngs)
        self.feed_forward_norm = nnx.RMSNorm(width, epsilon=config.epsilon, rngs=rngs)
        self.gate = linear(width, inner, bias=False, rngs=rngs)
        self.up = linear(width, inner, bias=False, rngs=rngs)
        self.down = linear(inner, width, bias=False, rngs=rngs)

    def __call__(
        self, x: Float[Array, "B L D"], mask: Bool[Array, "B L"] | None
    ) -> Float[Array, "B L D"]:
        config = self.config
        table = rotary_table(x.shape[1], config.head_width, config.rotary_base)
        y = self.attention_norm(x)
        query = rotate(split_heads(self.query(y), config.heads), table)
        key = rotate(split_heads(self.key(y), config.key_value_heads), table)
        value = split_heads(self.value(y), config.key_value_heads)
        allowed = _within(x.shape[1], config.window)
        x = x + self.output(attend(query, key, value, mask, causal=True, allowed=allowed))
        y = self.feed_forward_norm(x)
        return x + self.down(ACTIVATIONS[config.activation](self.gate(y)) * self.up(y))


class Model(nnx.Module):
    """The decoder; without `attention_mask` every token before is seen, padding too."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.tokens = embed(config.vocab_size, config.hidden_size, rngs=rngs)
        self.blocks = stack_layers(lambda rngs: Block(config, rngs=rngs), config.layers, rngs)
        self.norm = nnx.RMSNorm(config.hidden_size, epsilon=config.epsilon, rngs=rngs)

    def __call__(self, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)) -> Hidden:
        mask = inputs.get("attention_mask")
        x = self.tokens(inputs["input_ids"])
        x, states = scan_layers(self.blocks, x, lambda block, x: block(x, mask), taps)
        return Hidden(states | {FINAL: self.norm(x)})


def weights(_: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    layer = "model.layers.{}"
    linears = {
        f"{layer}.self_attn.q_proj": "blocks.query",
        f"{layer}.self_attn.k_proj": "blocks.key",
        f"{layer}.self_attn.v_proj": "blocks.value",
        f"{layer}.self_attn.o_proj": "blocks.output",
        f"{layer}.mlp.gate_proj": "blocks.gate",
        f"{layer}.mlp.up_proj": "blocks.up",
        f"{layer}.mlp.down_proj": "blocks.down",
    }
    norms = {
        f"{layer}.input_layernorm": "blocks.attention_norm",
        f"{layer}.post_attention_layernorm": "blocks.feed_forward_norm",
        "model.norm": "norm",
    }
    return (
        Weight("model.embed_tokens.weight", "tokens.embedding"),
        *linear_weights(linears, bias=False),
        *norm_weights(norms, bias=False),
        Ignored(r"lm_head\.weight", "language-model head"),
        Ignored(
            r".*\.rotary_emb\.inv_freq", "old buffers, rounded: current code computes them anew"
        ),
    )


# Megatron's split (Shoeybi et al. 2019): heads and inner features over `model`.
SHARDING = (
    (r"blocks\.(query|key|value|gate|up)\.kernel", (None, None, "model")),
    (r"blocks\.(output|down)\.kernel", (None, "model", None)),
)

FLOAT32 = ()

TINY = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}
