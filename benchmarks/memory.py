"""The memory of large tasks: whole runs of k-mer models, each a process.

    python -m benchmarks.memory [--only ROW ...] [--tasks_dir DIR]

A row is a run in an empty workdir, without report, with the defaults' regimes and seeds: peak
memory of the process, its CPU and wall seconds, and the peaks of its stages as run.json has them.
The task of a row is made here, seeded: two classes, the second richer in C and G, a fifth of the
rows for test. The rows:

- `million`: kmer-4 on 1,000,000 records of 100 bp;
- `wide`: kmer-6 on 200,000 records of 100 bp;
- `folder`: kmer-4 on every task of DIR, where one is given.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.processes import timed

LENGTH = 100
# Model and records by row.
ROWS = {"million": ("kmer-4", 1_000_000), "wide": ("kmer-6", 200_000)}
_BLOCK = 50_000  # records that are made at a time


def write_task(path: Path, records: int, length: int = LENGTH) -> None:
    """Writes a task file of random records: text, label and split.

    Args:
        path: The CSV file.
        records: How many rows.
        length: Letters of each record.
    """
    rng = np.random.default_rng(0)
    with path.open("w") as file:
        file.write("text,label,split\n")
        for first in range(0, records, _BLOCK):
            rows = min(_BLOCK, records - first)
            labels = rng.integers(0, 2, rows)
            codes = rng.integers(0, 4, (rows, length))
            richer = (rng.random(codes.shape) < 0.1) & (labels[:, None] == 1)
            codes[richer] = rng.integers(1, 3, int(richer.sum()))  # C or G
            texts = np.frombuffer(b"ACGT", np.uint8)[codes]
            in_test = rng.random(rows) < 0.2
            file.writelines(
                f"{text.tobytes().decode()},{label},{'test' if test else 'train'}\n"
                for text, label, test in zip(texts, labels, in_test, strict=True)
            )


def measure(name: str, model: str, tasks_dir: Path, workdir: Path) -> None:
    """Runs a model on the tasks of a folder and prints the row.

    Raises:
        RuntimeError: The run failed; shows what it said.
    """
    words = ["-m", "geneb_jax", "run", "--config=full", f"--workdir={workdir}"]
    fields = {"models": model, "tasks_dir": tasks_dir, "report": False}
    words += [f"--config.{field}={value}" for field, value in fields.items()]
    cpu, wall, gib = timed(name, words)
    print(f"{name:10s}{gib:7.2f} GiB{cpu:8.1f} CPU s{wall:8.1f} wall s")
    for stage, peaks in json.loads((workdir / "run.json").read_text())["memory"].items():
        print(f"    {stage:20s}{peaks['host'] / 2**30:7.2f} GiB")


def main() -> None:
    """Measures the rows that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--tasks_dir", type=Path, help="a folder of tasks, for the row `folder`")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.only:
            model, records = ROWS[name]
            tasks_dir = Path(scratch) / f"tasks-{name}"
            tasks_dir.mkdir()
            write_task(tasks_dir / f"{name}.csv", records)
            measure(name, model, tasks_dir, Path(scratch) / name)
        if options.tasks_dir:
            measure("folder", "kmer-4", options.tasks_dir.resolve(), Path(scratch) / "folder")


if __name__ == "__main__":
    main()
