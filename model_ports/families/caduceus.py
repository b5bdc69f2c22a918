"""Caduceus and PlantCaduceus (Schiff et al. 2024): bidirectional Mamba, with strands or without.

With `rcps` the model runs on a record and on its reverse complement, sharing parameters, and
after every layer the two strands are exchanged: that is what the original's fused code does,
though not what the paper says. Original: modeling_caduceus.py of kuleshov-group's repositories.
No mask reaches the original; given one here, padding behind a record has no effect.
"""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.fields import COUNTS, ROWS, Fields
from model_ports.contract.weights import Ignored, Weight, linear_weights, norm_weights
from model_ports.layers.dense import embed, linear
from model_ports.layers.mamba import SelectiveMixer
from model_ports.layers.scans import reverse_records
from model_ports.layers.stacking import scan_layers, stack_layers

_WIDEST = 2**6  # of a mixer, in widths of the model

BATCHING = "masked"

# Directions are added up and share their projections; norms are RMS norms fused with the residual,
# which decides where the strands are exchanged. The mixer is the first Mamba's.
FIXED = {
    "model_type": "caduceus",
    "bidirectional": True,
    "bidirectional_strategy": "add",
    "bidirectional_weight_tie": True,
    "fused_add_norm": True,
    "rms_norm": True,
    "ssm_cfg.bias": False,
    "ssm_cfg.conv_bias": True,
    "ssm_cfg.layer": "Mamba1",
}

# The residual stream is float32 here whatever the precision of the layers. Of the mixer: how its
# step was initialised, and which kernel runs. The complements are asked for with strands alone.
UNUSED = (
    "residual_in_fp32", "initializer_cfg", "gradient_checkpointing_stride", "complement_map",
    "ssm_cfg.dt_init", "ssm_cfg.dt_init_floor", "ssm_cfg.dt_max", "ssm_cfg.dt_min",
    "ssm_cfg.dt_scale", "ssm_cfg.use_fast_path",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on.

    Attributes:
        strands: Whether the reverse complement runs beside the record.
        complement: Id of each id's complement; empty without strands.
    """

    vocab_size: int
    width: int
    inner: int
    states: int
    rank: int
    convolution: int
    layers: int
    epsilon: float
    strands: bool
    complement: tuple[int, ...]

    @property
    def max_tokens(self) -> int | None:
        """The longest input in tokens: None, as there is no position table."""
        return None

    @classmethod
    def from_json(cls, fields: Fields) -> "Config":
        """Returns the config that a checkpoint's config.json states.

        Raises:
            FieldError: A field is missing, malformed, or asks for what is not computed here.
        """
        fields.check(FIXED)
        width, stated = fields.count("d_model"), fields.count("vocab_size", most=ROWS)
        multiple = fields.count("pad_vocab_size_multiple")
        rows = math.ceil(stated / multiple) * multiple
        rank = math.ceil(width / 16)
        if not fields.is_text("ssm_cfg.dt_rank", "auto"):
            rank = fields.count("ssm_cfg.dt_rank", most=COUNTS)
        strands = fields.flag("rcps")
        return cls(
            vocab_size=rows,
            width=width,
            inner=fields.count("ssm_cfg.expand", most=_WIDEST) * width,
            states=fields.count("ssm_cfg.d_state", most=COUNTS),
            rank=rank,
            convolution=fields.count("ssm_cfg.d_conv", most=COUNTS),
            layers=fields.count("n_layer", most=COUNTS),
            epsilon=fields.number("norm_epsilon"),
            strands=strands,
            complement=_complement(fields, stated, rows) if strands else (),
        )


def _complement(fields: Fields, stated: int, rows: int) -> tuple[int, ...]:
    """Returns the id of each id's complement; rows that fill the vocabulary up are their own."""
    mend = f"it must name an id below {rows} for each of the {stated} ids"
    found = fields.object("complement_map")
    ids = {str(i): i for i in range(rows)}
    known = {str(i) for i in range(stated)}
    if not known <= set(found) <= set(ids) or not all(
        isinstance(value, int) and not isinstance(value, bool) and 0 <= value < rows
        for value in found.values()
    ):
        raise fields.refuse("complement_map", mend)
    return tuple(found.get(name, i) for name, i in ids.items())


class Block(nnx.Module):
    """RMSNorm and Mamba in both directions, which share their projections.

    The residual stream is float32.
    """

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.norm = nnx.RMSNorm(config.width, epsilon=config.epsilon, rngs=rngs)
        self.input = linear(config.width, 2 * config.inner, bias=False, rngs=rngs)
        sizes = (config.inner, config.states, config.rank, config.convolution)
        self.forward = SelectiveMixer(*sizes, rngs=rngs)
        self.backward = SelectiveMixer(*sizes, rngs=rngs)
        self.output = linear(config.inner, config.width, bias=False, rngs=rngs)

    def __call__(
        self, x: Float[Array, "B L D"], mask: Bool[Array, "B L"] | None
    ) -> Float[Array, "B L D"]:
        u, gate = jnp.split(self.input(self.norm(x).astype(self.input.kernel.dtype)), 2, axis=-1)
        y = self.forward(u) + reverse_records(self.backward(reverse_records(u, mask)), mask)
        y = (y * jax.nn.silu(gate.astype(jnp.float32))).astype(u.dtype)
        return x + self.output(y).astype(jnp.float32)


class Model(nnx.Module):
    """The encoder, from token ids to hidden states.

    With strands, rows 0 .. B - 1 of a batch are the records, B .. 2B - 1 their complements.
    """

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        self.tokens = embed(config.vocab_size, config.width, rngs=rngs)
        self.blocks = stack_layers(lambda rngs: Block(config, rngs=rngs), config.layers, rngs)
        self.norm = nnx.RMSNorm(config.width, epsilon=config.epsilon, rngs=rngs)

    def __call__(self, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)) -> Hidden:
        ids, mask = inputs["input_ids"], inputs.get("attention_mask")
        if not self.config.strands:
            x = self.tokens(ids).astype(jnp.float32)
            x, states = scan_layers(self.blocks, x, lambda block, x: block(x, mask), taps)
            return Hidden(states | {FINAL: self.norm(x)})

        complement = reverse_records(jnp.array(self.config.complement)[ids], mask)
        x = self.tokens(jnp.concatenate([ids, complement])).astype(jnp.float32)
        both = None if mask is None else jnp.concatenate([mask, mask])

        def apply(block: Block, x: Array) -> Array:
            record, complement = jnp.split(x, 2)
            return block(_reverse_complement(jnp.concatenate([complement, record]), both), both)

        def join(x: Array) -> Array:
            record, complement = jnp.split(x, 2)
            return jnp.concatenate([record, _reverse_complement(complement, mask)], axis=-1)

        x, states = scan_layers(self.blocks, x, apply, taps)
        states = {tap: join(state) for tap, state in states.items()}
        return Hidden(states | {FINAL: join(self.norm(x))})


