"""GPT-2 decoders: GPT2-Gene (transformers' layout) and DNA-GPT (torch layout, no biases).

Pre-norm blocks, learned positions, tanh GELU (Radford et al. 2019; Zhang et al. 2023, DNAGPT).
"""

from dataclasses import dataclass

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float, Float32

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.fields import COUNTS, ROWS, Fields
from model_ports.contract.weights import Ignored, Weight, linear_weights, norm_weights
from model_ports.layers.attention import attend
from model_ports.layers.dense import ACTIVATIONS, embed, layer_norm, linear
from model_ports.layers.stacking import scan_layers, stack_layers

# The spellings of a field in GPT-2's config.json, and in the arguments of DNA-GPT's code.
_NAMES = {
    "hidden_size": ("n_embd", "hidden_size"),
    "layers": ("n_layer", "num_hidden_layers"),
    "heads": ("n_head", "num_attention_heads"),
    "positions": ("n_positions", "max_position_embeddings"),
}
_DNA_GPT_NAMES = {
    "hidden_size": ("embedding_dim",),
    "layers": ("num_layers",),
    "heads": ("num_heads",),
    "positions": ("max_len",),
}

BATCHING = "masked"

FIXED = {"model_type": "gpt2", "position_embedding_type": ("absolute", None)}

