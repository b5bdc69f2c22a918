"""How many tokens do the records of each of GENEB's tasks have? Writes a file of the package.

    python -m benchmarks.task_tokens --tasks_dir DIR [DIR ...] --tokenizers DIR

One tokenizer of each kind counts the tokens, special ones included and nothing cut, of at most
2,000 records of every task file of the folders, evenly spaced. Of tasks without a file the tokens
are derived from the length that their source states (`geneb_jax/data/task_sizes.csv`): letters and
k-mers exactly, as if all records had this length and no other letter than A, C, G, T; byte pairs by
the median of letters a token, but for both special tokens, over the files that were counted. The
result is `geneb_jax/data/task_tokens.csv`, which `geneb-jax tables --subsets` reads.

Needs folders of tasks, and a folder with those of the tokenizers (`tests/golden` of a clone).
`--out` holds the rows of the tasks that were counted.
"""

import csv
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

import geneb_jax
from benchmarks.needs import begin, folder, new_parser, task_files
from benchmarks.rows import Rows
from geneb_jax.benchmark import GENEB
from geneb_jax.config import DataSettings
from geneb_jax.tasks.selection import read_tasks
from geneb_jax.tasks.sizes import KINDS, published_lengths
from model_ports import catalog
from model_ports.tokenizers import build_tokenizer

MODELS = dict(
    zip(
        KINDS,
        (
            "hyenadna-medium-160k-seqlen-hf",
            "nucleotide-transformer-v2-50m-3mer-multi-species",
            "nucleotide-transformer-v2-50m-multi-species",
            "dnabert2-no-flashattention",
            "gena-lm-bert-base",
        ),
        strict=True,
    )
)
SAMPLE = 2000  # records of a task that are counted
_SPECIALS = 2  # tokens around byte pairs
OUT = Path(geneb_jax.__file__).parent / "data" / "task_tokens.csv"


def counted(folders: Sequence[Path], tokenizers: Path) -> Iterator[tuple[str, list[float]]]:
    """Yields each task's label, and how many records were counted and their mean tokens by kind."""
    encoders = {
        name: build_tokenizer(tokenizers / model, catalog.get(model).tokenizer)
        for name, model in MODELS.items()
    }
    for tasks_dir in folders:
        tasks, unreadable = read_tasks(DataSettings(tasks_dir=tasks_dir))
        for problem in unreadable.values():
            raise ValueError(problem)
        for task in tasks:
            records = [*task.train.sequences, *task.test.sequences]
            sample = records[:: -(-len(records) // SAMPLE)]
            means = [
                float(np.mean([len(ids) for ids in encoder.encode(sample, None)]))
                for encoder in encoders.values()
            ]
            yield task.info.label, [len(sample), *means]


def derived(letters: int, letters_a_token: Mapping[str, float]) -> list[float]:
    """Returns 0, for none was counted, and the tokens of a record of so many letters by kind.

    Args:
        letters: Length of the record.
        letters_a_token: Of kinds of byte pairs, without the special tokens.
    """
    tokens: dict[str, float] = {"letters": letters}
    for k in (3, 6):
        tokens[f"{k}-mers"] = 1 + letters // k + letters % k
    for kind, rate in letters_a_token.items():
        tokens[kind] = _SPECIALS + letters / rate
    return [0, *(tokens[kind] for kind in KINDS)]


def main() -> None:
    """Counts, derives and writes."""
    parser = new_parser(__doc__)
    parser.add_argument("--tasks_dir", type=Path, nargs="+", required=True)
    parser.add_argument("--tokenizers", type=Path, required=True, help="a folder a model id")

    def needs(options: Namespace) -> Iterator[str]:
        for tasks_dir in options.tasks_dir:
            yield from task_files(tasks_dir)
        for model in MODELS.values():
            yield from folder(options.tokenizers / model, "tokenizers; tests/golden has them")

    options = begin(parser, needs)
    rows = Rows({"task": "64s", "counted": "7"} | dict.fromkeys(KINDS, "8.1f"), options.out)
    of_files = {}
    for label, row in counted(options.tasks_dir, options.tokenizers):
        of_files[label] = row
        rows.add({"task": label} | dict(zip(("counted", *KINDS), row, strict=True)))
    letters, *others = np.array(list(of_files.values()))[:, 1:].T
    rates = {}
    for kind, tokens in zip(KINDS[1:], others, strict=True):
        if kind.startswith("byte pairs"):
            low, rates[kind], high = np.quantile(letters / (tokens - _SPECIALS), [0, 0.5, 1])
            print(f"{kind}: {low:.2f} to {high:.2f} letters a token, median {rates[kind]:.2f}")
    lengths = published_lengths()
    with OUT.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["task", "counted", *KINDS])
        for task in GENEB.tasks:
            row = of_files.get(task.label) or derived(lengths[task.label], rates)
            writer.writerow([task.label, row[0], *(f"{value:.1f}" for value in row[1:])])
    print(f"{len(of_files)} tasks counted; {OUT}")


if __name__ == "__main__":
    main()
