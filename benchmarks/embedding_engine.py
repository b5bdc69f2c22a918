"""The embedding engine's side of its comparison with PyTorch, in a process of its own.

    python -m benchmarks.embedding_engine FOLDER

FOLDER is described in `benchmarks.embedding_case`; `write_case` makes it.
"""

import argparse
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from safetensors.numpy import save_file

from benchmarks.embedding_case import Case, leave, read_records, write_records
from benchmarks.needs import FIXTURES
from geneb_jax.devices.capacity import matmul_rate
from geneb_jax.embedding.batches import benchmark_lengths, plan_batches
from geneb_jax.embedding.engine import Speed, Work, embed_array, open_engine
from geneb_jax.embedding.tuning import batch_sizes
from geneb_jax.embedding.units import units_of
from model_ports import catalog
from model_ports.contract.family import family
from model_ports.contract.weights import Weight
from model_ports.loading.planned import family_config, plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.port import Port

MORE_FIXTURES = FIXTURES.with_name("golden_more")  # of models beyond the paper's 40
# Has the lengths of a model whose tokenizer was not counted: most of those are byte-pair
# encodings, as DNABERT-2's is.
_LIKE = "dnabert2-no-flashattention"
_SPECIAL_IDS = 10  # more than any of the models' special tokens; half of a small vocabulary


@dataclass(frozen=True)
class TokenIds:
    """A tokenizer of records that are named by their number: the ids are there."""

    ids: Sequence[np.ndarray]
    pad_id: int
    vocab_size: int
    specials: int = 0

    def encode(self, sequences: Sequence[str], max_tokens: int | None) -> list[np.ndarray]:
        """Returns the records' ids."""
        return [self.ids[int(number)][:max_tokens] for number in sequences]


def fixture(model_id: str) -> Path:
    """The folder of a model's conformance fixture."""
    return (MORE_FIXTURES if model_id in catalog.more() else FIXTURES) / model_id


def models_beyond() -> list[str]:
    """The models beyond the paper's 40 that have a fixture."""
    return [
        name for name, model in catalog.more().items() if model.entry and fixture(name).is_dir()
    ]


def write_case(case: Case, folder: Path) -> None:
    """Writes the checkpoint, weights random by the family's initialisers, and the records."""
    entry = catalog.get(case.model_id)
    unwanted = shutil.ignore_patterns("meta.json", "*cases.json", "full_*", "golden.npz")
    shutil.copytree(fixture(entry.id), folder, dirs_exist_ok=True, ignore=unwanted)
    config = {**entry.config, **case.changes}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(_random_checkpoint(entry, config), folder / "model.safetensors")
    limit = entry.preset("corrected").max_tokens
    records = draw_records(entry.id, case.records, config["vocab_size"], limit)
    write_records(case, records, folder)


def _random_checkpoint(entry: catalog.Entry, config: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The parameters of a random model under the names and in the layout of its authors' file."""
    kind, (own, _) = family(entry.family), family_config(entry, config)
    state = jax.jit(lambda: nnx.state(kind.Model(own, rngs=nnx.Rngs(0))))()
    arrays = {".".join(map(str, p)): np.asarray(x[...]) for p, x in nnx.to_flat_state(state)}
    tensors = {}
    for rule in kind.weights(own):
        if isinstance(rule, Weight):
            array = arrays[rule.path]
            rows = dict(enumerate(array)) if "{}" in rule.source else {0: array}
            for i, row in rows.items():  # the only layout here, a transpose, is its own inverse
                changed = row if rule.layout is None else rule.layout(row)
                tensors[rule.source.format(i)] = np.ascontiguousarray(changed)
    return tensors


def length_mix(model_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Token lengths of the benchmark's records, rising, and the share of records of each."""
    table = benchmark_lengths(model_id) or benchmark_lengths(_LIKE)
    assert table is not None
    return table[0], table[1] / table[1].sum()


def draw_records(
    model_id: str, count: int, vocab_size: int, limit: int | None, length: int | None = None
) -> list[np.ndarray]:
    """Returns random token ids in the benchmark's length mix, or of one length; int32."""
    rng = np.random.default_rng(0)
    lengths = np.full(count, length or 0)
    if length is None:
        mix, share = length_mix(model_id)
        lengths = rng.choice(mix, count, p=share)
    lengths = np.minimum(lengths, limit or lengths)
    lowest = min(_SPECIAL_IDS, vocab_size // 2)
    return [rng.integers(lowest, vocab_size, length, np.int32) for length in lengths]


def run(
    port: Port,
    records: Sequence[np.ndarray],
    tokens: int | None = None,
    workdir: Path | None = None,
) -> tuple[dict[str, Any], np.ndarray]:
    """The engine on token ids, warm: its figures, and the embeddings [N, D].

    Args:
        port: The model.
        records: Token ids of each record.
        tokens: Tokens of a batch; None: what a run takes.
        workdir: Keeps the rate of products between calls; None: it is measured in each.
    """
    ids = TokenIds(records, port.tokenizer.pad_id, port.config.vocab_size)
    engine = open_engine(replace(port, tokenizer=ids))
    sizes = batch_sizes(engine, wanted=tokens or 0)
    names = list(map(str, range(len(records))))
    shapes: dict[tuple[int, int], Work] = {}
    for unit in units_of([names]):
        encoded = [records[int(name)] for name in unit.sequences]
        for batch in plan_batches(port, list(map(len, encoded)), sizes):
            work = Work(batch, [encoded[row] for row in batch.rows])
            shapes.setdefault((batch.size, batch.length), work)
    for work in shapes.values():
        engine.run(*engine.put(work)).block_until_ready()
    speed = engine.speed = Speed()
    start = time.perf_counter()
    found = embed_array(engine, names, sizes)
    seconds = time.perf_counter() - start
    figures = {
        "records": len(records),
        "tokens": speed.tokens,
        "seconds": seconds,
        "padding": 1 - speed.tokens / speed.computed_tokens,
        "waits": speed.starved_seconds / seconds,
        "flop": speed.flop,
        "matmul_rate": matmul_rate(port.dtype, workdir),
        "batch_tokens": sizes,
        "shapes": len(shapes),
        "program_bytes": speed.program_bytes,
    }
    return figures, found


def main() -> None:
    """Measures the engine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    case, records = read_records(folder)
    leave(folder, *run(load_port(plan_checkpoint(catalog.get(case.model_id), folder)), records))


if __name__ == "__main__":
    main()
