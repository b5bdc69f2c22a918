"""The memory of large tasks: whole runs of k-mer models, each a process.

    python -m benchmarks.memory [--only ROW ...] [--tasks_dir DIR]

A row is a run in an empty workdir, without report, with the defaults' regimes and seeds: peak
memory of the process (`gib`), its CPU and wall seconds; below it a row with the peak of each
`stage`, as run.json has them.
The task of a row is made here, seeded: two classes, the second richer in C and G, a fifth of the
rows for test. The rows:

- `million`: kmer-4 on 1,000,000 records of 100 bp;
- `wide`: kmer-6 on 200,000 records of 100 bp;
- `folder`: kmer-4 on every task of DIR, where one is given.

Needs Linux. `--out` holds these rows.
"""

import json
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.needs import begin, linux, new_parser, task_files
from benchmarks.processes import timed
from benchmarks.rows import Rows

LENGTH = 100
COLUMNS = {"name": "8s", "stage": "20s", "gib": "7.2f", "cpu": "7.1f", "wall": "7.1f"}
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


def measure(name: str, model: str, tasks_dir: Path, workdir: Path, rows: Rows) -> None:
    """Runs a model on the tasks of a folder, and adds the rows of the run and of its stages.

    Raises:
        RuntimeError: The run failed; shows what it said.
    """
    words = ["-m", "geneb_jax", "run", "--config=full", f"--workdir={workdir}"]
    fields = {"models": model, "tasks_dir": tasks_dir, "report": False}
    words += [f"--config.{field}={value}" for field, value in fields.items()]
    cpu, wall, gib = timed(name, words)
    rows.add({"name": name, "stage": "all", "gib": gib, "cpu": cpu, "wall": wall})
    for stage, peaks in json.loads((workdir / "run.json").read_text())["memory"].items():
        rows.add({"name": name, "stage": stage, "gib": peaks["host"] / 2**30})


def main() -> None:
    """Measures the rows that are asked for."""
    parser = new_parser(__doc__)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--tasks_dir", type=Path, help="a folder of tasks, for the row `folder`")

    def needs(options: Namespace) -> Iterator[str]:
        yield from linux()
        yield from task_files(options.tasks_dir) if options.tasks_dir else ()

    options = begin(parser, needs)
    rows = Rows(COLUMNS, options.out)
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.only:
            model, records = ROWS[name]
            tasks_dir = Path(scratch) / f"tasks-{name}"
            tasks_dir.mkdir()
            write_task(tasks_dir / f"{name}.csv", records)
            measure(name, model, tasks_dir, Path(scratch) / name, rows)
        if options.tasks_dir:
            tasks_dir = options.tasks_dir.resolve()
            measure("folder", "kmer-4", tasks_dir, Path(scratch) / "folder", rows)


if __name__ == "__main__":
    main()
