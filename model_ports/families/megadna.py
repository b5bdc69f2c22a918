"""megaDNA (Shao and Yan 2024): MEGABYTE (Yu et al. 2023), a causal decoder of several levels.

The levels read the same bases in patches, the coarsest first: megaDNA has patches of 1024, 16
and 1 bases. A row of one level has seen all patches up to its own, and is added to the patches of
the next level that lie behind those. There are no positions. Original: megadna.py of
lingxusb/megaDNA on MEGABYTE-pytorch 0.2.1. Padding behind a record changes nothing.

Letters of shapes: B batch, L length in bases, D width, P patches of the level above, n the patches
of this level in each of them, s bases of a patch, R rows of a sequence: a start row and n patches.
"""

import math
from dataclasses import dataclass

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float, Float32, Int

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.fields import COUNTS, ROWS, Fields
from model_ports.contract.weights import Ignored, Weight, linear_weights, norm_weights
from model_ports.layers.attention import attend, split_heads
from model_ports.layers.dense import ACTIVATIONS, embed, layer_norm, linear
from model_ports.layers.stacking import scan_layers, stack_layers

# Constants of the original's class.
_HEADS, _HEAD_WIDTH, _FACTOR = 8, 64, 4
_EPSILON = 1e-5  # of layer norms
_LEAST = 1e-8  # of the root mean square that an RMS norm divides by

BATCHING = "causal"

# The original's class passes these on as they are; config.json holds the arguments of the class.
FIXED = {
    "heads": _HEADS,
    "dim_head": _HEAD_WIDTH,
    "ff_mult": _FACTOR,
    "pad_id": 0,
    "rel_pos": False,
    "pos_emb": False,
}

