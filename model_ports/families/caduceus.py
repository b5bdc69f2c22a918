"""Caduceus, PlantCaduceus and PlantCAD2: bidirectional Mamba, with strands or without.

With `rcps` the model runs on a record and on its reverse complement, sharing parameters, and
after every layer the two strands are exchanged: that is what the original's fused code does,
though not what the paper says (Schiff et al. 2024), nor what the code without fused norms does.
PlantCAD2 has Mamba-2 instead of Mamba, and a config.json whose options are nested. Original:
modeling_caduceus.py of kuleshov-group's repositories, and for Mamba-2 that of the fork
eric-czech/caduceus. No mask reaches the original; given one here, padding behind a record has no
effect.
"""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.fields import COMMON_FIXED, COMMON_UNUSED, COUNTS, ROWS, Fields
from model_ports.contract.mamba2 import (
    Mamba2Sizes,
    mamba2_fixed,
    mamba2_sizes,
    mamba2_unused,
    mamba2_weights,
)
from model_ports.contract.weights import Ignored, Weight, linear_weights, norm_weights
from model_ports.layers.dense import embed, linear
from model_ports.layers.mamba import DualityMixer, SelectiveMixer
from model_ports.layers.scans import reverse_records
from model_ports.layers.stacking import scan_layers, stack_layers

_WIDEST = 2**6  # of a mixer, in widths of the model
_FLAT, _NESTED = "ssm_cfg", "layer_cfg.mamba_cfg.ssm_cfg"  # where the options of a mixer stand
_OBJECTS = ("norm_cfg", "layer_cfg", "layer_cfg.mamba_cfg")
_EPSILON = 1e-5  # of the norm inside Mamba-2's mixer, which no field changes

BATCHING = "masked"

# Directions are added up and share their projections; norms are RMS norms. A block is a mixer
# alone, without a feed-forward.
FIXED = {
    "model_type": "caduceus",
    "bidirectional": True,
    "bidirectional_strategy": "add",
    "bidirectional_weight_tie": True,
    "rms_norm": True,
    "ssm_cfg.bias": False,
    "ssm_cfg.conv_bias": True,
    "ssm_cfg.layer": "Mamba1",
    "norm_cfg.rms_norm": True,
    "layer_cfg.mode": "mamba-only",
    "layer_cfg.mamba_cfg.mlp_cfg": None,
    **mamba2_fixed(_NESTED),
}

# How Mamba's step was initialised, and which kernel runs.
_UNUSED_OPTIONS = ("dt_init", "dt_init_floor", "dt_max", "dt_min", "dt_scale", "use_fast_path")

# The residual stream is float32 here whatever the precision of the layers. The complements are
# asked for with strands alone. The objects are configurations of transformers, which may write
# there what any of its configurations holds.
UNUSED = (
    "residual_in_fp32", "initializer_cfg", "gradient_checkpointing_stride", "complement_map",
    *(f"{group}.{name}" for group in (_FLAT, _NESTED) for name in _UNUSED_OPTIONS),
    *mamba2_unused(_NESTED),
    *(f"{each}.{name}" for each in _OBJECTS for name in (*COMMON_UNUSED, *COMMON_FIXED)),
)  # fmt: skip


