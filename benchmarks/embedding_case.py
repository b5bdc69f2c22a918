"""What both sides of the comparison of embedding engines are given, and what they leave.

A folder holds the checkpoint (config.json, model.safetensors and the tokenizer's files),
`case.json` and the token ids of the records; a side adds its embeddings and prints its figures.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.processes import peak_bytes


@dataclass(frozen=True)
class Case:
    """A model, the records it embeds, and how GENEB's harness pads them.

    Attributes:
        model_id: GENEB's model id.
        family: Of the model; names its peer.
        records: Records embedded.
        harness_records: Of these, how many the harness's way is timed on, a multiple of 8.
        harness_length: Tokens to which the harness pads; None: to the longest of the batch.
        changes: Fields of config.json that make another size of the family.
    """

    model_id: str
    family: str
    records: int
    harness_records: int
    harness_length: int | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)


def write_records(case: Case, records: Sequence[np.ndarray], folder: Path) -> None:
    """Writes the case and its records' token ids."""
    lengths = np.array([len(record) for record in records])
    np.savez(folder / "records.npz", ids=np.concatenate(records), lengths=lengths)
    (folder / "case.json").write_text(json.dumps(asdict(case)))


def read_records(folder: Path) -> tuple[Case, list[np.ndarray]]:
    """Returns the case and its records' token ids, int32."""
    with np.load(folder / "records.npz") as arrays:
        records = np.split(arrays["ids"], np.cumsum(arrays["lengths"])[:-1])
    return Case(**json.loads((folder / "case.json").read_text())), records


def leave(folder: Path, figures: Mapping[str, Any], found: np.ndarray) -> None:
    """Writes a side's embeddings [N, D] and prints its figures, peak memory among them."""
    np.save(folder / "embeddings.npy", found)
    print(json.dumps({**figures, "gib": peak_bytes() / 2**30}))
