"""Llama and Mistral decoders: METAGENE-1, GenomeOcean, GENERator, OmniNA and BioFM.

Pre-norm blocks with RMSNorm, rotary positions, grouped-query attention and SwiGLU (Touvron et
al. 2023; Jiang et al. 2023). Original: transformers' modeling_llama.py and modeling_mistral.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flax import nnx
from jax import Array
from jaxtyping import Bool, Float

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.weights import Ignored, Weight, linear_weights, norm_weights
from model_ports.layers.attention import attend, split_heads
from model_ports.layers.dense import ACTIVATIONS, embed, linear
from model_ports.layers.positions import rotary_table, rotate
from model_ports.layers.stacking import scan_layers, stack_layers


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    key_value_heads: int
    head_width: int
    rotary_base: float
    activation: str
    epsilon: float

    @property
    def max_tokens(self) -> int | None:
        """The longest input in tokens: None, as rotary positions have no table that ends."""
        return None

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Config":
        """Reads the checkpoint's config.json; absent fields are transformers' defaults.

        Raises:
            ValueError: The config asks for a sliding window or scaled rotary positions.
        """
        for name in ("sliding_window", "rope_scaling"):
            if fields.get(name) is not None:
                raise ValueError(f"config.json: {name}={fields[name]} is not computed by this port")
        heads = fields["num_attention_heads"]
        return cls(
            vocab_size=fields["vocab_size"],
            hidden_size=fields["hidden_size"],
            intermediate_size=fields["intermediate_size"],
            layers=fields["num_hidden_layers"],
            heads=heads,
            key_value_heads=fields.get("num_key_value_heads", heads),
            head_width=fields.get("head_dim") or fields["hidden_size"] // heads,
            rotary_base=float(fields.get("rope_theta", 10000.0)),
            activation=fields["hidden_act"],
            epsilon=fields["rms_norm_eps"],
        )


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
        x = x + self.output(attend(query, key, value, mask, causal=True))
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
