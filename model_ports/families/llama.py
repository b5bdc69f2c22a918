"""Llama decoders and their descendants: Mistral, Qwen2, Qwen3, OLMo, OLMo 2 and GENERanno.

METAGENE-1, GenomeOcean, GENERator, OmniNA and BioFM are Llamas and Mistrals: pre-norm blocks with
RMSNorm, rotary positions, grouped-query attention and a gated feed-forward (Touvron et al. 2023;
Jiang et al. 2023). What the others change, each by a field of `Config`: biases (Qwen2), norms of
queries and keys (Qwen3, OLMo 2), LayerNorm without parameters and clipped projections (OLMo),
the norm behind each sublayer instead of before it (OLMo 2), and attention to all tokens, which
makes GENERanno an encoder. Original: transformers' modeling_llama.py and the files of the same
kind, and modeling_generanno.py of GenerTeam's repositories.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float, Int

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.fields import COUNTS, ROWS, Fields, Rotary, check_rotary_width, rotary
from model_ports.contract.weights import Ignored, Weight, linear_weights, norm_weights
from model_ports.layers.attention import attend, split_heads
from model_ports.layers.dense import ACTIVATIONS, embed, layer_norm, linear
from model_ports.layers.positions import rotary_table, rotate, scaled_frequencies
from model_ports.layers.stacking import scan_layers, stack_layers

_MODEL_TYPES = ("llama", "mistral", "qwen2", "qwen3", "olmo", "olmo2", "generanno")

# What only some of the original classes read: of the others, another value means nothing to the
# original, and is refused for what it was meant to say.
_READ_BY: Mapping[str, tuple[str, ...]] = {
    "attention_bias": ("llama", "qwen3", "olmo", "olmo2", "generanno"),
    "mlp_bias": ("llama", "generanno"),
    "clip_qkv": ("olmo",),
    "sliding_window": ("mistral", "qwen2", "qwen3"),
    "use_sliding_window": ("qwen2", "qwen3"),
    "layer_types": ("qwen2", "qwen3"),
}

# Heads of keys and values where config.json states none: of the other types as many as queries.
_KEY_VALUE_HEADS = {"mistral": 8, "qwen2": 32, "qwen3": 32}

_WHOLE, _SLIDING = "full_attention", "sliding_attention"

_CLIPS = 1e6  # the largest bound of a projection that is read

BATCHING = "masked"

FIXED = {"use_mrope": (False, None)}  # positions of images, in some of Qwen2's files

# Dropouts; the product in parts that `pretraining_tp` asks for, whose sum is the same; the trained
# context, which no table ends; the layers that `layer_types` or a window say more of; and what
# BioFM's tokenizer reads. Which tokens are seen follows from the type, whatever `is_decoder` says.
UNUSED = (
    "attention_dropout", "pretraining_tp", "is_decoder", "max_position_embeddings",
    "max_window_layers", "max_sequence_length", "tokenizer_config",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on; absent are transformers' defaults.

    Attributes:
        windows: By layer how many tokens a token sees, itself and those before it; None: all.
            Where records are not longer, it changes nothing.
        input_bias: Whether the projections to queries, keys and values have biases.
        output_bias: Whether the projection behind attention has a bias.
        feed_forward_bias: Whether the linear layers of the feed-forward have biases.
        query_key_norm: Of what queries and keys have an RMSNorm: "" of nothing, "head" of each
            head, "all" of all heads together.
        clip: The largest magnitude of queries, keys and values; None: any.
        plain_norm: Whether norms are LayerNorms without parameters.
        post_norm: Whether the norms stand behind the sublayers, before the residual is added.
        causal: Whether a token sees itself and those before it only, instead of all.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    key_value_heads: int
    head_width: int
    rotary: Rotary
    windows: tuple[int | None, ...]
    activation: str
    epsilon: float
    input_bias: bool
    output_bias: bool
    feed_forward_bias: bool
    query_key_norm: str
    clip: float | None
    plain_norm: bool
    post_norm: bool
    causal: bool

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
        kind = fields.choice("model_type", among=_MODEL_TYPES)
        for name, kinds in _READ_BY.items():
            if kind not in kinds:
                fields.check({name: (False, None)})
        width = fields.count("hidden_size")
        if kind != "generanno" and not fields.unset("head_dim"):
            heads = fields.count("num_attention_heads", most=COUNTS)
            head_width = fields.count("head_dim", most=COUNTS)
        elif kind == "qwen3" and not fields.has("head_dim"):
            heads, head_width = fields.count("num_attention_heads", most=COUNTS), 128
        else:
            heads = fields.divisor("num_attention_heads", of="hidden_size", whole=width)
            head_width = width // heads
            fields.check({"head_dim": (head_width, None)})  # GENERanno's class does not read it
        check_rotary_width(head_width)
        groups = heads
        if not fields.is_null("num_key_value_heads"):
            groups = fields.divisor(
                "num_key_value_heads",
                of="num_attention_heads",
                whole=heads,
                absent=_KEY_VALUE_HEADS.get(kind, heads),
            )
        layers = fields.count("num_hidden_layers", most=COUNTS)
        bias = not fields.is_null("attention_bias") and fields.flag("attention_bias", absent=False)
        return cls(
            vocab_size=fields.count("vocab_size", most=ROWS),
            hidden_size=width,
            intermediate_size=fields.count("intermediate_size"),
            layers=layers,
            heads=heads,
            key_value_heads=groups,
            head_width=head_width,
            rotary=rotary(fields),
            windows=_windows(fields, kind, layers),
            activation=fields.choice("hidden_act", among=ACTIVATIONS, absent="silu"),
            # OLMo's LayerNorm has PyTorch's epsilon, which no field changes.
            epsilon=(
                1e-5
                if kind == "olmo"
                else fields.number("rms_norm_eps", absent=1e-5 if kind == "olmo2" else 1e-6)
            ),
            input_bias=bias or kind == "qwen2",
            output_bias=bias,
            feed_forward_bias=(
                not fields.is_null("mlp_bias") and fields.flag("mlp_bias", absent=False)
            ),
            query_key_norm={"qwen3": "head", "olmo2": "all"}.get(kind, ""),
            clip=(
                fields.number("clip_qkv", most=_CLIPS)
                if kind == "olmo" and not fields.unset("clip_qkv")
                else None
            ),
            plain_norm=kind == "olmo",
            post_norm=kind == "olmo2",
            causal=kind != "generanno",
        )


def _windows(fields: Fields, kind: str, layers: int) -> tuple[int | None, ...]:
    """Returns the window of each layer; see `Config`."""
    used = kind == "mistral"
    if kind in _READ_BY["use_sliding_window"]:
        used = fields.flag("use_sliding_window", absent=False)
    window = None
    if not fields.is_null("sliding_window") and used:  # it is known in any case
        window = fields.count("sliding_window", most=ROWS, absent=4096)
    if kind not in _READ_BY["layer_types"]:
        return (window,) * layers
    if fields.unset("layer_types"):
        first = fields.count("max_window_layers", least=0, most=ROWS, absent=28)
        return tuple(window if layer >= first else None for layer in range(layers))
    kinds = fields.choices("layer_types", among=(_WHOLE, _SLIDING), length=layers)
    if window is None and _SLIDING in kinds:
        raise fields.refuse("layer_types", "a sliding layer needs use_sliding_window")
    return tuple(window if each == _SLIDING else None for each in kinds)


def _within(length: int, window: Int[Array, ""] | int | None) -> Bool[Array, "L L"] | None:
    """Returns which token (row) has which (column) in its window; None where it has all."""
    if window is None or (isinstance(window, int) and window >= length):
        return None
    position = jnp.arange(length)
    return position[None, :] > position[:, None] - window


def _norm(config: Config, rngs: nnx.Rngs) -> nnx.Module:
    width, epsilon = config.hidden_size, config.epsilon
    if config.plain_norm:
        return layer_norm(width, epsilon, bias=False, scale=False, rngs=rngs)
    return nnx.RMSNorm(width, epsilon=epsilon, rngs=rngs)


class Block(nnx.Module):
    """Attention and gated feed-forward, each with a norm before or behind it."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        width, inner, head = config.hidden_size, config.intermediate_size, config.head_width
        queries, keys = config.heads * head, config.key_value_heads * head
        self.attention_norm = _norm(config, rngs)
        self.query = linear(width, queries, bias=config.input_bias, rngs=rngs)
        self.key = linear(width, keys, bias=config.input_bias, rngs=rngs)
        self.value = linear(width, keys, bias=config.input_bias, rngs=rngs)
        if config.query_key_norm:
            sizes = (head, head) if config.query_key_norm == "head" else (queries, keys)
            self.query_norm = nnx.RMSNorm(sizes[0], epsilon=config.epsilon, rngs=rngs)
            self.key_norm = nnx.RMSNorm(sizes[1], epsilon=config.epsilon, rngs=rngs)
        self.output = linear(queries, width, bias=config.output_bias, rngs=rngs)
        self.feed_forward_norm = _norm(config, rngs)
        self.gate = linear(width, inner, bias=config.feed_forward_bias, rngs=rngs)
        self.up = linear(width, inner, bias=config.feed_forward_bias, rngs=rngs)
        self.down = linear(inner, width, bias=config.feed_forward_bias, rngs=rngs)

    def __call__(
        self,
        x: Float[Array, "B L D"],
        mask: Bool[Array, "B L"] | None,
        window: Int[Array, ""] | int | None,
    ) -> Float[Array, "B L D"]:
        if self.config.post_norm:
            x = x + self.attention_norm(self._attention(x, mask, window))
            return x + self.feed_forward_norm(self._feed_forward(x))
        x = x + self._attention(self.attention_norm(x), mask, window)
        return x + self._feed_forward(self.feed_forward_norm(x))

    def _attention(
        self,
        x: Float[Array, "B L D"],
        mask: Bool[Array, "B L"] | None,
        window: Int[Array, ""] | int | None,
    ) -> Float[Array, "B L D"]:
        config = self.config
        query, key, value = self.query(x), self.key(x), self.value(x)
        if config.clip is not None:
            query, key, value = (
                jnp.clip(each, -config.clip, config.clip) for each in (query, key, value)
            )
        if config.query_key_norm == "all":
            query, key = self.query_norm(query), self.key_norm(key)
        query = split_heads(query, config.heads)
        key, value = (split_heads(each, config.key_value_heads) for each in (key, value))
        if config.query_key_norm == "head":
            query, key = self.query_norm(query), self.key_norm(key)
        table = _table(config, x.shape[1])
        query, key = rotate(query, table), rotate(key, table)
        allowed = _within(x.shape[1], window)
        mixed = attend(query, key, value, mask, causal=config.causal, allowed=allowed)
        return self.output(mixed)

    def _feed_forward(self, x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        return self.down(ACTIVATIONS[self.config.activation](self.gate(x)) * self.up(x))


def _table(config: Config, length: int) -> tuple[Float[Array, "L pairs"], Float[Array, "L pairs"]]:
    """Returns the cosines and sines of `length` positions; see `rotary_table`."""
    width, turns = config.head_width, config.rotary
    frequencies = None
    if turns.factor != 1.0:
        frequencies = scaled_frequencies(width, turns.base, turns.factor, turns.bands, turns.ramp)
    return rotary_table(length, width, turns.base, frequencies, turns.scale)


class Model(nnx.Module):
    """The decoder, or encoder; without `attention_mask` padding is seen like other tokens."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        self.tokens = embed(config.vocab_size, config.hidden_size, rngs=rngs)
        self.blocks = stack_layers(lambda rngs: Block(config, rngs=rngs), config.layers, rngs)
        self.norm = _norm(config, rngs)

    def __call__(self, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)) -> Hidden:
        mask, windows = inputs.get("attention_mask"), self.config.windows
        x = self.tokens(inputs["input_ids"])
        settings = ()
        if len(set(windows)) > 1:  # a number that each layer is given; a window of all rows is none
            settings = (jnp.array([window or x.shape[1] for window in windows]),)

        def run(block: Block, x: Array, window: Array | int | None = windows[0]) -> Array:
            return block(x, mask, window)

        x, states = scan_layers(self.blocks, x, run, taps, settings)
        return Hidden(states | {FINAL: self.norm(x)})


def weights(config: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    layer = "model.layers.{}"
    inputs = {
        f"{layer}.self_attn.q_proj": "blocks.query",
        f"{layer}.self_attn.k_proj": "blocks.key",
        f"{layer}.self_attn.v_proj": "blocks.value",
    }
    feed_forward = {
        f"{layer}.mlp.gate_proj": "blocks.gate",
        f"{layer}.mlp.up_proj": "blocks.up",
        f"{layer}.mlp.down_proj": "blocks.down",
    }
    norms = {
        f"{layer}.{'post_attention' if config.post_norm else 'input'}_layernorm": (
            "blocks.attention_norm"
        ),
        f"{layer}.post_{'feedforward' if config.post_norm else 'attention'}_layernorm": (
            "blocks.feed_forward_norm"
        ),
        "model.norm": "norm",
    }
    norms = {} if config.plain_norm else norms
    if config.query_key_norm:
        norms[f"{layer}.self_attn.q_norm"] = "blocks.query_norm"
        norms[f"{layer}.self_attn.k_norm"] = "blocks.key_norm"
    return (
        Weight("model.embed_tokens.weight", "tokens.embedding"),
        *linear_weights(inputs, bias=config.input_bias),
        *linear_weights({f"{layer}.self_attn.o_proj": "blocks.output"}, bias=config.output_bias),
        *linear_weights(feed_forward, bias=config.feed_forward_bias),
        *norm_weights(norms, bias=False),
        Ignored(r"lm_head\.weight", "language-model head"),
        Ignored(
            r".*\.rotary_emb\.inv_freq", "old buffers, rounded: current code computes them anew"
        ),
    )


# Megatron's split (Shoeybi et al. 2019): heads and inner features over `model`.
SHARDING = (
    (r"blocks\.(query|key|value|gate|up)\.kernel", (None, None, "model")),
    (r"blocks\.(query|key|value|gate|up)\.bias", (None, "model")),
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
