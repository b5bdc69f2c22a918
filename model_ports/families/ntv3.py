"""Nucleotide Transformer v3: convolutions down, a transformer, and convolutions up again.

Letters of shapes: B batch, L length in bases or in rows of several bases, D and E widths, C width
of a condition.

Original: InstaDeep's nucleotide_transformer_v3 (JAX) and its PyTorch classes, which agree on every
input without <pad>. A record is filled with N on the right to a multiple of 2^downsamples, and the
fill is real context: never padding, which these models have not seen. What a batch adds beyond a
record's fill is kept from every convolution and from attention, so that an embedding is that of
the record alone. Post-trained models are conditioned on a species.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float, Float32

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.fields import COUNTS, ROWS, Fields, check_rotary_width
from model_ports.contract.weights import (
    Ignored,
    Weight,
    convolution_weights,
    linear_weights,
    norm_weights,
)
from model_ports.layers.attention import SelfAttention
from model_ports.layers.dense import ACTIVATIONS, embed, layer_norm, linear
from model_ports.layers.positions import rotary_table
from model_ports.layers.stacking import scan_layers, stack_layers

_N = 10  # the token of the letter N in the authors' vocabulary
_STEM_WIDTH, _TOWER_WIDTH = 15, 5  # of the convolutions
_TOWER_EPSILON = 1e-5  # of the norms of both towers, whatever config.json says of the others
_ACTIVATION = ACTIVATIONS["gelu_pytorch_tanh"]  # of the stem and both towers
_PRETRAINED, _POSTTRAINED = "ntv3", "ntv3_posttrained"
_PART = 2**15  # rows of a record that a tower computes at once
_USUAL = "human"  # the species of records where none is stated
_REPEAT, _TRANSPOSE = "repeat+conv", "conv_transpose"

BATCHING = "masked"

# The phase is that of transposed convolutions; no model of the other one is known.
FIXED = {"deconv_phase": "odd"}

# The language-model head and the heads of tracks, what is returned beside them, how memory is
# saved in training, and precisions, of which the run chooses its own.
UNUSED = (
    "num_hidden_layers_head", "embeddings_layers_to_save", "attention_maps_to_save",
    "deconv_layers_to_save", "use_remat_in_transformer", "use_remat_in_convs",
    "keep_target_center_fraction", "bigwigs_per_species", "bed_elements_names", "conditions_names",
    *(
        f"{part}_{kind}_dtype"
        for part in (
            "embedding", "stem", "down_convolution", "layernorm", "transformer_qkvo",
            "transformer_ffn", "lmhead", "up_convolution", "modulation",
        )
        for kind in ("compute", "param")
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on.

    Attributes:
        species_rows: Rows of the table of species; 0: the model has no condition.
        species: The row of records whose species is not given: that of the field `species`, which
            no published config.json has, and human else.
    """

    vocab_size: int
    downsamples: int
    heads: int
    token_width: int
    first_width: int
    width: int
    inner_width: int
    transformer_layers: int
    epsilon: float
    skips: bool
    transposed: bool
    species_rows: int
    species: int

    max_tokens = None  # there is no position table

    @property
    def layers(self) -> int:
        """The number of blocks: those down, those of the transformer, and those up."""
        return 2 * self.downsamples + self.transformer_layers

    @property
    def length_multiple(self) -> int:
        """The number of bases in a row of the transformer."""
        return 2**self.downsamples

    @property
    def tower(self) -> list[tuple[int, int]]:
        """Widths in and out of each block down: equal steps, truncated to whole numbers."""
        steps = np.linspace(self.first_width, self.width, self.downsamples + 1).astype(int).tolist()
        return list(itertools.pairwise(steps))

    @property
    def condition_width(self) -> int | None:
        """C; None where the model has no condition."""
        return self.token_width if self.species_rows else None

    @classmethod
    def from_json(cls, fields: Fields) -> "Config":
        """Returns the config that a checkpoint's config.json states.

        An absent field has the default of the authors' PyTorch configuration class.

        Raises:
            FieldError: A field is missing, malformed, or asks for what is not computed here.
        """
        fields.check(FIXED)
        width = fields.count("embed_dim", absent=256)
        heads = fields.divisor("attention_heads", of="embed_dim", whole=width, absent=8)
        whole = not fields.unset("key_size")
        if whole and fields.count("key_size", most=COUNTS) != width // heads:
            raise fields.refuse("key_size", f"it must be embed_dim / heads, {width // heads}")
        check_rotary_width(width // heads)
        upsampling = fields.choice(
            "deconv_upsample_type", among=(_REPEAT, _TRANSPOSE), absent=_REPEAT
        )
        rows, species = _condition(fields)
        return cls(
            vocab_size=fields.count("alphabet_size", least=_N + 1, most=ROWS, absent=11),
            downsamples=fields.count("num_downsamples", most=20, absent=7),
            heads=heads,
            token_width=fields.count("token_embed_dim", absent=16),
            first_width=fields.count("conv_init_embed_dim", absent=256),
            width=width,
            inner_width=fields.count("ffn_embed_dim", absent=1024),
            transformer_layers=fields.count("num_layers", most=COUNTS, absent=2),
            epsilon=fields.number("layer_norm_eps", absent=1e-5),
            skips=fields.flag("use_skip_connection", absent=True),
            transposed=upsampling == _TRANSPOSE,
            species_rows=rows,
            species=species,
        )


def _condition(fields: Fields) -> tuple[int, int]:
    """Returns the rows of the table of species, and the row that records have; see `Config`."""
    if fields.choice("model_type", among=(_PRETRAINED, _POSTTRAINED)) == _PRETRAINED:
        return 0, 0
    (rows,) = fields.sizes("conditions_vocab_size", length=1, most=ROWS)
    first = fields.count("num_species_special_tokens", least=0, most=rows - 1, absent=6)
    table = fields.object("species_to_token_id")
    known = {name: row for name, row in table.items() if not name.startswith("<")}
    if not all(type(row) is int and first <= row < rows for row in known.values()):
        mend = f"the row of a species must be a whole number from {first} to {rows - 1}"
        raise fields.refuse("species_to_token_id", mend)
    if not fields.has("species") and _USUAL not in known:
        mend = f"species is missing, and species_to_token_id.{_USUAL} too; state a species"
        raise fields.refuse("species_to_token_id", mend)
    return rows, known[fields.choice("species", among=known, absent=_USUAL)]


class Records(NamedTuple):
    """What is known of the records of a batch.

    Attributes:
        filled: Rows of each record with its fill, int32 [B].
        condition: The vectors of their species; None: the model has no condition.
        start: The number of the first row that is computed, below 0 in front of the record.
    """

    filled: Array
    condition: Float[Array, "B C"] | None
    start: int | Array = 0

    def seen(self, length: int) -> Bool[Array, "B L"]:
        """Returns which of `length` rows are of the record and its fill."""
        row = self.start + jnp.arange(length)
        return (row >= 0) & (row < self.filled[:, None])

    def halved(self) -> "Records":
        """Returns the same of rows of twice as many bases."""
        return self._replace(filled=self.filled // 2, start=self.start // 2)

    def doubled(self) -> "Records":
        """Returns the same of rows of half as many bases."""
        return self._replace(filled=self.filled * 2, start=self.start * 2)


def _hide(x: Float[Array, "B L D"], records: Records) -> Float[Array, "B L D"]:
    """Makes zeros of what is outside a record and its fill: what a convolution sees at an end."""
    return jnp.where(records.seen(x.shape[1])[..., None], x, 0)


def _in_parts(
    compute: Callable[[Array, Records], Array],
    x: Float[Array, "B L D"],
    records: Records,
    *,
    reach: int,
    doubles: bool = False,
) -> Array:
    """Computes the rows of a long record part by part, so that memory holds only results whole.

    Args:
        compute: Function of rows; what it hides outside the record counts as zeros.
        x: All rows.
        records: Of the batch.
        reach: How many rows on either side a row depends on.
        doubles: Whether it gives two rows for one.

    Returns:
        What `compute` gives for `x`.
    """
    length, growth = x.shape[1], 1 + doubles
    if length <= _PART:
        return compute(x, records)
    count = -(-length // _PART)
    x = jnp.pad(x, ((0, 0), (reach, reach + count * _PART - length), (0, 0)))

    def part(start: Array) -> Array:
        rows = jax.lax.dynamic_slice_in_dim(x, start, _PART + 2 * reach, axis=1)
        y = compute(rows, records._replace(start=start - reach))
        return y[:, growth * reach : growth * (reach + _PART)]

    parts = jnp.moveaxis(jax.lax.map(part, _PART * jnp.arange(count)), 0, 1)
    return parts.reshape(len(x), -1, parts.shape[-1])[:, : growth * length]


def _modulation(width_in: int, width_out: int, *, rngs: nnx.Rngs) -> nnx.Linear:
    """Returns a linear map of the condition, which is zero before training as the authors' is."""
    zeros = nnx.initializers.zeros
    return nnx.Linear(width_in, width_out, kernel_init=zeros, rngs=rngs)


def _scaled_normal(width_in: int, size: int) -> nnx.Initializer:
    return nnx.initializers.normal((width_in * size) ** -0.5)


def _convolution(width_in: int, width_out: int, size: int, *, rngs: nnx.Rngs) -> nnx.Conv:
    init = _scaled_normal(width_in, size)
    return nnx.Conv(width_in, width_out, (size,), kernel_init=init, rngs=rngs)


class Norm(nnx.Module):
    """A layer norm, shifted and scaled by the condition where there is one."""

    def __init__(self, width: int, epsilon: float, condition: int | None, *, rngs: nnx.Rngs):
        self.norm = layer_norm(width, epsilon, rngs=rngs)
        if condition is not None:
            self.modulation = _modulation(condition, 2 * width, rngs=rngs)

    def __call__(self, x: Float[Array, "B L D"], records: Records) -> Float[Array, "B L D"]:
        x = self.norm(x)
        if records.condition is None:
            return x
        shift, scale = jnp.split(self.modulation(records.condition)[:, None], 2, axis=-1)
        return x * (1 + scale) + shift


class Gate(nnx.Module):
    """The factor of a residual branch: 1 plus a linear map of the condition; 1 without one."""

    def __init__(self, width: int, condition: int | None, *, rngs: nnx.Rngs):
        if condition is not None:
            self.modulation = _modulation(condition, width, rngs=rngs)

    def __call__(self, branch: Float[Array, "B L D"], records: Records) -> Float[Array, "B L D"]:
        if records.condition is None:
            return branch
        return branch * (1 + self.modulation(records.condition)[:, None])


class Residual(nnx.Module):
    """A gated residual branch: norm, convolution of width 1, and GELU."""

    def __init__(self, width: int, condition: int | None, *, rngs: nnx.Rngs):
        self.norm = Norm(width, _TOWER_EPSILON, condition, rngs=rngs)
        self.convolution = _convolution(width, width, 1, rngs=rngs)
        self.gate = Gate(width, condition, rngs=rngs)

    def __call__(self, x: Float[Array, "B L D"], records: Records) -> Float[Array, "B L D"]:
        return x + self.gate(_ACTIVATION(self.convolution(self.norm(x, records))), records)


class Down(nnx.Module):
    """A block of the tower down, before its pooling."""

    def __init__(self, width_in: int, width_out: int, condition: int | None, *, rngs: nnx.Rngs):
        self.norm = Norm(width_in, _TOWER_EPSILON, condition, rngs=rngs)
        self.convolution = _convolution(width_in, width_out, _TOWER_WIDTH, rngs=rngs)
        self.residual = Residual(width_out, condition, rngs=rngs)

    def __call__(self, x: Float[Array, "B L D"], records: Records) -> Float[Array, "B L E"]:
        x = self.convolution(_hide(self.norm(x, records), records))
        return self.residual(_ACTIVATION(x), records)


def _halve(x: Float[Array, "B L D"]) -> Float[Array, "B L//2 D"]:
    """Averages pairs of rows."""
    return x.reshape(x.shape[0], -1, 2, x.shape[-1]).mean(axis=2)


class Transposed(nnx.Module):
    """A transposed convolution that doubles the length.

    Row t of the input stands at row 2 t + 1 among rows of zeros, and the kernel is not turned
    around: PyTorch's ConvTranspose1d, of whose shape the weights are stored, computes another one.
    """

    def __init__(self, width_in: int, width_out: int, *, rngs: nnx.Rngs):
        shape = (_TOWER_WIDTH, width_in, width_out)
        self.kernel = nnx.Param(_scaled_normal(width_in, _TOWER_WIDTH)(rngs.params(), shape))
        self.bias = nnx.Param(jnp.zeros(width_out))

    def __call__(self, x: Float[Array, "B L D"]) -> Float[Array, "B 2*L E"]:
        x = jax.lax.conv_general_dilated(
            x,
            self.kernel[...],
            window_strides=(1,),
            # Zeros between the rows, one before them, and the two that a kernel of 5 needs.
            padding=[(1 + _TOWER_WIDTH // 2, _TOWER_WIDTH // 2)],
            lhs_dilation=(2,),
            dimension_numbers=("NWC", "WIO", "NWC"),
        )
        return x + self.bias[...]


class Up(nnx.Module):
    """A block of the tower up, which doubles the length; before the skip connection."""

    def __init__(
        self,
        width_in: int,
        width_out: int,
        condition: int | None,
        *,
        transposed: bool,
        rngs: nnx.Rngs,
    ):
        self.repeats = not transposed
        self.norm = Norm(width_in, _TOWER_EPSILON, condition, rngs=rngs)
        self.convolution = (
            Transposed(width_in, width_out, rngs=rngs)
            if transposed
            else _convolution(width_in, width_out, _TOWER_WIDTH, rngs=rngs)
        )
        self.residual = Residual(width_out, condition, rngs=rngs)

    def __call__(self, x: Float[Array, "B L D"], records: Records) -> Float[Array, "B 2*L E"]:
        x = _hide(self.norm(x, records), records)
        x = jnp.repeat(x, 2, axis=1) if self.repeats else x
        return self.residual(_ACTIVATION(self.convolution(x)), records.doubled())


class Block(nnx.Module):
    """A layer of the transformer: pre-norm attention and gated feed-forward."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        width, condition = config.width, config.condition_width
        self.attention_norm = Norm(width, config.epsilon, condition, rngs=rngs)
        self.attention = SelfAttention(width, config.heads, rngs=rngs)
        self.feed_forward_norm = Norm(width, config.epsilon, condition, rngs=rngs)
        self.gated = linear(width, 2 * config.inner_width, bias=False, rngs=rngs)
        self.down = linear(config.inner_width, width, bias=False, rngs=rngs)
        self.gate = Gate(width, condition, rngs=rngs)

    def __call__(
        self,
        x: Float[Array, "B L D"],
        records: Records,
        table: tuple[Float32[Array, "L pairs"], Float32[Array, "L pairs"]],
    ) -> Float[Array, "B L D"]:
        mask = records.seen(x.shape[1])
        x = x + self.attention(self.attention_norm(x, records), mask, table)
        gate, value = jnp.split(self.gated(self.feed_forward_norm(x, records)), 2, axis=-1)
        return x + self.gate(self.down(jax.nn.silu(gate) * value), records)


class Model(nnx.Module):
    """The three parts, from token ids to hidden states of bases.

    Tap 0 is the stem's output, then come the blocks down (before their pooling), the layers of the
    transformer, and the blocks up (after their skip connection), as in the `hidden_states` of the
    authors' PyTorch class. Their rows are of 1, 2, 4, ... bases, and one is meaningful where it
    has a base of the record. The final state is that of the last block.

    `species_ids`, int32 [B], are rows of the table of species; without them all records are of
    the config's species.
    """

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        condition = config.condition_width
        self.tokens = embed(config.vocab_size, config.token_width, rngs=rngs)
        if config.species_rows:
            self.species = embed(config.species_rows, config.token_width, rngs=rngs)
        self.stem = _convolution(config.token_width, config.first_width, _STEM_WIDTH, rngs=rngs)
        self.downward = nnx.List(Down(a, b, condition, rngs=rngs) for a, b in config.tower)
        self.blocks = stack_layers(
            lambda rngs: Block(config, rngs=rngs), config.transformer_layers, rngs
        )
        self.upward = nnx.List(
            Up(b, a, condition, transposed=config.transposed, rngs=rngs)
            for a, b in reversed(config.tower)
        )

    def __call__(self, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)) -> Hidden:
        config, length = self.config, inputs["input_ids"].shape[1]
        mask = inputs.get("attention_mask")
        mask = jnp.ones(inputs["input_ids"].shape, bool) if mask is None else mask
        fill = ((0, 0), (0, -length % config.length_multiple))
        mask = jnp.pad(mask, fill)
        ids = jnp.where(mask, jnp.pad(inputs["input_ids"], fill), _N)
        bases = jnp.sum(mask, axis=1, dtype=jnp.int32)
        filled = -(-bases // config.length_multiple) * config.length_multiple
        records = Records(filled, self._condition(inputs, len(ids)))

        x = _in_parts(self._stem, self.tokens(ids), records, reach=_STEM_WIDTH // 2)
        states, skips, tap = {0: x}, [], 0
        for block in self.downward:
            skips.append(x)
            x, tap = _in_parts(block, x, records, reach=_TOWER_WIDTH // 2), tap + 1
            states[tap] = x
            x, records = _halve(x), records.halved()
        table = rotary_table(x.shape[1], config.width // config.heads)
        x, inner = scan_layers(
            self.blocks,
            x,
            lambda block, x: block(x, records, table),
            tuple(each - tap for each in taps if tap < each <= tap + config.transformer_layers),
        )
        states |= {tap + each: state for each, state in inner.items()}
        tap += config.transformer_layers
        for block, skip in zip(self.upward, reversed(skips), strict=True):
            x = _in_parts(block, x, records, reach=_TOWER_WIDTH // 2, doubles=True)
            records, tap = records.doubled(), tap + 1
            x = x + skip if config.skips else x
            states[tap] = x
        states[FINAL] = x

        found, rows = {}, {}
        for tap in taps:
            size = mask.shape[1] // states[tap].shape[1]  # bases of a row
            found[tap] = states[tap][:, : -(-length // size)]
            rows[tap] = jnp.arange(found[tap].shape[1]) * size < bases[:, None]
        return Hidden(found, rows)

    def _stem(self, x: Float[Array, "B L D"], records: Records) -> Float[Array, "B L E"]:
        return _ACTIVATION(self.stem(_hide(x, records)))

    def _condition(self, inputs: Inputs, count: int) -> Float[Array, "B C"] | None:
        if not self.config.species_rows:
            return None
        row = jnp.full(count, self.config.species, jnp.int32)
        return self.species(inputs.get("species_ids", row))


def _tower(source: str, path: str, *, wide: bool, narrow: bool) -> list[Weight]:
    """Returns the rules of a block of a tower, without those of its condition.

    Args:
        source: Name of the block in the checkpoint.
        path: Path of the block in the module.
        wide: Whether the convolution of width 5 is stored as a transposed one.
        narrow: Whether that of width 1 is.
    """
    branch = f"{source}.res_conv.conv_block"
    return [
        *norm_weights(
            {
                f"{source}.conv.layer_norm": f"{path}.norm.norm",
                f"{branch}.layer_norm": f"{path}.residual.norm.norm",
            }
        ),
        *convolution_weights({f"{source}.conv.conv": f"{path}.convolution"}, transposed=wide),
        *convolution_weights({f"{branch}.conv": f"{path}.residual.convolution"}, transposed=narrow),
    ]


def _tower_modulations(source: str, path: str) -> dict[str, str]:
    branch = f"{source}.res_conv"
    return {
        f"{source}.conv.layer_norm": f"{path}.norm",
        f"{branch}.conv_block.layer_norm": f"{path}.residual.norm",
        branch: f"{path}.residual.gate",
    }


def weights(config: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    layer = "core.transformer_blocks.{}"
    attention = f"{layer}.sa_layer"
    downward = [(f"core.conv_tower_blocks.{i}", f"downward.{i}") for i in range(config.downsamples)]
    upward = [(f"core.deconv_tower_blocks.{i}", f"upward.{i}") for i in range(config.downsamples)]
    rules: list[Weight | Ignored] = [
        Weight("core.embed_layer.weight", "tokens.embedding"),
        *convolution_weights({"core.stem.conv": "stem"}),
        *(rule for names in downward for rule in _tower(*names, wide=False, narrow=False)),
        *norm_weights(
            {
                f"{layer}.self_attention_layer_norm": "blocks.attention_norm.norm",
                f"{layer}.final_layer_norm": "blocks.feed_forward_norm.norm",
            }
        ),
        *linear_weights(
            {
                f"{attention}.query_head.linear": "blocks.attention.query",
                f"{attention}.key_head.linear": "blocks.attention.key",
                f"{attention}.value_head.linear": "blocks.attention.value",
                f"{attention}.mha_output": "blocks.attention.output",
            }
        ),
        *linear_weights(
            {f"{layer}.fc1": "blocks.gated", f"{layer}.fc2": "blocks.down"}, bias=False
        ),
        # The convolution of width 1 is stored as a transposed one whatever the other one is.
        *(rule for names in upward for rule in _tower(*names, wide=config.transposed, narrow=True)),
        Ignored(r".*\.rotary_embedding\.inv_freq", "computed from the head width"),
        Ignored(r"core\.lm_head\..*", "language-model head"),
    ]
    if not config.species_rows:
        return tuple(rules)
    modulations = {
        f"{layer}.self_attention_layer_norm": "blocks.attention_norm",
        f"{layer}.final_layer_norm": "blocks.feed_forward_norm",
        layer: "blocks.gate",
    }
    for source, path in (*downward, *upward):
        modulations |= _tower_modulations(source, path)
    return (
        *rules,
        Weight("core.cond_tables.0.weight", "species.embedding"),
        *linear_weights(
            {f"{a}.modulation_layers.0": f"{b}.modulation" for a, b in modulations.items()}
        ),
        Ignored(r"core\.(conditions_heads|bigwig_head|bed_head)\..*", "heads behind the embedding"),
    )


# Megatron's split (Shoeybi et al. 2019) of attention. The fused projection holds gates and values
# one after the other, which a split of its columns would tear apart: it is sharded over its rows.
SHARDING = (
    (r"blocks\.attention\.(query|key|value)\.kernel", (None, None, "model")),
    (r"blocks\.attention\.(query|key|value)\.bias", (None, "model")),
    (r"blocks\.attention\.output\.kernel", (None, "model", None)),
    (r"blocks\.gated\.kernel", (None, "model", None)),
    (r"blocks\.down\.kernel", (None, "model", None)),
)

FLOAT32 = ()

TINY = {
    "num_downsamples": 2,
    "attention_heads": 4,
    "key_size": 8,
    "token_embed_dim": 8,
    "conv_init_embed_dim": 24,
    "embed_dim": 32,
    "ffn_embed_dim": 64,
    "num_layers": 2,
}
