"""What the first run costs: whole processes, ours and the peers' in turn.

    python -m benchmarks.cold --tasks_dir DIR

Each row is one process: CPU seconds (user and system, of its children too), wall seconds, peak
memory (`gib`) and how many `programs` it left in the cache. `cold` starts with an empty cache,
`kept` again with the cache that `cold` left. A peer stands below what it is compared with, and
`cpu_ratio` and `wall_ratio` are our CPU and wall time over the peer's. The rows:

- kmer-4 on every task of DIR, three regimes, five seeds, without report, audit and intervals;
  beside `benchmarks.cold_peer`, which is scikit-learn with joblib and makes none of these either;
- the same with the audit and the predictions that intervals are made of; with tables, figures and
  report, and with these, audit and intervals, which is what a run makes unless it is told not to;
- without them with five C, with solver optax, with 100 seeds, and on 100 tasks (files of DIR under
  several names);
- the quickstart, report included;
- `embed` of 200 records of 300 bp with a full-size NT-v2-50M of random weights, from a checkpoint
  folder; beside PyTorch, which is given token ids;
- that model on the two smallest tasks of DIR, without report, audit and intervals; beside PyTorch
  and scikit-learn.

Needs Linux, a folder of tasks, scikit-learn with joblib (`pip install '.[test]'`), and PyTorch for
the model (`pip install '.[convert]'`). `--out` holds these rows.
"""

import itertools
import json
import random
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.needs import begin, csv_files, fixtures, linux, new_parser, packages
from benchmarks.processes import timed
from benchmarks.rows import Rows
from model_ports import catalog

MODEL = "nucleotide-transformer-v2-50m-multi-species"
C_GRID = "0.01,0.1,1.0,10.0,100.0"
LETTERS, RECORDS = 300, 200  # of `embed`
TASKS = 100  # of the row with many tasks
COLUMNS = {
    "name": "56s", "cpu": "7.1f", "wall": "7.1f", "gib": "6.2f", "programs": "4",
    "cpu_ratio": "6.2f", "wall_ratio": "6.2f",
}  # fmt: skip
BARE = ("report=False", "audit=False", "intervals=False")  # what no peer does


@dataclass(frozen=True)
class Row:
    """What one process took.

    Attributes:
        name: What was computed, and by whom.
        cpu: CPU seconds, of its children too.
        wall: Wall seconds.
        gib: Peak memory of its largest process.
        programs: Compiled programs that it added to the cache.
    """

    name: str
    cpu: float
    wall: float
    gib: float
    programs: int


class Bench:
    """Runs processes and adds their rows."""

    def __init__(self, scratch: Path, out: Path | None) -> None:
        """Keeps where workdirs and caches go, and where rows are written."""
        self.scratch, self.rows = scratch, Rows(COLUMNS, out)
        self.numbers = itertools.count()

    def run(self, name: str, words: Sequence[str], cache: Path, beside: Row | None = None) -> Row:
        """Runs a command of this Python and adds its row, beside one of ours if it is a peer's.

        Raises:
            RuntimeError: The command failed; shows what it said.
        """
        before = len(list(cache.rglob("*-cache")))
        variables = {"XDG_CACHE_HOME": str(cache), "TF_CPP_MIN_LOG_LEVEL": "2"}
        cpu, wall, gib = timed(name, words, variables)
        programs = len(list(cache.rglob("*-cache"))) - before
        row = Row(name, round(cpu, 2), round(wall, 2), round(gib, 2), programs)
        ratios = {"cpu_ratio": beside.cpu / cpu, "wall_ratio": beside.wall / wall} if beside else {}
        self.rows.add(asdict(row) | ratios)
        return row

    def ours(self, name: str, words: Callable[[Path], Sequence[str]]) -> tuple[Row, Row]:
        """Runs a command of ours with an empty cache and with the one that this left.

        Args:
            name: What is computed.
            words: Makes the command for a workdir.
        """
        cache = self.scratch / f"cache-{next(self.numbers)}"
        cache.mkdir()
        cold, kept = (
            self.run(f"{name}, {when}", words(self.scratch / f"run-{next(self.numbers)}"), cache)
            for when in ("cold", "kept")
        )
        return cold, kept

    def peer(self, name: str, words: Sequence[str], beside: Sequence[Row]) -> None:
        """Runs a peer once for each row that it stands beside."""
        for row in beside:
            self.run(name, words, self.scratch, row)


def run_words(workdir: Path, *fields: str) -> list[str]:
    """Returns the command of a run that does what a peer does; the last word on a field counts."""
    flags = [f"--config.{field}" for field in (*BARE, *fields)]
    return ["run.py", "--config=configs/full.py", f"--workdir={workdir}", *flags]


