"""Programs of probes, compiled behind other work: shapes are known before features are."""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from absl import logging

from geneb_jax.config import ProbeSettings
from geneb_jax.devices.programs import soon, waiting
from geneb_jax.scoring.heads import probes_of
from geneb_jax.tasks.task import Task
from probes import compile_task
from probes.padding import ladder

_Shape = tuple[int, int, int]  # padded train rows, classes, width of the features


@contextmanager
def compiling_ahead(
    probes: ProbeSettings, tasks: Sequence[Task], widths: Sequence[int]
) -> Iterator[Callable[[Task], None]]:
    """Compiles what the probes of tasks will run, the largest task first, while the block works.

    The block is given a function to be called with a task before it is probed. If the task's
    programs are being compiled, it waits for them; if that has not begun, they are left to the fit,
    so that whoever probes small tasks first and whoever compiles for large ones first meet in the
    middle. What cannot be compiled is left to the fit, too, which says so. At the end of the block
    what is being compiled is waited for, unless the block failed.

    Args:
        probes: What is fitted.
        tasks: The tasks that will be probed.
        widths: Widths D of the features; none: they are not known, and nothing is compiled.
    """
    # Tasks of one shape share their programs.
    shapes = {shape: task for task in tasks for shape in _shapes(task, widths)}
    programs = {
        shape: soon(functools.partial(_compile, probes, task, shape), "probes")
        for shape, task in sorted(shapes.items(), reverse=True)
    }

    def wait_for(task: Task) -> None:
        for shape in _shapes(task, widths):
            if not programs[shape].cancel():
                with waiting():
                    programs[shape].result()

    try:
        yield wait_for
        for task in tasks:
            wait_for(task)
    finally:
        for program in programs.values():
            program.cancel()


def _shapes(task: Task, widths: Sequence[int]) -> set[_Shape]:
    rows, classes = ladder(len(task.train.labels)), len(set(task.train.labels.tolist()))
    return {(rows, classes, width) for width in widths}


def _compile(probes: ProbeSettings, task: Task, shape: _Shape) -> None:
    """Compiles the programs of a task, or says in the log why it cannot."""
    rows, classes, width = shape
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