def _reverse_complement(
    x: Float[Array, "B L D"], mask: Bool[Array, "B L"] | None
) -> Float[Array, "B L D"]:
    """Reverses the tokens of each record and its channels with them."""
    return reverse_records(x, mask)[..., ::-1]


def weights(config: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    backbone = "caduceus.backbone"
    words = f"{backbone}.embeddings.word_embeddings" + (".embedding" if config.strands else "")
    layer = f"{backbone}.layers.{{}}"
    mixer = f"{layer}.mixer" + (".submodule" if config.strands else "")
    rules: list[Weight | Ignored] = [
        Weight(f"{words}.weight", "tokens.embedding"),
        *norm_weights({f"{layer}.norm": "blocks.norm", f"{backbone}.norm_f": "norm"}, bias=False),
        *linear_weights({f"{mixer}.mamba_fwd.in_proj": "blocks.input"}, bias=False),
        *linear_weights({f"{mixer}.mamba_fwd.out_proj": "blocks.output"}, bias=False),
        Ignored(
            r"(.*)\.mamba_rev\.(in|out)_proj\.weight",
            "shared with the forward direction",
            same=r"\1.mamba_fwd.\2_proj.weight",
        ),
        Ignored(r".*\.complement_map", "config.json states it"),
        Ignored(r"lm_head\..*", "language-model head, tied to the embedding"),
    ]
    for source, path in (("mamba_fwd", "forward"), ("mamba_rev", "backward")):
        here, there = f"{mixer}.{source}", f"blocks.{path}"
        rules += [
            Weight(f"{here}.conv1d.weight", f"{there}.kernel", lambda w: w[:, 0]),
            Weight(f"{here}.conv1d.bias", f"{there}.bias"),
            *linear_weights({f"{here}.x_proj": f"{there}.project"}, bias=False),
            *linear_weights({f"{here}.dt_proj": f"{there}.step"}),
            Weight(f"{here}.A_log", f"{there}.log_decay"),
            Weight(f"{here}.D", f"{there}.skip"),
        ]
    return tuple(rules)


# The inner channels' projections hold parts one after the other: rows are sharded.
SHARDING = (
    (r"blocks\.(input|output)\.kernel", (None, "model", None)),
    (r"blocks\.(forward|backward)\.project\.kernel", (None, "model", None)),
)

FLOAT32 = (r"blocks\.(forward|backward)\.(log_decay|skip|step\..*)",)

TINY = {"d_model": 32, "n_layer": 2}