def measure_kmers(bench: Bench, tasks_dir: Path) -> None:
    """Measures kmer-4 beside scikit-learn, and how it grows."""

    def words(folder: Path, *fields: str) -> Callable[[Path], list[str]]:
        all_fields = ("models=kmer-4", f"tasks_dir={folder}", *fields)
        return lambda workdir: run_words(workdir, *all_fields)

    count = len(list(tasks_dir.glob("*.csv")))
    rows = bench.ours(f"kmer-4, {count} tasks", words(tasks_dir))
    peer = ["-m", "benchmarks.cold_peer", "kmers", str(tasks_dir)]
    bench.peer(f"  scikit-learn, {count} tasks", peer, rows)
    sure = ("audit=True", "intervals=True")
    bench.ours("kmer-4, audit and predictions too", words(tasks_dir, *sure))
    bench.ours("kmer-4, report too", words(tasks_dir, "report=True"))
    bench.ours("kmer-4, report, audit and intervals too", words(tasks_dir, "report=True", *sure))
    bench.ours("kmer-4, five C", words(tasks_dir, f"C={C_GRID}"))
    bench.ours("kmer-4, solver optax", words(tasks_dir, "solver=optax"))
    bench.ours("kmer-4, 100 seeds", words(tasks_dir, f"seeds={','.join(map(str, range(100)))}"))
    many = bench.scratch / "many"
    many.mkdir()
    files = itertools.cycle(sorted(tasks_dir.glob("*.csv")))
    for number, path in zip(range(TASKS), files, strict=False):
        (many / f"task_{number}.csv").symlink_to(path.resolve())
    bench.ours(f"kmer-4, {TASKS} tasks", words(many))


def measure_quickstart(bench: Bench) -> None:
    """Measures the quickstart."""
    bench.ours(
        "quickstart",
        lambda workdir: ["run.py", "--config=configs/quickstart.py", f"--workdir={workdir}"],
    )


def measure_model(bench: Bench, tasks_dir: Path) -> None:
    """Measures NT-v2-50M on short records, and on two small tasks, beside PyTorch."""
    from benchmarks.embedding_case import Case, write_records
    from benchmarks.embedding_engine import write_case
    from geneb_jax.benchmark import CUSTOM, TaskInfo
    from geneb_jax.tasks.reading import read_task
    from model_ports.loading.planned import text_reader

    folder = bench.scratch / MODEL
    case = Case(MODEL, "esm", RECORDS, RECORDS)
    write_case(case, folder)
    reader = text_reader(catalog.get(MODEL), folder)

    def give(texts: Sequence[str]) -> None:
        records = reader.tokenizer.encode(texts, reader.preset.max_tokens)
        write_records(Case(MODEL, "esm", len(texts), len(texts)), records, folder)

    letters = random.Random(0)
    texts = ["".join(letters.choices("ACGT", k=LETTERS)) for _ in range(RECORDS)]
    fasta = bench.scratch / "records.fa"
    fasta.write_text("".join(f">r{i}\n{text}\n" for i, text in enumerate(texts)))
    give(texts)
    rows = bench.ours(
        f"embed {RECORDS} records of {LETTERS} bp, NT-v2-50M",
        lambda workdir: [
            *("-m", "geneb_jax", "embed", "--model", MODEL, "--input", str(fasta)),
            *("--out", f"{workdir}.npz", "--checkpoints_dir", str(bench.scratch)),
        ],
    )
    bench.peer("  PyTorch", ["-m", "benchmarks.embedding_torch", str(folder), "well"], rows)

    paths = sorted(tasks_dir.glob("*.csv"), key=lambda path: path.stat().st_size)[:2]
    small = bench.scratch / "small"
    small.mkdir()
    texts, tasks = [], {}
    for path in paths:
        (small / path.name).symlink_to(path.resolve())
        task = read_task(tasks_dir, TaskInfo(path.stem, path.stem, CUSTOM, CUSTOM))
        splits = {"train": task.train, "test": task.test}
        texts += [text for split in splits.values() for text in split.sequences]
        tasks[path.stem] = {name: split.labels.tolist() for name, split in splits.items()}
    give(texts)
    (folder / "tasks.json").write_text(json.dumps(tasks))
    fields = (f"models={MODEL}", f"tasks_dir={small}", f"checkpoints_dir={bench.scratch}")
    rows = bench.ours(
        f"NT-v2-50M on two tasks, {len(texts)} records",
        lambda workdir: run_words(workdir, *fields),
    )
    peer = ["-m", "benchmarks.cold_peer", "embeddings", str(folder)]
    bench.peer("  PyTorch and scikit-learn", peer, rows)


PARTS = {
    "kmers": (measure_kmers, ("sklearn", "joblib")),
    "quickstart": (lambda bench, _: measure_quickstart(bench), ()),
    "model": (measure_model, ("torch", "sklearn", "joblib")),
}


def main() -> None:
    """Measures the parts that are asked for."""
    parser = new_parser(__doc__)
    parser.add_argument("--tasks_dir", type=Path, required=True, help="a folder of TASK.csv")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))

    def needs(options: Namespace) -> Iterator[str]:
        yield from packages(*sorted({name for part in options.only for name in PARTS[part][1]}))
        yield from (*linux(), *fixtures(), *csv_files(options.tasks_dir))

    options = begin(parser, needs)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch), options.out)
        for part in options.only:
            PARTS[part][0](bench, options.tasks_dir.resolve())


if __name__ == "__main__":
    main()
