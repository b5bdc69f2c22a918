"""Anchors: figures of the original code with the real weights, for a port with those weights.

`anchors.json` holds them, a record or two a model, and where they come from.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from model_ports import catalog
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.running.embedder import embedder
from model_ports.running.records import collate, padded_length, tokenize


class AnchorError(ValueError):
    """Raised for a model that has no anchor."""


@dataclass(frozen=True)
class AnchorResult:
    """The distance of a port's embedding of one record from that of the original code.

    Attributes:
        sequence: The record, its first letters.
        tokens: Problem of the token ids; '' where they are equal, None where none were recorded.
        first: Largest absolute difference of the first 16 values.
        cosine: Cosine of the first 16 values with the recorded ones.
        norm: Absolute difference of the L2 norms.
        mean: Absolute difference of the means.
        tolerance: Largest allowed `first` and `mean`, and `norm` divided by the root of the width.
        width: Width D of the embedding.
    """

    sequence: str
    tokens: str | None
    first: float
    cosine: float
    norm: float
    mean: float
    tolerance: float
    width: int

    @property
    def passed(self) -> bool:
        """Whether everything agrees."""
        near = max(self.first, self.mean, self.norm / self.width**0.5) <= self.tolerance
        return near and not self.tokens  # a NaN is not near


def anchors_of(entry: catalog.Entry) -> list[Mapping[str, Any]]:
    """Returns a model's anchors.

    Raises:
        AnchorError: The model has none; the message says why.
    """
    text = (resources.files("model_ports.verification") / "anchors.json").read_text(
        encoding="utf-8"
    )
    known = json.loads(text)
    found = [a for a in known["anchors"] if a["geneb_model_id"] == entry.id]
    if not found:
        reasons = [a["reason"] for a in known["unresolved"] if a["geneb_model_id"] == entry.id]
        raise AnchorError(f"model '{entry.id}': no anchor exists: {'; '.join(reasons)}")
    return found


def verify_real(
    entry: catalog.Entry, folder: Path, anchors: Sequence[Mapping[str, Any]]
) -> list[AnchorResult]:
    """Compares a port and a checkpoint with anchors, a record at a time.

    The tolerances are those of the anchors, times the largest recorded value where that is above
    one: they were measured on one kind of CPU, with one thread.

    Args:
        entry: The model.
        folder: The checkpoint.
        anchors: The result of `anchors_of`.

    Raises:
        CatalogError, CheckpointError, TokenizerError: The checkpoint cannot be loaded.
    """
    results = []
    for dtype in sorted({anchor["dtype"] for anchor in anchors}):
        port = load_port(plan_checkpoint(entry, folder), dtype)
        embed = embedder(port)
        for anchor in (a for a in anchors if a["dtype"] == dtype):
            sequence = _sequence(anchor)
            (ids,) = tokenize(port, [sequence])
            inputs = collate(port, [ids], padded_length(port, len(ids)))
            vector = np.asarray(embed(port.state, inputs))[0].astype(np.float64)
            results.append(_compare(anchor, sequence, ids, vector))
    return results


def _sequence(anchor: Mapping[str, Any]) -> str:
    if anchor["sequence"] is not None:
        return anchor["sequence"]
    return "".join(text * repeats for text, repeats in anchor["sequence_parts"])


def _compare(
    anchor: Mapping[str, Any], sequence: str, ids: np.ndarray, vector: np.ndarray
) -> AnchorResult:
    tokens = None
    if "token_ids" in anchor:
        expected = anchor["token_ids"]
        tokens = "" if ids.tolist() == expected else f"{ids.tolist()} instead of {expected}"
    recorded = np.array(anchor["first_16"])
    first = vector[: len(recorded)]
    if len(vector) != anchor["width"]:
        tokens = f"width {len(vector)} instead of {anchor['width']}"
    return AnchorResult(
        sequence=sequence[:24] + ("..." if len(sequence) > 24 else ""),
        tokens=tokens,
        first=float(np.abs(first - recorded).max()),
        cosine=float(first @ recorded / (np.linalg.norm(first) * np.linalg.norm(recorded))),
        norm=float(abs(np.linalg.norm(vector) - anchor["l2_norm"])),
        mean=float(abs(vector.mean() - anchor["mean"])),
        tolerance=anchor["tolerance_max_abs"] * max(1.0, anchor["max_abs"]),
        width=len(vector),
    )
