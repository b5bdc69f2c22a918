"""PyTorch's side of the comparison of embedding engines, in a process of its own without JAX.

    python -m benchmarks.embedding_torch FOLDER harness|well

FOLDER is described in `benchmarks.embedding_case`.
"""

# pyright: reportMissingImports=false

import argparse
import importlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file

from benchmarks.embedding_case import Case, leave, read_records
from benchmarks.peers.parts import use_gpu

_HARNESS_BATCH = 8
_BATCH = 64


def harness(case: Case, records: Sequence[np.ndarray]) -> Iterator[tuple[range | list[int], int]]:
    """Yields GENEB's batches, in input order, and the length to which it pads each."""
    for start in range(0, case.harness_records, _HARNESS_BATCH):
        rows = range(start, start + _HARNESS_BATCH)
        yield rows, case.harness_length or max(len(records[row]) for row in rows)


def well(_: Case, records: Sequence[np.ndarray]) -> Iterator[tuple[range | list[int], int]]:
    """Yields batches of records sorted by length, the longest first, padded to their longest."""
    order = sorted(range(len(records)), key=lambda row: -len(records[row]))
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        yield rows, len(records[rows[0]])


SIDES: Mapping[str, Callable[..., Iterator[tuple[range | list[int], int]]]] = {
    "harness": harness,
    "well": well,
}


def run(
    folder: Path, batches: Callable[..., Iterator[tuple[range | list[int], int]]]
) -> tuple[dict[str, Any], np.ndarray]:
    """Embeds batches of rows: the figures, and the mean-pooled embeddings [N, D] in row order."""
    torch.set_num_threads(os.cpu_count() or 1)
    case, records = read_records(folder)
    config = json.loads((folder / "config.json").read_text())
    peer: Any = importlib.import_module(f"benchmarks.peers.{case.family}")
    forward = peer.build(config, load_file(folder / "model.safetensors"))
    device = torch.get_default_device()

    @torch.inference_mode()
    def embed(rows: Sequence[int], length: int) -> np.ndarray:
        padded = np.zeros((len(rows), length), np.int64)
        present = np.zeros((len(rows), length), bool)
        for place, row in enumerate(rows):
            padded[place, : len(records[row])] = records[row]
            present[place, : len(records[row])] = True
        ids, mask = (torch.from_numpy(array).to(device) for array in (padded, present))
        weights = mask[..., None].float()
        return ((forward(ids, mask) * weights).sum(1) / weights.sum(1)).cpu().numpy()

    embed([0], len(records[0]))
    found, computed = {}, 0
    start = time.perf_counter()
    for rows, length in batches(case, records):
        found |= dict(zip(rows, embed(rows, length), strict=True))
        computed += len(rows) * length
    seconds = time.perf_counter() - start
    tokens = sum(len(records[row]) for row in found)
    figures = {
        "records": len(found),
        "tokens": tokens,
        "seconds": seconds,
        "padding": 1 - tokens / computed,
    }
    return figures, np.stack([found[row] for row in sorted(found)])


def main() -> None:
    """Measures one side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("side", choices=SIDES)
    options = parser.parse_args()
    use_gpu()
    leave(options.folder, *run(options.folder, SIDES[options.side]))


if __name__ == "__main__":
    main()
