"""ModernBERT encoders (Warner et al. 2024).

Pre-norm blocks without biases, rotary positions and a gated feed-forward. Some layers see all
tokens and the others those near a token alone, each kind with a base of its positions. The first
block has no norm before its attention, as the norm of the embedding stands there. Original:
transformers' modeling_modernbert.py, whose unpadded attention is that of each record alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.fields import COUNTS, ROWS, Fields, Rotary, check_rotary_width, rotary
from model_ports.contract.weights import Ignored, Weight, linear_weights, norm_weights
from model_ports.layers.attention import attend
from model_ports.layers.dense import ACTIVATIONS, embed, layer_norm, linear
from model_ports.layers.positions import rotary_table, rotate, scaled_frequencies
from model_ports.layers.stacking import scan_mixed, stack_layers

_WHOLE, _SLIDING = "full_attention", "sliding_attention"
_SCALINGS = ("default", "linear", "llama3")  # of rotary positions

BATCHING = "masked"

FIXED = {"model_type": "modernbert"}

# Dropouts; the trained context, which no table ends; how the original computes the same faster;
# what its heads do; how weights were initialised; and names of BERT's fields that the authors'
# files have and the original does not read.
UNUSED = (
    "attention_dropout", "embedding_dropout", "mlp_dropout", "max_position_embeddings",
    "deterministic_flash_attn", "reference_compile", "repad_logits_with_grad",
    "sparse_prediction", "sparse_pred_ignore_index", "decoder_bias", "classifier_pooling",
    "classifier_bias", "classifier_activation", "initializer_cutoff_factor",
    "position_embedding_type", "layer_norm_eps",
)  # fmt: skip


class Kind(NamedTuple):
    """What the blocks of one stack have in common.

    Attributes:
        sliding: Whether a token sees those near it only.
        first: Whether it is the first block, which has no norm before its attention.
    """

    sliding: bool
    first: bool


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on; absent are transformers' defaults.

    Attributes:
        sliding: By layer, whether a token sees those near it only.
        reach: How far these stand at most, to either side, in tokens.
        rotary: The positions of layers that see all tokens, and of those that do not.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    heads: int
    sliding: tuple[bool, ...]
    reach: int
    rotary: tuple[Rotary, Rotary]
    activation: str
    epsilon: float
    norm_bias: bool
    attention_bias: bool
    feed_forward_bias: bool

    @property
    def layers(self) -> int:
        """The number of blocks."""
        return len(self.sliding)

    @property
    def kinds(self) -> Mapping[Kind, Sequence[int]]:
        """The numbers of the layers of each kind, the kinds in the order of their first layers."""
        found: dict[Kind, list[int]] = {}
        for layer, sliding in enumerate(self.sliding):
            found.setdefault(Kind(sliding, layer == 0), []).append(layer)
        return found

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
        width = fields.count("hidden_size")
        heads = fields.divisor("num_attention_heads", of="hidden_size", whole=width)
        check_rotary_width(width // heads)
        layers = fields.count("num_hidden_layers", most=COUNTS)
        every = fields.count("global_attn_every_n_layers", most=COUNTS, absent=3)
        kinds = tuple(_SLIDING if layer % every else _WHOLE for layer in range(layers))
        if not fields.unset("layer_types"):
            kinds = fields.choices("layer_types", among=(_WHOLE, _SLIDING), length=layers)
        return cls(
            vocab_size=fields.count("vocab_size", most=ROWS),
            hidden_size=width,
            intermediate_size=fields.count("intermediate_size"),
            heads=heads,
            sliding=tuple(kind == _SLIDING for kind in kinds),
            reach=fields.count("local_attention", most=ROWS, absent=128) // 2,
            rotary=_rotary(fields),
            activation=fields.choice("hidden_activation", among=ACTIVATIONS, absent="gelu"),
            epsilon=fields.number("norm_eps", absent=1e-5),
            norm_bias=fields.flag("norm_bias", absent=False),
            attention_bias=fields.flag("attention_bias", absent=False),
            feed_forward_bias=fields.flag("mlp_bias", absent=False),
        )


def _rotary(fields: Fields) -> tuple[Rotary, Rotary]:
    """Returns the positions of layers that see all tokens, and of those that do not.

    Version 4 of transformers has `global_rope_theta` and `local_rope_theta`, null where the layers
    do not differ; version 5 has an object in `rope_parameters` for each.
    """
    whole = fields.number("global_rope_theta", most=1e12, absent=160000.0)
    near = whole
    if not fields.is_null("local_rope_theta"):
        near = fields.number("local_rope_theta", most=1e12, absent=10000.0)
    if not fields.unset("rope_parameters"):
        strange = set(fields.object("rope_parameters")) - {_WHOLE, _SLIDING}
        if strange:
            raise fields.refuse(f"rope_parameters.{min(strange)}", "it is not computed here")
    found = [
        rotary(fields, base, scalings=_SCALINGS, groups=(f"rope_parameters.{kind}", "rope_scaling"))
        for kind, base in ((_WHOLE, whole), (_SLIDING, near))
    ]
    return found[0], found[1]


class Block(nnx.Module):
    """Attention and gated feed-forward, each behind a LayerNorm, but for the first attention."""

    def __init__(self, config: Config, kind: Kind, *, rngs: nnx.Rngs):
        self.config, self.kind = config, kind
        width, inner = config.hidden_size, config.intermediate_size
        if not kind.first:
            self.attention_norm = _norm(config, rngs)
        self.qkv = linear(width, 3 * width, bias=config.attention_bias, rngs=rngs)
        self.output = linear(width, width, bias=config.attention_bias, rngs=rngs)
        self.feed_forward_norm = _norm(config, rngs)
        self.up = linear(width, 2 * inner, bias=config.feed_forward_bias, rngs=rngs)
        self.down = linear(inner, width, bias=config.feed_forward_bias, rngs=rngs)

    def __call__(self, x: Float[Array, "B L D"], mask: Bool[Array, "B L"]) -> Float[Array, "B L D"]:
        qkv = self.qkv(x if self.kind.first else self.attention_norm(x))
        qkv = qkv.reshape(*qkv.shape[:2], 3, self.config.heads, -1)
        turns = self.config.rotary[self.kind.sliding]
        frequencies = scaled_frequencies(qkv.shape[-1], turns.base, turns.factor, turns.bands)
        table = rotary_table(x.shape[1], qkv.shape[-1], frequencies=frequencies)
        query, key = rotate(qkv[:, :, 0], table), rotate(qkv[:, :, 1], table)
        allowed = _near(x.shape[1], self.config.reach) if self.kind.sliding else None
        x = x + self.output(attend(query, key, qkv[:, :, 2], mask, allowed=allowed))
        value, gate = jnp.split(self.up(self.feed_forward_norm(x)), 2, axis=-1)
        return x + self.down(ACTIVATIONS[self.config.activation](value) * gate)


def _norm(config: Config, rngs: nnx.Rngs) -> nnx.LayerNorm:
    return layer_norm(config.hidden_size, config.epsilon, bias=config.norm_bias, rngs=rngs)


def _near(length: int, reach: int) -> Bool[Array, "L L"] | None:
    """Returns which token (row) sees which (column); None where it sees all."""
    if reach >= length - 1:
        return None
    position = jnp.arange(length)
    return jnp.abs(position[:, None] - position[None, :]) <= reach


class Model(nnx.Module):
    """The encoder, from token ids to hidden states; `attention_mask` is required."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        self.tokens = embed(config.vocab_size, config.hidden_size, rngs=rngs)
        self.embedding_norm = _norm(config, rngs)
        for kind, layers in config.kinds.items():
            stack = stack_layers(
                lambda rngs, kind=kind: Block(config, kind, rngs=rngs), len(layers), rngs
            )
            setattr(self, _stack_name(kind), stack)
        self.norm = _norm(config, rngs)

    def __call__(self, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)) -> Hidden:
        mask, kinds = inputs["attention_mask"], self.config.kinds
        x = self.embedding_norm(self.tokens(inputs["input_ids"]))
        stacks = [getattr(self, _stack_name(kind)) for kind in kinds]
        # Of each layer the stack that holds it, and its number there.
        held = {
            layer: (stack, row)
            for stack, layers in enumerate(kinds.values())
            for row, layer in enumerate(layers)
        }
        order = [held[layer] for layer in range(self.config.layers)]
        x, states = scan_mixed(stacks, order, x, lambda block, x: block(x, mask), taps)
        return Hidden(states | {FINAL: self.norm(x)})