UNUSED = ("attn_dropout", "ff_dropout", "flash_attn")  # dropouts, and which kernel runs


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on, by level, the coarsest first.

    Attributes:
        vocab_size: Ids of tokens.
        widths: Of the hidden states.
        depths: Blocks.
        lengths: Patches of each level in one of the level above; of the coarsest in a record.
    """

    vocab_size: int
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    lengths: tuple[int, ...]

    @property
    def layers(self) -> int:
        """The number of blocks of all levels."""
        return sum(self.depths)

    @property
    def max_tokens(self) -> int:
        """The longest input in tokens, beyond which the original refuses a record."""
        return math.prod(self.lengths)

    @property
    def patches(self) -> tuple[int, ...]:
        """The bases of a patch."""
        return tuple(math.prod(self.lengths[i:]) for i in range(1, len(self.lengths) + 1))

    @classmethod
    def from_json(cls, fields: Fields) -> "Config":
        """Returns the config that a checkpoint's config.json states.

        Raises:
            FieldError: A field is missing, malformed, or asks for what is not computed here.
        """
        fields.check(FIXED)
        depths = fields.sizes("depth", most=COUNTS)
        if len(depths) < 2:
            raise fields.refuse("depth", "it must name two levels or more")
        lengths = fields.sizes("max_seq_len", length=len(depths), most=ROWS)
        if math.prod(lengths) > ROWS:
            raise fields.refuse("max_seq_len", f"records of more than {ROWS} bases are not read")
        widths = fields.sizes("dim", length=len(depths), repeated=True)
        if math.prod(lengths[1:]) * widths[-1] > ROWS:
            raise fields.refuse("dim", f"more than {ROWS} channels in the coarsest patch")
        return cls(fields.count("num_tokens", most=ROWS), widths, depths, lengths)


class RootMeanSquareNorm(nnx.Module):
    """RMS norm whose divisor is cut at 1e-8: scale * x / max(rms(x), 1e-8)."""

    def __init__(self, width: int):
        self.scale = nnx.Param(jnp.ones(width))

    def __call__(self, x: Float[Array, "B R D"]) -> Float32[Array, "B R D"]:
        wide = x.astype(jnp.float32)
        root = jnp.sqrt(jnp.mean(wide * wide, axis=-1, keepdims=True))
        return wide / jnp.maximum(root, _LEAST) * self.scale[...]


def shift(x: Float[Array, "B R D"]) -> Float[Array, "B R D"]:
    """Takes the second half of the channels from the row before, zeros before the first.

    Where D is odd, the middle channel is of the first half.
    """
    half = math.ceil(x.shape[-1] / 2)
    before = jnp.pad(x[:, :-1, half:], ((0, 0), (1, 0), (0, 0)))
    return jnp.concatenate([x[..., :half], before], axis=-1)


class Block(nnx.Module):
    """Causal attention of eight heads with one key and value, and a feed-forward.

    Each sees the shifted rows behind a norm, and is added to the rows as they are. The residual
    stream is float32.
    """

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        self.attention_norm = RootMeanSquareNorm(width)
        self.query = linear(width, _HEADS * _HEAD_WIDTH, bias=False, rngs=rngs)
        self.key_value = linear(width, 2 * _HEAD_WIDTH, bias=False, rngs=rngs)
        self.output = linear(_HEADS * _HEAD_WIDTH, width, bias=False, rngs=rngs)
        self.feed_forward_norm = RootMeanSquareNorm(width)
        self.up = linear(width, _FACTOR * width, rngs=rngs)
        self.down = linear(_FACTOR * width, width, rngs=rngs)

    def __call__(self, x: Float32[Array, "B R D"]) -> Float32[Array, "B R D"]:
        dtype = self.up.kernel.dtype
        y = self.attention_norm(shift(x)).astype(dtype)
        query = split_heads(self.query(y), _HEADS)
        key, value = jnp.split(self.key_value(y)[..., None, :], 2, axis=-1)
        x = x + self.output(attend(query, key, value, None, causal=True)).astype(jnp.float32)
        y = self.up(self.feed_forward_norm(shift(x)).astype(dtype))
        return x + self.down(ACTIVATIONS["gelu"](y)).astype(jnp.float32)


class Level(nnx.Module):
    """A decoder over the patches of one size, with its table of bases.

    Where patches are of one base, at the finest level, the table's rows are their tokens.
    """

    def __init__(self, config: Config, level: int, *, rngs: nnx.Rngs):
        width, bases = config.widths[level], config.widths[-1]
        self.tokens = embed(config.vocab_size, bases, rngs=rngs)
        self.finest = level == len(config.widths) - 1
        if not self.finest:
            channels = config.patches[level] * bases
            self.patch_norm = layer_norm(channels, _EPSILON, rngs=rngs)
            self.patch = linear(channels, width, rngs=rngs)
            self.token_norm = layer_norm(width, _EPSILON, rngs=rngs)
        self.start = nnx.Param(nnx.initializers.normal(1.0)(rngs.params(), (width,)))
        self.blocks = stack_layers(lambda rngs: Block(width, rngs=rngs), config.depths[level], rngs)
        self.norm = RootMeanSquareNorm(width)
        if not self.finest:
            below = config.lengths[level + 1] * config.widths[level + 1]
            self.project = linear(width, below, rngs=rngs)

    def embed(self, ids: Int[Array, "B P n s"]) -> Float32[Array, "B P n D"]:
        """Returns the token of each patch."""
        x = self.tokens(ids).astype(jnp.float32)
        x = x.reshape(*ids.shape[:3], -1)  # the bases of a patch, side by side
        if self.finest:
            return x
        x = self.patch(self.patch_norm(x).astype(self.patch.kernel.dtype))
        return self.token_norm(x.astype(jnp.float32))

    def __call__(
        self, x: Float32[Array, "sequences n D"], taps: tuple[int, ...]
    ) -> tuple[Float32[Array, "sequences R D"], dict[int, Float32[Array, "sequences R D"]]]:
        """Returns the rows behind the last norm, and the wanted states by the block's number."""
        start = self.start[...].astype(jnp.float32)
        start = jnp.broadcast_to(start, (len(x), 1, x.shape[-1]))
        x = jnp.concatenate([start, x], axis=1)
        x, states = scan_layers(self.blocks, x, lambda block, x: block(x), taps)
        return self.norm(x), states


