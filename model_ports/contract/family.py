"""What a module of `model_ports.families` offers, and how one is found by its name.

Letters of shapes: B batch, L length in tokens, D width.
"""

import importlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from jax import Array
from jaxtyping import Bool, Float

from model_ports.contract.weights import Ignored, Weight

DATA, MODEL = "data", "model"  # axes of a mesh: rows of a batch, and parts of a parameter

FINAL = -1  # the tap that GENEB pools: after the final norm where there is one

# Which hidden state is meant, see `Hidden`: a number, or a name that the model's config lists.
Tap = int | str

# A batch: `input_ids` int32 [B, L], `attention_mask` bool [B, L], where every record is padded to
# one length `padded_length`, an int, and what a family takes beside them, such as a species.
Inputs = Mapping[str, Any]


class View(NamedTuple):
    """The part of a forward pass that is kept: a hidden state, and how it is pooled.

    Attributes:
        tap: Which hidden state; see `Hidden`.
        pooling: A name of `pooling.POOLINGS`.
    """

    tap: Tap
    pooling: str


class Hidden(NamedTuple):
    """The hidden states of a batch.

    Attributes:
        states: Hidden states by tap: 0 the embedding output, i the output of block i, -1 the
            final hidden state, and those that the config names. Their rows may be bins instead of
            tokens, and their widths differ. JAX returns no dictionary of numbers and names: a
            function that is compiled returns a list.
        mask: Which rows are meaningful, bool [B, L'], by tap where the states differ in their rows;
            None from a model whose rows are those of the input.
    """

    states: Mapping[Any, Float[Array, "B _L _D"]]
    mask: Any = None

    def rows(self, tap: Tap) -> Bool[Array, "B _L"]:
        """Returns which rows of a hidden state are meaningful; the mask is not None."""
        return self.mask[tap] if isinstance(self.mask, Mapping) else self.mask


@runtime_checkable
class Family(Protocol):
    """The protocol that every module of `model_ports.families` follows.

    Attributes:
        Config: Frozen dataclass with `from_json(fields) -> Config`, `vocab_size`, `layers` (the
            number of blocks), and `max_tokens` (the longest input that its position table allows;
            None: no limit). Optional is `length_multiple`: batches are padded to a multiple of it,
            which the model would do itself else. The fields are those of config.json and of the
            catalog's `unstated`, read through `fields.Fields`: from_json raises FieldError and no
            other error.
        BATCHING: Why padding cannot change an embedding, a name of `catalog.BATCHINGS`: "masked"
            where the model takes a mask, "causal" where it takes none and a token sees those before
            it only, "fixed" where all records are padded to one length. The preset of a model
            whose published extractor batched in another way says so.
        FIXED: Fields of config.json that are computed with these values only, as `Fields.check`
            takes them; from_json checks them.
        UNUSED: Names of fields that do not change a frozen embedding, beside
            `fields.COMMON_UNUSED`.
        Model: `nnx.Module`; `Model(config, rngs=...)` builds it with random weights,
            `model(inputs, taps)` returns `Hidden`. `inputs` lacks `attention_mask` where the
            preset gives the model none.
        SHARDING: Pairs of a regular expression over dotted parameter paths and the mesh axis of
            each dimension; the first that matches counts, and a parameter that none matches is
            replicated.
        FLOAT32: Patterns of the paths of parameters that stay float32 in a bfloat16 port.
        TINY: Fields of config.json that make the tiny random model of the family.
        window_length: Optional, `(config, full, longest) -> length`. Where records are padded to
            `full`, it says the length from which the model computes the same, padding beyond it
            being understood (`inputs["padded_length"]` says the full length).
    """

    Config: Any
    BATCHING: str
    FIXED: Mapping[str, Any]
    UNUSED: Collection[str]
    Model: Any
    SHARDING: Sequence[tuple[str, tuple[str | None, ...]]]
    FLOAT32: Sequence[str]
    TINY: Mapping[str, Any]

    def weights(self, config: Any) -> Sequence[Weight | Ignored]:
        """Returns where each tensor of the checkpoint goes."""
        ...


class FamilyError(ValueError):
    """Raised where a family has no module in `model_ports.families`."""


def family(name: str) -> Family:
    """Returns the module of a family.

    Args:
        name: The `family` of a catalog entry.

    Raises:
        FamilyError: The family is not ported yet.
    """
    try:
        return importlib.import_module(f"model_ports.families.{name}")  # pyright: ignore
    except ModuleNotFoundError as error:
        if error.name != f"model_ports.families.{name}":
            raise
        raise FamilyError(f"family '{name}' is not ported yet") from None