@dataclass(frozen=True)
class MambaSizes:
    """The sizes of Mamba's mixer.

    Attributes:
        inner: Width between the projections.
        states: States of each channel.
        rank: Width from which the step sizes are projected.
        convolution: Length of the short convolution.
    """

    inner: int
    states: int
    rank: int
    convolution: int


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on.

    Attributes:
        mixer: The sizes of a mixer, and with them whether it is Mamba's or Mamba-2's.
        strands: Whether the reverse complement runs beside the record.
        exchanged: Whether the strands are exchanged after every layer.
        complement: Id of each id's complement; empty without strands.
    """

    vocab_size: int
    width: int
    mixer: MambaSizes | Mamba2Sizes
    layers: int
    epsilon: float
    strands: bool
    exchanged: bool
    complement: tuple[int, ...]

    @property
    def max_tokens(self) -> int | None:
        """The longest input in tokens: None, as there is no position table."""
        return None

    @classmethod
    def from_json(cls, fields: Fields) -> "Config":
        """Returns the config that a checkpoint's config.json states.

        Caduceus's class states options at the top of the file, PlantCAD2's in objects, each of
        which may be absent or null and has defaults then.

        Raises:
            FieldError: A field is missing, malformed, or asks for what is not computed here.
        """
        fields.check(FIXED)
        nested = fields.has("layer_cfg") or fields.has("norm_cfg")
        for name in (*_OBJECTS, _NESTED):
            if not fields.unset(name):
                fields.object(name)
        width, stated = fields.count("d_model"), fields.count("vocab_size", most=ROWS)
        multiple = fields.count("pad_vocab_size_multiple", absent=8 if nested else None)
        rows = math.ceil(stated / multiple) * multiple
        strands = fields.flag("rcps")
        norm = "norm_cfg." if nested else ""
        fused = fields.flag(f"{norm}fused_add_norm", absent=True)
        return cls(
            vocab_size=rows,
            width=width,
            mixer=_mixer(fields, width, nested=nested),
            layers=fields.count("n_layer", most=COUNTS),
            epsilon=fields.number(f"{norm}norm_epsilon", absent=1e-5 if nested else None),
            strands=strands,
            exchanged=strands and fused,
            complement=_complement(fields, stated, rows) if strands else (),
        )


def _mixer(fields: Fields, width: int, *, nested: bool) -> MambaSizes | Mamba2Sizes:
    """Returns the sizes of a mixer; absent in nested options are the defaults of mamba_ssm."""
    group, defaults = _FLAT, dict.fromkeys(("expand", "d_state", "d_conv"))
    if nested:
        version = "layer_cfg.mamba_cfg.version"
        if fields.choice(version, among=("v1", "v2"), absent="v2") == "v2":
            return mamba2_sizes(fields, _NESTED, width)
        group, defaults = _NESTED, {"expand": 2, "d_state": 16, "d_conv": 4}
    rank = math.ceil(width / 16)
    there = not nested or fields.has(f"{group}.dt_rank")
    if there and not fields.is_text(f"{group}.dt_rank", "auto"):
        rank = fields.count(f"{group}.dt_rank", most=COUNTS)
    return MambaSizes(
        inner=fields.count(f"{group}.expand", most=_WIDEST, absent=defaults["expand"]) * width,
        states=fields.count(f"{group}.d_state", most=COUNTS, absent=defaults["d_state"]),
        rank=rank,
        convolution=fields.count(f"{group}.d_conv", most=COUNTS, absent=defaults["d_conv"]),
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


class MambaBlock(nnx.Module):
    """RMSNorm and Mamba in both directions, which share their projections and the gate.

    The residual stream is float32.
    """

    def __init__(self, config: Config, sizes: MambaSizes, *, rngs: nnx.Rngs):
        self.norm = nnx.RMSNorm(config.width, epsilon=config.epsilon, rngs=rngs)
        self.input = linear(config.width, 2 * sizes.inner, bias=False, rngs=rngs)
        mixer = (sizes.inner, sizes.states, sizes.rank, sizes.convolution)
        self.forward = SelectiveMixer(*mixer, rngs=rngs)
        self.backward = SelectiveMixer(*mixer, rngs=rngs)
        self.output = linear(sizes.inner, config.width, bias=False, rngs=rngs)

    def __call__(
        self, x: Float[Array, "B L D"], mask: Bool[Array, "B L"] | None
    ) -> Float[Array, "B L D"]:
        u, gate = jnp.split(self.input(self.norm(x).astype(self.input.kernel.dtype)), 2, axis=-1)
        y = self.forward(u) + reverse_records(self.backward(reverse_records(u, mask)), mask)
        y = (y * jax.nn.silu(gate.astype(jnp.float32))).astype(u.dtype)
        return x + self.output(y).astype(jnp.float32)


class Mamba2Block(nnx.Module):
    """RMSNorm and Mamba-2 in both directions, which share their projections.

    The gate is in the mixers, whose norms differ. The residual stream is float32.
    """

    def __init__(self, config: Config, sizes: Mamba2Sizes, *, rngs: nnx.Rngs):
        self.norm = nnx.RMSNorm(config.width, epsilon=config.epsilon, rngs=rngs)
        self.input = linear(config.width, sizes.projected, bias=False, rngs=rngs)
        mixer = (sizes.inner, sizes.states, sizes.heads, sizes.convolution, _EPSILON)
        self.forward = DualityMixer(*mixer, rngs=rngs)
        self.backward = DualityMixer(*mixer, rngs=rngs)
        self.output = linear(sizes.inner, config.width, bias=False, rngs=rngs)

    def __call__(
        self, x: Float[Array, "B L D"], mask: Bool[Array, "B L"] | None
    ) -> Float[Array, "B L D"]:
        u = self.input(self.norm(x).astype(self.input.kernel.dtype))
        y = self.forward.mix(u)
        y += reverse_records(self.backward.mix(reverse_records(u, mask)), mask)
        return x + self.output(y.astype(u.dtype)).astype(jnp.float32)


def _block(config: Config, rngs: nnx.Rngs) -> MambaBlock | Mamba2Block:
    if isinstance(config.mixer, Mamba2Sizes):
        return Mamba2Block(config, config.mixer, rngs=rngs)
    return MambaBlock(config, config.mixer, rngs=rngs)


class Model(nnx.Module):
    """The encoder, from token ids to hidden states.

    With strands, rows 0 .. B - 1 of a batch are the records, B .. 2B - 1 their complements.
    """

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        self.tokens = embed(config.vocab_size, config.width, rngs=rngs)
        self.blocks = stack_layers(lambda rngs: _block(config, rngs), config.layers, rngs)
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

        def apply(block: MambaBlock | Mamba2Block, x: Array) -> Array:
            if self.config.exchanged:
                record, complement = jnp.split(x, 2)
                x = _reverse_complement(jnp.concatenate([complement, record]), both)
            return block(x, both)

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
        if isinstance(config.mixer, Mamba2Sizes):
            rules += mamba2_weights(here, there)
            continue
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

FLOAT32 = (r"blocks\.(forward|backward)\.(log_decay|skip|step\..*|step_bias)",)

TINY = {"d_model": 32, "n_layer": 2}
