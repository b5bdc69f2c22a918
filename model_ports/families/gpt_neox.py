"""GPT-NeoX decoders, such as Pythia's.

Pre-norm blocks with LayerNorm, rotary positions on the front of each head, and attention and
feed-forward side by side (Black et al. 2022). Original: transformers' modeling_gpt_neox.py.
"""

from dataclasses import dataclass

from flax import nnx
from jax import Array
from jaxtyping import Bool, Float

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.fields import COUNTS, ROWS, WAY_OUT, FieldError, Fields, Rotary, rotary
from model_ports.contract.weights import Ignored, Weight, linear_weights, norm_weights
from model_ports.layers.attention import attend
from model_ports.layers.dense import ACTIVATIONS, embed, layer_norm, linear
from model_ports.layers.positions import rotary_table, rotate_front, scaled_frequencies
from model_ports.layers.stacking import scan_layers, stack_layers

BATCHING = "masked"

FIXED = {"model_type": "gpt_neox"}

# Dropouts, and the trained context, which no table ends. A decoder is causal whatever `is_decoder`
# says.
UNUSED = (
    "attention_dropout", "hidden_dropout", "is_decoder", "max_position_embeddings",
)  # fmt: skip

# The share of a head that turns where none is stated, and the fields that state it.
_SHARE = 0.25
_SHARES = (
    "rotary_pct", "partial_rotary_factor", "rope_parameters.partial_rotary_factor",
    "rope_scaling.partial_rotary_factor",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on; absent are transformers' defaults.

    Attributes:
        turned: How many elements of a head, from its front, turn with the position.
        bias: Whether the projections of attention have biases; the feed-forward has them always.
        parallel: Whether attention and feed-forward read the same hidden state.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    rotary: Rotary
    turned: int
    activation: str
    epsilon: float
    bias: bool
    parallel: bool

    @property
    def max_tokens(self) -> int | None:
        """The longest input in tokens: None where rotary positions are the same at any length."""
        return self.rotary.longest

    @classmethod
    def from_json(cls, fields: Fields) -> "Config":
        """Returns the config that a checkpoint's config.json states.

        Raises:
            FieldError: A field is missing, malformed, or asks for what is not computed here.
        """
        fields.check(FIXED)
        width = fields.count("hidden_size")
        heads = fields.divisor("num_attention_heads", of="hidden_size", whole=width)
        turns = rotary(fields, share=_SHARE)
        turned = int(width // heads * turns.share)
        if turned % 2 or not turned:
            head = width // heads
            mend = (
                f"of the {head} elements of a head (hidden_size {width} / num_attention_heads "
                f"{heads}) it turns {turned}, and elements turn in pairs: only an even number "
                f"above 0 is computed here; {WAY_OUT}"
            )
            stated = [name for name in _SHARES if not fields.unset(name)]
            if not stated:
                missing = f"config.json: rotary_pct is missing, which means {_SHARE}"
                raise FieldError(f"{missing}; {mend}")
            raise fields.refuse(stated[0], mend)
        return cls(
            vocab_size=fields.count("vocab_size", most=ROWS),
            hidden_size=width,
            intermediate_size=fields.count("intermediate_size"),
            layers=fields.count("num_hidden_layers", most=COUNTS),
            heads=heads,
            rotary=turns,
            turned=turned,
            activation=fields.choice("hidden_act", among=ACTIVATIONS, absent="gelu"),
            epsilon=fields.number("layer_norm_eps", absent=1e-5),
            bias=fields.flag("attention_bias", absent=True),
            parallel=fields.flag("use_parallel_residual", absent=True),
        )


def _turn(config: Config, x: Float[Array, "B L H d"]) -> Float[Array, "B L H d"]:
    """Applies the rotary positions to the elements of each head that turn."""
    turns, turned = config.rotary, config.turned
    frequencies = scaled_frequencies(turned, turns.base, turns.factor, turns.bands, turns.ramp)
    table = rotary_table(x.shape[1], turned, frequencies=frequencies, scale=turns.scale)
    return rotate_front(x, table)


class Block(nnx.Module):
    """Causal attention and feed-forward, each behind a LayerNorm."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        width, inner, bias = config.hidden_size, config.intermediate_size, config.bias
        self.attention_norm = layer_norm(width, config.epsilon, rngs=rngs)
        self.qkv = linear(width, 3 * width, bias=bias, rngs=rngs)
        self.output = linear(width, width, bias=bias, rngs=rngs)
        self.feed_forward_norm = layer_norm(width, config.epsilon, rngs=rngs)
        self.up = linear(width, inner, rngs=rngs)
        self.down = linear(inner, width, rngs=rngs)

    def __call__(
        self, x: Float[Array, "B L D"], mask: Bool[Array, "B L"] | None
    ) -> Float[Array, "B L D"]:
        mixed = self._attention(self.attention_norm(x), mask)
        if self.config.parallel:
            return x + mixed + self._feed_forward(self.feed_forward_norm(x))
        x = x + mixed
        return x + self._feed_forward(self.feed_forward_norm(x))

    def _attention(
        self, x: Float[Array, "B L D"], mask: Bool[Array, "B L"] | None
    ) -> Float[Array, "B L D"]:
        # The fused projection holds query, key and value of one head after the other.
        qkv = self.qkv(x)
        qkv = qkv.reshape(*qkv.shape[:2], self.config.heads, 3, -1)
        query, key = (_turn(self.config, qkv[:, :, :, part]) for part in (0, 1))
        return self.output(attend(query, key, qkv[:, :, :, 2], mask, causal=True))

    def _feed_forward(self, x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        return self.down(ACTIVATIONS[self.config.activation](self.up(x)))


class Model(nnx.Module):
    """The decoder; without `attention_mask` every token before is seen, padding too."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.tokens = embed(config.vocab_size, config.hidden_size, rngs=rngs)
        self.blocks = stack_layers(lambda rngs: Block(config, rngs=rngs), config.layers, rngs)
        self.norm = layer_norm(config.hidden_size, config.epsilon, rngs=rngs)

    def __call__(self, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)) -> Hidden:
        mask = inputs.get("attention_mask")
        x = self.tokens(inputs["input_ids"])
        x, states = scan_layers(self.blocks, x, lambda block, x: block(x, mask), taps)
        return Hidden(states | {FINAL: self.norm(x)})


def weights(config: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    layer = "gpt_neox.layers.{}"
    attention = {
        f"{layer}.attention.query_key_value": "blocks.qkv",
        f"{layer}.attention.dense": "blocks.output",
    }
    feed_forward = {
        f"{layer}.mlp.dense_h_to_4h": "blocks.up",
        f"{layer}.mlp.dense_4h_to_h": "blocks.down",
    }
    norms = {
        f"{layer}.input_layernorm": "blocks.attention_norm",
        f"{layer}.post_attention_layernorm": "blocks.feed_forward_norm",
        "gpt_neox.final_layer_norm": "norm",
    }
    return (
        Weight("gpt_neox.embed_in.weight", "tokens.embedding"),
        *linear_weights(attention, bias=config.bias),
        *linear_weights(feed_forward),
        *norm_weights(norms),
        Ignored(r"embed_out\.weight", "language-model head"),
        Ignored(r".*\.attention\.(bias|masked_bias)", "the causal mask"),
        Ignored(
            r".*\.rotary_emb\.inv_freq", "old buffers, rounded: current code computes them anew"
        ),
    )


# Megatron's split (Shoeybi et al. 2019): heads, each with its query, key and value, and inner
# features over `model`.
SHARDING = (
    (r"blocks\.(qkv|up)\.kernel", (None, None, "model")),
    (r"blocks\.(qkv|up)\.bias", (None, "model")),
    (r"blocks\.(output|down)\.kernel", (None, "model", None)),
)

FLOAT32 = ()

TINY = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
