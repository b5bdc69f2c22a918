"""How a benchmark begins: its options, and a line that says what it lacks, before it measures."""

import argparse
import importlib.util
import io
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from absl import logging

from benchmarks.processes import ROOT
from benchmarks.rows import read_rows
from geneb_jax.tasks.reading import find_tasks
from model_ports.exits import Parser

FIXTURES = ROOT / "tests" / "golden"  # conformance fixtures of the paper's 40 models

# What brings the packages that benchmarks need beside those that geneb_jax depends on.
_EXTRAS = {"sklearn": "test", "joblib": "test", "torch": "convert", "libtpu": "tpu-aot"}
_TASK_CSV = "name a folder of TASK.csv with the columns text, label and split"
_PROC = Path("/proc/self/status")


def new_parser(text: str | None) -> Parser:
    """Returns a parser of a benchmark's options, which has `--out`.

    Args:
        text: The text of its module, which `--help` shows as it is.
    """
    made = Parser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="takes each row as a line of JSON as it is measured, behind those that are there",
    )
    return made


def begin(
    parser: Parser, needs: Callable[[argparse.Namespace], Iterable[str]] = lambda options: ()
) -> argparse.Namespace:
    """Returns the options of the command line, once everything that they need is there.

    From here on every printed line is seen at once, in a file or pipe too.

    Args:
        parser: Has the option `out`.
        needs: Yields a line for each thing that is not there, from the options.

    Raises:
        SystemExit: Something is not there, or the options are wrong: status 2, and a line on
            stderr.
    """
    options = parser.parse_args()
    lacking = [*room_for(options.out), *no_rows(options.out), *needs(options)]
    if lacking:
        parser.error("; ".join(lacking))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    return options


def room_for(out: Path | None) -> Iterator[str]:
    """Yields a line where a file cannot be written: its folder is not there, or it is a folder."""
    if out is not None and out.is_dir():
        yield f"{out} is a folder; name a file"
    elif out is not None and not out.absolute().parent.is_dir():
        yield f"{out} has no folder to lie in; make {out.parent}"


def no_rows(out: Path | None) -> Iterator[str]:
    """Yields a line where a file holds something else than rows, such as an image."""
    try:
        read_rows(out)
    except ValueError as error:
        yield str(error)


def packages(*names: str) -> Iterator[str]:
    """Yields a line for each package that is not installed, by the name that is imported."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            yield f"{name} is not installed: pip install '.[{_EXTRAS[name]}]'"


def task_files(folder: Path) -> Iterator[str]:
    """Yields a line where a folder holds no task that can be read."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)  # what is skipped there is said when it is read
    try:
        found = folder.is_dir() and find_tasks(folder)
    finally:
        logging.set_verbosity(before)
    if not found:
        yield f"{folder} holds no task; {_TASK_CSV}"


def csv_files(folder: Path) -> Iterator[str]:
    """Yields a line where a folder holds no .csv file, the one kind of task that peers read."""
    if not any(folder.glob("*.csv")):
        yield f"{folder} holds no task as a .csv file; {_TASK_CSV}"


def folder(path: Path, what: str) -> Iterator[str]:
    """Yields a line where a folder is not there; `what` says what it has and how to get it."""
    if not path.is_dir():
        yield f"{path} is not there: {what}"


def fixtures() -> Iterator[str]:
    """Yields a line where the conformance fixtures are not there, which a clone has."""
    yield from folder(FIXTURES, "conformance fixtures; run the benchmark from a clone")


def linux() -> Iterator[str]:
    """Yields a line where no system tells the peak memory of a process as Linux does."""
    if not _PROC.exists():
        yield f"{_PROC} is not there: run the benchmark on Linux, which tells the peak memory"