# Scores are float32 whether or not `reorder_and_upcast_attn` asks for it. Dropouts; the head that
# sums records up; GPT-2's old second name of `n_positions`; and, of DNA-GPT, which checkpoint and
# tokenizer it is. A decoder is causal whatever `is_decoder` says.
UNUSED = (
    "attn_pdrop", "embd_pdrop", "resid_pdrop", "dropout", "is_decoder", "n_ctx", "name",
    "tokenizer", "reorder_and_upcast_attn", "summary_activation", "summary_first_dropout",
    "summary_last_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on, and what two codes differ in.

    Attributes:
        bias: Whether linear layers and norms have biases.
        transposed: Whether kernels are stored [out, in], as torch's linear layers have them.
        by_width: Whether scores are divided by the root of the width of a head.
        by_layer: Whether scores of layer i = 1, 2, ... are divided by i.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    positions: int
    activation: str
    epsilon: float
    bias: bool
    transposed: bool
    by_width: bool
    by_layer: bool

    @property
    def max_tokens(self) -> int | None:
        """The longest input in tokens that the position table allows."""
        return self.positions

    @classmethod
    def from_json(cls, fields: Fields) -> "Config":
        """Returns the config that a checkpoint's config.json states.

        Raises:
            FieldError: A field is missing, malformed, or asks for what is not computed here.
        """
        fields.check(FIXED)
        others = any(fields.has(name) for (name,) in _DNA_GPT_NAMES.values())
        gpt2 = not (fields.unset("model_type") and others)
        names = _NAMES if gpt2 else _DNA_GPT_NAMES
        width = fields.count(*names["hidden_size"])
        inner = 4 * width if fields.unset("n_inner") else fields.count("n_inner")
        return cls(
            vocab_size=fields.count("vocab_size", most=ROWS),
            hidden_size=width,
            intermediate_size=inner,
            layers=fields.count(*names["layers"], most=COUNTS),
            heads=fields.divisor(*names["heads"], of=names["hidden_size"][0], whole=width),
            positions=fields.count(*names["positions"], most=ROWS),
            activation=fields.choice("activation_function", among=ACTIVATIONS, absent="gelu_new"),
            epsilon=fields.number("layer_norm_epsilon", absent=1e-5),
            bias=gpt2 or fields.flag("bias"),
            transposed=not gpt2,
            by_width=fields.flag("scale_attn_weights", absent=True),
            by_layer=fields.flag("scale_attn_by_inverse_layer_idx", absent=False),
        )


class Block(nnx.Module):
    """Causal attention and feed-forward, each behind a LayerNorm."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        width, inner, bias = config.hidden_size, config.intermediate_size, config.bias
        self.attention_norm = layer_norm(width, config.epsilon, bias=config.bias, rngs=rngs)
        self.qkv = linear(width, 3 * width, bias=bias, rngs=rngs)
        self.output = linear(width, width, bias=bias, rngs=rngs)
        self.feed_forward_norm = layer_norm(width, config.epsilon, bias=config.bias, rngs=rngs)
        self.up = linear(width, inner, bias=bias, rngs=rngs)
        self.down = linear(inner, width, bias=bias, rngs=rngs)

    def __call__(
        self,
        x: Float[Array, "B L D"],
        mask: Bool[Array, "B L"] | None,
        scale: Float[Array, ""] | None = None,
    ) -> Float[Array, "B L D"]:
        qkv = self.qkv(self.attention_norm(x))
        qkv = qkv.reshape(*qkv.shape[:2], 3, self.config.heads, -1)
        query = qkv[:, :, 0] if scale is None else (qkv[:, :, 0] * scale).astype(x.dtype)
        mixed = attend(query, qkv[:, :, 1], qkv[:, :, 2], mask, causal=True)
        x = x + self.output(mixed)
        y = self.up(self.feed_forward_norm(x))
        return x + self.down(ACTIVATIONS[self.config.activation](y))


class Model(nnx.Module):
    """The decoder, from token ids to hidden states."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        self.tokens = embed(config.vocab_size, config.hidden_size, rngs=rngs)
        self.positions = embed(config.positions, config.hidden_size, rngs=rngs)
        self.blocks = stack_layers(lambda rngs: Block(config, rngs=rngs), config.layers, rngs)
        self.norm = layer_norm(config.hidden_size, config.epsilon, bias=config.bias, rngs=rngs)

    def __call__(self, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)) -> Hidden:
        ids, mask = inputs["input_ids"], inputs.get("attention_mask")
        # A bucket may be padded beyond the table; what padding holds there is never seen.
        position = jnp.minimum(jnp.arange(ids.shape[1]), self.config.positions - 1)
        x = self.tokens(ids) + self.positions(position)
        x, states = scan_layers(
            self.blocks, x, lambda block, x, *scale: block(x, mask, *scale), taps, self._scales()
        )
        return Hidden(states | {FINAL: self.norm(x)})

    def _scales(self) -> tuple[Float32[Array, " layers"], ...]:
        """Returns by layer what queries are multiplied by, beside the usual scale; () for none."""
        config = self.config
        if config.by_width and not config.by_layer:
            return ()
        scale = 1.0 if config.by_width else (config.hidden_size // config.heads) ** 0.5
        divisor = jnp.arange(1, config.layers + 1) if config.by_layer else 1
        return (jnp.full(config.layers, scale, jnp.float32) / divisor,)


def weights(config: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    layer = "transformer.h.{}"
    linears = {
        f"{layer}.attn.c_attn": "blocks.qkv",
        f"{layer}.attn.c_proj": "blocks.output",
        f"{layer}.mlp.c_fc": "blocks.up",
        f"{layer}.mlp.c_proj": "blocks.down",
    }
    norms = {
        f"{layer}.ln_1": "blocks.attention_norm",
        f"{layer}.ln_2": "blocks.feed_forward_norm",
        "transformer.ln_f": "norm",
    }
    return (
        Weight("transformer.wte.weight", "tokens.embedding"),
        Weight("transformer.wpe.weight", "positions.embedding"),
        *linear_weights(linears, bias=config.bias, transposed=config.transposed),
        *norm_weights(norms, bias=config.bias),
        Ignored(r"lm_head\.weight", "language-model head"),
        Ignored(r"(.*\.attn\.(bias|masked_bias))", "the causal mask"),
        Ignored(r"(number_embedding|mlm_head|num_regression)\..*", "heads and numeric inputs"),
    )


# The fused projection holds queries, keys and values one after the other, which a split of its
# columns would tear apart: it is sharded over its rows.
SHARDING = (
    (r"blocks\.qkv\.kernel", (None, "model", None)),
    (r"blocks\.output\.kernel", (None, "model", None)),
    (r"blocks\.up\.kernel", (None, None, "model")),
    (r"blocks\.up\.bias", (None, "model")),
    (r"blocks\.down\.kernel", (None, "model", None)),
)

FLOAT32 = ()

# The fields of both codes, each of which reads the half that it knows.
TINY = {
    "n_embd": 32,
    "embedding_dim": 32,
    "n_layer": 2,
    "n_head": 4,
    "num_layers": 2,
    "num_heads": 4,
}