class Model(nnx.Module):
    """The decoder, from token ids to hidden states, one row a base.

    Taps count the blocks of all levels, the coarsest first; the row of a base at a coarse level is
    that of its patch, which has seen all bases of the patch.
    """

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        self.levels = nnx.List(
            Level(config, level, rngs=rngs) for level in range(len(config.widths))
        )

    def __call__(self, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)) -> Hidden:
        ids = inputs["input_ids"]
        outputs, states = self.run(ids, taps)
        return Hidden(states | {FINAL: _by_base(outputs[-1], 1, ids)})

    def run(
        self, ids: Int[Array, "B L"], taps: tuple[int, ...]
    ) -> tuple[list[Float32[Array, "_sequences _R _D"]], dict[int, Float32[Array, "B L _D"]]]:
        """Computes all levels.

        Patches that hold padding alone are left out, as far as they lie behind a level's last.

        Returns:
            The rows of each level behind its last norm, for each patch of the level above of each
            record a start row and its patches; and the wanted states by tap.
        """
        batch, length = ids.shape
        outputs, states = [], {}
        parents, above, done = 1, None, 0
        for number, level in enumerate(self.levels):
            size, depth = self.config.patches[number], self.config.depths[number]
            count = math.ceil(length / size)  # of patches that hold a base
            children = count if above is None else min(self.config.lengths[number], count)
            behind = parents * children * size - length
            patches = jnp.pad(ids, ((0, 0), (0, behind))).reshape(batch, parents, children, size)
            x = level.embed(patches)
            if level.finest and 0 in taps:
                states[0] = x.reshape(batch, -1, x.shape[-1])[:, :length]
            if above is not None:
                x = x + above[:, :parents, :children]
            inside = tuple(tap - done for tap in taps if 0 < tap - done <= depth)
            x, found = level(x.reshape(batch * parents, children, -1), inside)
            states |= {done + tap: _by_base(s, size, ids) for tap, s in found.items()}
            outputs.append(x)
            if not level.finest:
                # A row has seen the patches before the one that it is added to, and no more.
                above = level.project(x[:, :-1].astype(level.project.kernel.dtype))
                below = (self.config.lengths[number + 1], self.config.widths[number + 1])
                above = above.astype(jnp.float32).reshape(batch, parents * children, *below)
            parents, done = count, done + depth
        return outputs, states


def _by_base(
    rows: Float[Array, "sequences R D"], size: int, ids: Int[Array, "B L"]
) -> Float[Array, "B L D"]:
    """Returns the row of each base's patch, of `size` bases, without the start rows."""
    joined = rows[:, 1:].reshape(len(ids), -1, rows.shape[-1])
    return jnp.repeat(joined, size, axis=1)[:, : ids.shape[1]]


def weights(config: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    rules: list[Weight | Ignored] = [Ignored(r"to_logits\..*", "language-model head")]
    last = len(config.widths) - 1
    for level in range(last + 1):
        here = f"levels.{level}"
        tokens, layer = f"token_embs.{last - level}", f"transformers.{level}.layers.{{}}"
        table = tokens
        if level < last:
            table = f"{tokens}.0"
            norms = {f"{tokens}.2": f"{here}.patch_norm", f"{tokens}.4": f"{here}.token_norm"}
            project = f"to_next_transformer_projections.{level}.1"
            rules += [
                *norm_weights(norms),
                *linear_weights({f"{tokens}.3": f"{here}.patch", project: f"{here}.project"}),
            ]
        projections = {"to_q": "query", "to_kv": "key_value", "to_out": "output"}
        attention = {f"{layer}.0.{a}": f"{here}.blocks.{b}" for a, b in projections.items()}
        feed_forward = {f"{layer}.1.1": f"{here}.blocks.up", f"{layer}.1.4": f"{here}.blocks.down"}
        rules += [
            Weight(f"start_tokens.{level}", f"{here}.start"),
            Weight(f"{table}.weight", f"{here}.tokens.embedding"),
            Weight(f"{layer}.0.norm.g", f"{here}.blocks.attention_norm.scale"),
            *linear_weights(attention, bias=False),
            Weight(f"{layer}.1.0.g", f"{here}.blocks.feed_forward_norm.scale"),
            *linear_weights(feed_forward),
            Weight(f"transformers.{level}.norm.g", f"{here}.norm.scale"),
        ]
    return tuple(rules)


SHARDING = (
    (r"levels\.\d+\.blocks\.(query|up)\.kernel", (None, None, "model")),
    (r"levels\.\d+\.blocks\.up\.bias", (None, "model")),
    (r"levels\.\d+\.blocks\.(output|down)\.kernel", (None, "model", None)),
    (r"levels\.\d+\.patch\.kernel", ("model", None)),
)

FLOAT32 = ()

TINY = {"dim": [32, 24, 16], "depth": [1, 1, 2], "max_seq_len": [128, 8, 4]}
