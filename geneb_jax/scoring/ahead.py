"""Programs of probes, compiled while a model embeds: their shapes are known before its features."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from absl import logging

from geneb_jax.config import ProbeSettings
from geneb_jax.scoring.heads import probes_of
from geneb_jax.tasks.task import Task
from probes import compile_task
from probes.padding import ladder


@contextmanager
def compiling_ahead(
    probes: ProbeSettings, tasks: Sequence[Task], widths: Sequence[int]
) -> Iterator[None]:
    """Compiles what the probes of tasks will run, the largest task first, while the block works.

    At the end of the block the task that is at hand is waited for, and no further one is begun.
    What cannot be compiled is left to the fit that needs it, which says so.

    Args:
        probes: What is fitted.
        tasks: The tasks that will be probed.
        widths: Widths D of the features; none: they are not known, and nothing is compiled.
    """
    # Tasks of one shape share their programs.
    shapes = {
        (ladder(len(task.train.labels)), len(set(task.train.labels.tolist())), width): task
        for width in dict.fromkeys(widths)
        for task in tasks
    }
    enough = threading.Event()

    def work() -> None:
        for (rows, classes, width), task in sorted(shapes.items(), reverse=True):
            if enough.is_set():
                return
            try:
                compile_task(
                    task.train.labels,
                    width,
                    probes=probes_of(probes),
                    shots=probes.regimes,
                    seeds=probes.seeds,
                )
            except Exception as error:
                what = f"{rows:,} rows of {width:,} features in {classes} classes"
                logging.info("probes of %s are not compiled ahead: %s", what, error)

    thread = threading.Thread(target=work, name="compile probes", daemon=True)
    thread.start()
    try:
        yield
        enough.set()
        thread.join()
    finally:
        enough.set()
