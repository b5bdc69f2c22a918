"""BERT encoders (Devlin et al. 2019): GENA-LM, GROVER, MutBERT and DeepGene's RoFormer stage.

What they differ in, by config.json: the norm stands behind each sublayer (post) or before it
(pre, AIRI's modeling_bert.py), positions are learned or rotary, in halves (MutBERT) or
interleaved (RoFormer, Su et al. 2021). RoBERTa (Liu et al. 2019) counts positions from behind the
padding id, ELECTRA (Clark et al. 2020) and RoFormer may widen a narrower embedding, and DistilBERT
(Sanh et al. 2019) has no token types. Original: transformers' modeling_bert.py and the files of
the same kind.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float, Float32, Int

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.fields import COUNTS, ROWS, Fields, check_rotary_width, rotary_base
from model_ports.contract.weights import Ignored, Weight, linear_weights, norm_weights
from model_ports.layers.attention import SelfAttention
from model_ports.layers.dense import ACTIVATIONS, embed, layer_norm, linear
from model_ports.layers.positions import rotary_table
from model_ports.layers.stacking import scan_layers, stack_layers

_MODEL_TYPES = ("bert", "roformer", "roberta", "electra", "distilbert")

# The spellings of a field, and those of DistilBERT.
_NAMES = {
    "hidden_size": ("hidden_size",),
    "intermediate_size": ("intermediate_size",),
    "layers": ("num_hidden_layers",),
    "heads": ("num_attention_heads",),
    "activation": ("hidden_act",),
}
_DISTILBERT_NAMES = {
    "hidden_size": ("dim", "hidden_size"),
    "intermediate_size": ("hidden_dim",),
    "layers": ("n_layers", "num_hidden_layers"),
    "heads": ("n_heads", "num_attention_heads"),
    "activation": ("activation",),
}

BATCHING = "masked"

# A decoder has a causal mask; relative positions, RoFormer's rotated values, and norms and linear
# layers of another kind are computed nowhere here.
FIXED = {
    "is_decoder": (False, None),
    "position_embedding_type": ("absolute", None),
    "rotary_value": False,
    "norm_type": "layer_norm",
    "use_bias": True,
}

# Dropouts, the pooler and the heads that sum records up; positions, where they are rotary, and
# what DistilBERT's table of positions began with.
UNUSED = (
    "hidden_dropout_prob", "attention_probs_dropout_prob", "max_position_embeddings",
    "dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout", "sinusoidal_pos_embds",
    "tie_weights_",
    "summary_activation", "summary_last_dropout", "summary_type", "summary_use_proj",
    "pooler_activation", "pooler_type", "pooler_fc_size", "pooler_num_attention_heads",
    "pooler_num_fc_layers", "pooler_size_per_head", "directionality",
    # Of DNABERT's heads with a recurrent network, and of the code that saved it.
    "num_rnn_layer", "rnn", "rnn_dropout", "rnn_hidden", "split", "output_past", "eos_token_ids",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on; absent are transformers' defaults.

    Attributes:
        kind: The `model_type`, with which all names of tensors begin.
        type_vocab_size: Rows of the table of token types, of which the first is added; None: there
            are no types.
        embedding_size: Width of the tables; where it is not that of hidden states, a linear layer
            follows them.
        learned_positions: Rows of the table of positions; None: they are rotary.
        pad_id: The row of the table that is padding's, behind which positions are counted;
            None: they are counted from row 0.
    """

    kind: str
    vocab_size: int
    type_vocab_size: int | None
    embedding_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    activation: str
    epsilon: float
    pre_norm: bool
    last_norm: bool
    learned_positions: int | None
    pad_id: int | None
    rotary_base: float | None
    interleaved: bool

    @property
    def max_tokens(self) -> int | None:
        """The longest input in tokens that the position table allows."""
        if self.learned_positions is None or self.pad_id is None:
            return self.learned_positions
        return self.learned_positions - self.pad_id - 1

    @classmethod
    def from_json(cls, fields: Fields) -> "Config":
        """Returns the config that a checkpoint's config.json states.

        Raises:
            FieldError: A field is missing, malformed, or asks for what is not computed here.
        """
        fields.check(FIXED)
        kind = fields.choice("model_type", among=_MODEL_TYPES)
        names = _DISTILBERT_NAMES if kind == "distilbert" else _NAMES
        rows = fields.count("vocab_size", most=ROWS)
        width = fields.count(*names["hidden_size"])
        heads = fields.divisor(*names["heads"], of=names["hidden_size"][0], whole=width)
        narrow = width
        if kind == "electra" or (kind == "roformer" and not fields.unset("embedding_size")):
            narrow = fields.count("embedding_size", absent=128)
        elif not fields.unset("embedding_size") and fields.count("embedding_size") != width:
            raise fields.refuse("embedding_size", f"only that of hidden_size, {width}, is computed")
        base, pad_id, learned = None, None, None
        if kind == "roformer":
            base = 10000.0
        elif kind == "bert":
            base = rotary_base(fields, absent=None)
        if kind == "roberta":
            pad_id = fields.count("pad_token_id", least=0, most=rows - 1, absent=1)
        if base is not None:
            check_rotary_width(width // heads)
        else:
            least = 1 if pad_id is None else pad_id + 2
            learned = fields.count("max_position_embeddings", least=least, most=ROWS)
        pre_norm = fields.flag("pre_layer_norm", absent=False)
        return cls(
            kind=kind,
            vocab_size=rows,
            type_vocab_size=(
                None if kind == "distilbert" else fields.count("type_vocab_size", absent=2)
            ),
            embedding_size=narrow,
            hidden_size=width,
            intermediate_size=fields.count(*names["intermediate_size"]),
            layers=fields.count(*names["layers"], most=COUNTS),
            heads=heads,
            activation=fields.choice(*names["activation"], among=ACTIVATIONS, absent="gelu"),
            # DistilBERT's epsilon is written in its code.
            epsilon=(
                1e-12 if kind == "distilbert" else fields.number("layer_norm_eps", absent=1e-12)
            ),
            pre_norm=pre_norm,
            last_norm=fields.flag("last_layer_norm", absent=pre_norm),
            learned_positions=learned,
            pad_id=pad_id,
            rotary_base=base,
            interleaved=kind == "roformer",
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
        width, narrow = config.hidden_size, config.embedding_size
        self.tokens = embed(config.vocab_size, narrow, rngs=rngs)
        if config.type_vocab_size is not None:
            self.types = embed(config.type_vocab_size, narrow, rngs=rngs)
        if config.learned_positions is not None:
            self.positions = embed(config.learned_positions, narrow, rngs=rngs)
        self.embedding_norm = layer_norm(narrow, config.epsilon, rngs=rngs)
        if narrow != width:
            self.widen = linear(narrow, width, rngs=rngs)
        self.blocks = stack_layers(lambda rngs: Block(config, rngs=rngs), config.layers, rngs)
        if config.last_norm:
            self.norm = layer_norm(width, config.epsilon, rngs=rngs)

    def __call__(self, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)) -> Hidden:
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        x = self.tokens(ids)
        if self.config.type_vocab_size is not None:
            x = x + self.types(jnp.zeros_like(ids))
        if self.config.learned_positions is not None:
            # A bucket may be padded beyond the table; what padding holds there is never seen.
            last = self.config.learned_positions - 1
            x = x + self.positions(jnp.minimum(self._positions(ids), last))
        x = self.embedding_norm(x).astype(self.blocks.up.kernel.dtype)
        if self.config.embedding_size != self.config.hidden_size:
            x = self.widen(x)
        x, states = scan_layers(self.blocks, x, lambda block, x: block(x, mask), taps)
        return Hidden(states | {FINAL: self.norm(x) if self.config.last_norm else x})

    def _positions(self, ids: Int[Array, "B L"]) -> Int[Array, "... L"]:
        """Returns the rows of the table of positions, before they are held within it."""
        if self.config.pad_id is None:
            return jnp.arange(ids.shape[1])
        content = ids != self.config.pad_id
        return jnp.cumsum(content, axis=1) * content + self.config.pad_id


def weights(config: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    base, embeddings = config.kind, f"{config.kind}.embeddings"
    layer = f"{base}.encoder.layer.{{}}"
    linears = {
        f"{layer}.attention.self.query": "blocks.attention.query",
        f"{layer}.attention.self.key": "blocks.attention.key",
        f"{layer}.attention.self.value": "blocks.attention.value",
        f"{layer}.attention.output.dense": "blocks.attention.output",
        f"{layer}.intermediate.dense": "blocks.up",
        f"{layer}.output.dense": "blocks.down",
    }
    norms = {
        # AIRI's "post_attention_ln" is the norm before the feed-forward.
        f"{layer}.{'pre_attention_ln' if config.pre_norm else 'attention.output.LayerNorm'}": (
            "blocks.attention_norm"
        ),
        f"{layer}.{'post_attention_ln' if config.pre_norm else 'output.LayerNorm'}": (
            "blocks.feed_forward_norm"
        ),
    }
    if config.kind == "distilbert":
        layer = f"{base}.transformer.layer.{{}}"
        linears = {
            f"{layer}.attention.q_lin": "blocks.attention.query",
            f"{layer}.attention.k_lin": "blocks.attention.key",
            f"{layer}.attention.v_lin": "blocks.attention.value",
            f"{layer}.attention.out_lin": "blocks.attention.output",
            f"{layer}.ffn.lin1": "blocks.up",
            f"{layer}.ffn.lin2": "blocks.down",
        }
        norms = {
            f"{layer}.sa_layer_norm": "blocks.attention_norm",
            f"{layer}.output_layer_norm": "blocks.feed_forward_norm",
        }
    if config.embedding_size != config.hidden_size:
        linears[f"{base}.embeddings_project"] = "widen"
    norms[f"{embeddings}.LayerNorm"] = "embedding_norm"
    if config.last_norm:
        norms[f"{base}.encoder.last_layer_ln"] = "norm"
    tables = {"word_embeddings": "tokens"}
    if config.type_vocab_size is not None:
        tables["token_type_embeddings"] = "types"
    if config.learned_positions is not None:
        tables["position_embeddings"] = "positions"
    return (
        *(Weight(f"{embeddings}.{a}.weight", f"{b}.embedding") for a, b in tables.items()),
        *linear_weights(linears),
        *norm_weights(norms),
        Ignored(r"cls\..*", "pretraining heads"),
        Ignored(
            r"(discriminator_predictions|generator_predictions|generator_lm_head)\..*", "heads"
        ),
        Ignored(r"(vocab_(transform|layer_norm|projector)|pre_classifier)\..*", "heads"),
        Ignored(r"bert\.pooler\..*", "pooler: the embedding is a mean"),
        Ignored(rf"{base}\.embeddings\.(position_ids|token_type_ids)", "0, 1, 2, ...; zeros"),
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