def _stack_name(kind: Kind) -> str:
    """Returns the attribute of `Model` that holds the blocks of a kind."""
    return ("first_" if kind.first else "") + ("sliding" if kind.sliding else "whole")


def weights(config: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    layer, bias = "model.layers.{}", config.norm_bias
    rules: list[Weight | Ignored] = [
        Weight("model.embeddings.tok_embeddings.weight", "tokens.embedding"),
        *norm_weights({"model.embeddings.norm": "embedding_norm"}, bias=bias),
        *norm_weights({"model.final_norm": "norm"}, bias=bias),
        Ignored(r"(head|decoder)\..*", "masked-language-model head"),
    ]
    for kind, layers in config.kinds.items():
        blocks = _stack_name(kind)
        attention = {f"{layer}.attn.Wqkv": f"{blocks}.qkv", f"{layer}.attn.Wo": f"{blocks}.output"}
        feed_forward = {f"{layer}.mlp.Wi": f"{blocks}.up", f"{layer}.mlp.Wo": f"{blocks}.down"}
        norms = {f"{layer}.mlp_norm": f"{blocks}.feed_forward_norm"}
        if not kind.first:
            norms[f"{layer}.attn_norm"] = f"{blocks}.attention_norm"
        rules += [
            replace(rule, only=frozenset(layers))
            for rule in (
                *linear_weights(attention, bias=config.attention_bias),
                *linear_weights(feed_forward, bias=config.feed_forward_bias),
                *norm_weights(norms, bias=bias),
            )
        ]
    return tuple(rules)


# The fused projections hold their parts one after the other, which a split of their columns
# would tear apart: they are sharded over their rows.
SHARDING = (
    (r".*(sliding|whole)\.(qkv|up)\.kernel", (None, "model", None)),
    (r".*(sliding|whole)\.(output|down)\.kernel", (None, "model", None)),
)

FLOAT32 = ()

TINY = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
