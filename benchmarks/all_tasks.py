"""How long do all probes of one model on all 100 tasks take?

    python -m benchmarks.all_tasks --width 512
    python -m benchmarks.all_tasks --width 4096 --solver converged

The tasks have the rows and classes that their sources state (`geneb_jax.tasks.sizes`; rows of train
above 100,000 and of test above 10,000 are left out), embeddings and labels are made as in
`benchmarks.probes`, each task with labels of its own. Every task gets the full, 10-shot and 1-shot
heads of five seeds for five values of C, fitted and scored from arrays in the host's memory, as in
a run. A pass is over all tasks; the first compiles.
"""

import argparse
from collections.abc import Iterator, Sequence

import jax
import numpy as np

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
from geneb_jax.devices.programs import make_room_for_programs
from geneb_jax.tasks.sizes import TaskSize, published_sizes
from probes import SOLVERS

MOST_TRAIN, MOST_TEST = 100_000, 10_000


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


def run(sizes: list[TaskSize], width: int, solver: str, passes: int) -> None:
    """Fits and scores all heads of all tasks, and prints a line a task and pass, and the sums."""
    totals = []
    for number in range(1, passes + 1):
        times = []
        for size, problem in problems(sizes, width):
            make_room_for_programs()
            heads, seconds = timed(
                lambda problem=problem: fit_and_score(problem, solver, (*FULL, *FEW), STRENGTHS)
            )
            times.append(seconds)
            full = heads[: len(STRENGTHS) * len(SEEDS) : len(SEEDS)]
            iterations = " ".join(f"{head.iterations:4d}" for head in full)
            scores = " ".join(f"{head.MCC:.3f}" for head in full)
            print(
                f"{number} {size.task:36s} {len(problem.x_train):7d} {size.classes:3d} "
                f"{seconds:8.2f} s  {iterations}  {scores}",
                flush=True,
            )
        totals.append(sum(times))
    first, *warm = totals
    print(
        f"{len(sizes)} tasks, D = {width}, {solver}, {jax.devices()[0].device_kind}: "
        f"{first:.0f} s with compilation" + "".join(f", {seconds:.0f} s warm" for seconds in warm)
    )


def main() -> None:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=512, help="D of the embeddings")
    parser.add_argument("--solver", default="geneb", choices=SOLVERS)
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--tasks", type=int, default=100, help="the first so many only")
    options = parser.parse_args()
    run(published_sizes()[: options.tasks], options.width, options.solver, options.passes)


if __name__ == "__main__":
    main()
