"""How long do all probes of one model on all 100 tasks take?

    python -m benchmarks.all_tasks --width 512
    python -m benchmarks.all_tasks --width 4096 --solver converged

The tasks have the rows and classes that their sources state (`geneb_jax.tasks.sizes`; rows of train
above 100,000 and of test above 10,000 are left out), embeddings and labels are made as in
`benchmarks.probes`, each task with labels of its own. Every task gets the full, 10-shot and 1-shot
heads of five seeds for five values of C, fitted and scored from arrays in the host's memory, as in
a run. A pass is over all tasks; the first compiles.

Needs nothing but the package. A row is a task and pass: rows of train `n`, classes `K`, `seconds`,
and iterations and MCC of the full fits by C; the row `all` has the pass's seconds. `--out` holds
these rows, with the width `D`, the solver and the device.
"""

from collections.abc import Iterator, Sequence

import jax
import numpy as np

from benchmarks.needs import begin, new_parser
from benchmarks.probes import (
    FEW,
    FULL,
    SEEDS,
    STRENGTHS,
    Problem,
    draw_embeddings,
    draw_labels,
    fit_and_score,
    timed,
)
from benchmarks.rows import Row, Rows
from geneb_jax.devices.programs import make_room_for_programs
from geneb_jax.tasks.sizes import TaskSize, published_sizes
from probes import SOLVERS

MOST_TRAIN, MOST_TEST = 100_000, 10_000
COLUMNS = {
    "pass": "4", "task": "72s", "n": "7", "K": "3", "seconds": "8.2f", "iterations": "24",
    "MCC": "29.3f",
}  # fmt: skip


def problems(sizes: Sequence[TaskSize], width: int) -> Iterator[tuple[TaskSize, Problem]]:
    """Yields each task with rows of the same embeddings of a width, and labels of its own."""
    train_rows = max(min(size.train, MOST_TRAIN) for size in sizes)
    test_rows = max(min(size.test, MOST_TEST) for size in sizes)
    x, latent = draw_embeddings(np.random.default_rng(0), train_rows + test_rows, width)
    for seed, size in enumerate(sizes):
        train, test = min(size.train, MOST_TRAIN), min(size.test, MOST_TEST)
        own, known = x[: train + test], latent[: train + test]
        y = draw_labels(np.random.default_rng(seed), known, size.classes)
        yield size, Problem(own[:train], y[:train], own[train:], y[train:])


def run(sizes: Sequence[TaskSize], width: int, solver: str, passes: int, rows: Rows) -> None:
    """Fits and scores all heads of all tasks, and adds a row a task and pass, and each pass's."""
    constants: Row = {"D": width, "solver": solver, "device": jax.devices()[0].device_kind}
    for number in range(1, passes + 1):
        times = []
        for size, problem in problems(sizes, width):
            make_room_for_programs()
            heads, seconds = timed(
                lambda problem=problem: fit_and_score(problem, solver, (*FULL, *FEW), STRENGTHS)
            )
            times.append(seconds)
            full = heads[: len(STRENGTHS) * len(SEEDS) : len(SEEDS)]
            row = {"pass": number, "task": size.task, "n": len(problem.x_train), "K": size.classes}
            row |= {"seconds": seconds, "iterations": [head.iterations for head in full]}
            rows.add(row | {"MCC": [head.MCC for head in full]} | constants)
        rows.add({"pass": number, "task": "all", "seconds": sum(times)} | constants)


def main() -> None:
    """Runs what is asked for."""
    parser = new_parser(__doc__)
    parser.add_argument("--width", type=int, default=512, help="D of the embeddings")
    parser.add_argument("--solver", default="geneb", choices=SOLVERS)
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--tasks", type=int, default=100, help="the first so many only")
    options = begin(parser)
    rows = Rows(COLUMNS, options.out)
    run(published_sizes()[: options.tasks], options.width, options.solver, options.passes, rows)


if __name__ == "__main__":
    main()
