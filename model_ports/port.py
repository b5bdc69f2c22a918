"""A model ready to embed: a tokenizer and a preset, a family's module and its parameters."""

from dataclasses import dataclass
from typing import Any

from flax import nnx
from jax.sharding import Mesh

from model_ports.catalog import Entry, Preset
from model_ports.tokenizers import Tokenizer

# Goes up with every change of what ports compute: embeddings kept by older code are not taken. It
# does not for what another batch or another version of JAX, which kept embeddings do not know of
# either, changes as much: some 1e-6 of the largest value in float32. So the order in which the rows
# of a mean are added is no such change.
NUMERICS = 1


@dataclass(frozen=True)
class Reader:
    """The part of a port that reads records: what it can take is known without its weights.

    Attributes:
        entry: The catalog's entry.
        preset: Limits, pooling and batching in force.
        config: The family's config.
        tokenizer: The model's tokenizer.
        unknown_fields: Fields of the checkpoint's config.json that the port does not know: whether
            they change the embedding is not known either.
    """

    entry: Entry
    preset: Preset
    config: Any
    tokenizer: Tokenizer
    unknown_fields: tuple[str, ...]


@dataclass(frozen=True)
class Port(Reader):
    """A model ready to embed under one preset.

    Attributes:
        graphdef: Structure of the module.
        state: Parameters of the module.
        dtype: Dtype of parameters and computation, 'float32' or 'bfloat16'.
        weights_id: What tells these weights from others: source, revision or seed, and content.
        mesh: The devices that hold the parameters, with axes `data` and `model`; None: one device.
    """

    graphdef: nnx.GraphDef
    state: nnx.State
    dtype: str
    weights_id: str
    mesh: Mesh | None = None
