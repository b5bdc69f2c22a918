"""Does any reader answer a damaged file with a traceback?

    python -m benchmarks.fuzz --minutes 10
    python -m benchmarks.fuzz --minutes 1 --readers tasks,cells --seed 7 --faults offending

Each reader gets folders whose files are damaged by `fuzz_mutations`, or missing, or folders, or
links to nothing, with foreign files beside them. It may take what it is given, or refuse it with
one of the project's errors: a ValueError, or an OSError where it writes, that the project raises,
of few lines, which name a file. All else is a fault: other exceptions, errors of libraries that
come through, long messages, more than 10 seconds or 2 GiB, and a process that dies. The table
counts what happened by reader; an input of each distinct fault, that of the shortest message, is
written into a folder of `--faults`, with the traceback.

Input i of a reader is the same for the same seed. Readers of what a run keeps (cells, store,
digests, devices) should refuse nothing but a folder in the way of a file.

Needs a clone and Linux. `--out` holds the table's rows, with the number of an input by `faults`.
"""

import contextlib
import linecache
import multiprocessing
import os
import random
import resource
import shutil
import signal
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from benchmarks.fuzz_mutations import damage
from benchmarks.fuzz_readers import READERS, Files, Reader, RefusedError
from benchmarks.needs import begin, fixtures, linux, new_parser
from benchmarks.rows import Rows

MOST_SECONDS = 10
MOST_BYTES = 2 * 2**30  # beside what the process holds before the first input
MOST_LINES = 12  # a task lists three problems of each kind
MOST_LETTERS = 2000
_SHORTEST_NAME = 4  # shorter ones stand in any message by chance
_ROOT = Path(__file__).parents[1]
_PROJECT = tuple(
    f"{_ROOT / name}/" for name in ("geneb_jax", "model_ports", "probes", "benchmarks")
)
_FOREIGN = (
    ".DS_Store", "._x", "Thumbs.db", "desktop.ini", ".nfs000000001", ".x.swp", "x~", "#x#",
    "x.bak", "x.orig", "x.0123456789abcdef0123456789abcdef.tmp",
)  # fmt: skip
_FOREIGN_FOLDERS = (".ipynb_checkpoints", "__MACOSX", "lost+found", ".snapshot")

ACCEPTED, REFUSED, NAMELESS, FAULT = "accepted", "refused", "nameless", "fault"


class Outcome(NamedTuple):
    """What a reader made of an input.

    Attributes:
        kind: ACCEPTED; REFUSED in few lines that name a file; NAMELESS: the lines name none;
            FAULT: all else.
        fault: What tells a fault, or a nameless refusal, from others; '' for those taken well.
        detail: The message or the traceback.
    """

    kind: str
    fault: str = ""
    detail: str = ""


class _SlowError(BaseException):
    """An input took too long; no `except Exception` of a reader may take it."""


def damaged(reader: Reader, seeds: Sequence[Files], rng: random.Random) -> Files:
    """Returns the files of a valid folder, one or two of them damaged."""
    files = dict(rng.choice(seeds))
    names = [name for name in files if name.endswith(reader.damaged)]
    for name in rng.sample(names, min(len(names), rng.choice((1, 1, 1, 2)))):
        files[name] = damage(name, files[name], rng)
    return files


def write_folder(folder: Path, files: Files, reader: Reader, rng: random.Random) -> None:
    """Writes an input's files; one may be missing, a folder or a link, and others be beside it."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    name = rng.choice([name for name in files if name.endswith(reader.damaged)])
    path, kind = folder / name, rng.randrange(40)
    if kind in (0, 1, 2):
        path.unlink()
        if kind == 1:
            path.mkdir()
        if kind == 2:
            path.symlink_to("nothing")
    elif kind in (3, 4):
        (path.parent / rng.choice(_FOREIGN)).write_bytes(rng.choice((b"", b"\0\5\x16\7", b"{")))
    elif kind == 5:
        inside = path.parent / rng.choice(_FOREIGN_FOLDERS) / path.name
        inside.parent.mkdir()
        inside.write_bytes(rng.choice((b"", files[name], b"\0")))
    elif kind == 6:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")


def attempt(reader: Reader, folder: Path) -> Outcome:
    """Lets a reader read a folder, and judges what it does."""
    words = {folder.name, *(word for path in folder.rglob("*") for word in (path.name, path.stem))}
    names = {word for word in words if len(word) >= _SHORTEST_NAME}
    start = time.monotonic()
    try:
        with _limit():
            reader.read(folder)
    except _SlowError:
        return Outcome(FAULT, "slow", f"more than {MOST_SECONDS} seconds")
    except RefusedError as error:
        return _refusal(str(error), None, error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a panic of Rust is no Exception
        return _refusal(str(error), names, error)
    if time.monotonic() - start > MOST_SECONDS:
        return Outcome(FAULT, "slow", f"{time.monotonic() - start:.0f} seconds")
    return Outcome(ACCEPTED)


def _refusal(message: str, names: set[str] | None, error: BaseException) -> Outcome:
    """Judges an error; `names`: of the input's files, one of which must be said; None: none."""
    frames = traceback.extract_tb(error.__traceback__)
    of_project = [frame for frame in frames if frame.filename.startswith(_PROJECT)]
    last = of_project[-1]
    where = f"{type(error).__name__} at {Path(last.filename).relative_to(_ROOT)}:{last.lineno}"
    detail = "".join(traceback.format_exception(error))
    raised = linecache.getline(last.filename, last.lineno or 0).lstrip().startswith("raise ")
    ours = last is frames[-1] and raised
    if not (ours and isinstance(error, ValueError | OSError | RefusedError)):
        return Outcome(FAULT, where, detail)
    if "Traceback (most recent" in message:
        return Outcome(FAULT, message.strip().splitlines()[-1], message)
    if not message.strip() or len(message.strip().splitlines()) > MOST_LINES:
        return Outcome(FAULT, f"{where}: many lines", detail)
    if len(message) > MOST_LETTERS:
        return Outcome(FAULT, f"{where}: long", detail)
    if names is not None and not any(name in message for name in names):
        return Outcome(NAMELESS, where, detail)
    return Outcome(REFUSED)


@contextlib.contextmanager
def _limit() -> Iterator[None]:
    """Interrupts what takes too long, as soon as it is in Python again."""

    def stop(_: int, __: FrameType | None) -> None:
        raise _SlowError

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(MOST_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def make_input(name: str, seeds: Sequence[Files], seed: int, number: int, folder: Path) -> None:
    """Writes input `number` of a reader into an empty folder."""
    rng = random.Random(f"{seed}/{name}/{number}")
    write_folder(folder, damaged(READERS[name], seeds, rng), READERS[name], rng)


def fuzz(name: str, seconds: float, seed: int = 0, start: int = 0) -> Iterator[tuple[int, Outcome]]:
    """Yields input after input of a reader with what happened, for some seconds.

    Args:
        name: A name of `READERS`.
        seconds: No input begins later.
        seed: Inputs are the same for the same seed.
        start: Number of the first input.
    """
    reader = READERS[name]
    with _quiet():
        seeds = reader.seeds()
        end, number = time.monotonic() + seconds, start
        while time.monotonic() < end:
            with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
                make_input(name, seeds, seed, number, Path(folder))
                outcome = attempt(reader, Path(folder))
            yield number, outcome
            number += 1


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    from absl import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.FATAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.set_verbosity(before)


def _work(name: str, seconds: float, seed: int, start: int, to: Connection) -> None:
    """Fuzzes in a process of its own, whose memory is limited once the reader has run."""
    os.environ |= {"JAX_PLATFORMS": "cpu", "HF_HUB_OFFLINE": "1", "RUST_BACKTRACE": "0"}
    for number, outcome in fuzz(name, seconds, seed, start):
        if number == start:
            used = int(Path("/proc/self/status").read_text().split("VmData:")[1].split()[0]) * 1024
            limit = used + MOST_BYTES
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        to.send((number, outcome))
    to.close()


def fuzz_apart(name: str, seconds: float, seed: int) -> Iterator[tuple[int, Outcome]]:
    """As `fuzz`, in another process; one that dies is a fault, and another goes on behind it.

    A process that comes to no input ends it: the reader's valid folders cannot be made.
    """
    end, start, began = time.monotonic() + seconds, 0, True
    context = multiprocessing.get_context("spawn")
    while began and time.monotonic() < end:
        began = False
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(
            target=_work, args=(name, end - time.monotonic(), seed, start, sender)
        )
        process.start()
        sender.close()
        with contextlib.suppress(EOFError):
            while True:
                number, outcome = receiver.recv()
                start, began = number + 1, True
                yield number, outcome
        process.join()
        if process.exitcode and began:
            yield start, Outcome(FAULT, f"process died ({process.exitcode})", "the process died")
            start += 1


def keep(out: Path, name: str, seed: int, faults: dict[str, tuple[int, Outcome]]) -> None:
    """Writes the inputs of distinct faults, one folder each, with what happened."""
    if not faults:
        return
    with _quiet():
        seeds = READERS[name].seeds()
        for number, outcome in faults.values():
            folder = out / name.replace(" ", "_") / str(number)
            shutil.rmtree(folder, ignore_errors=True)
            (folder / "input").mkdir(parents=True)
            make_input(name, seeds, seed, number, folder / "input")
            text = f"{outcome.fault}\n\n{outcome.detail}"
            (folder / "fault.txt").write_text(text, "utf-8", "backslashreplace")


def main() -> None:
    """Fuzzes the readers one after another, and adds the row of each."""
    parser = new_parser(__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="of all readers together")
    parser.add_argument("--readers", default=",".join(READERS), help="names, with commas")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--faults", type=Path, default=Path("fuzz_faults"), help="a folder for their inputs"
    )
    options = begin(parser, lambda _: [*linux(), *fixtures()])
    names = options.readers.split(",")
    if unknown := set(names) - set(READERS):
        parser.error(f"no reader {', '.join(sorted(unknown))}; valid: {', '.join(READERS)}")
    kinds = (ACCEPTED, REFUSED, NAMELESS, FAULT)
    columns = {"reader": "12s"} | dict.fromkeys(("inputs", *kinds, "distinct"), "8,d")
    rows = Rows(columns, options.out)
    for name in names:
        counts: Counter[str] = Counter()
        faults: dict[str, tuple[int, Outcome]] = {}
        seconds = 60 * options.minutes / len(names)
        for number, outcome in fuzz_apart(name, seconds, options.seed):
            counts[outcome.kind] += 1
            known = faults.get(outcome.fault)
            if outcome.fault and (known is None or len(outcome.detail) < len(known[1].detail)):
                faults[outcome.fault] = (number, outcome)
        row = {"reader": name, "inputs": counts.total(), "distinct": len(faults)}
        row |= {kind: counts[kind] for kind in kinds}
        rows.add(row | {"faults": {fault: number for fault, (number, _) in faults.items()}})
        for fault, (number, _) in faults.items():
            print(f"    input {number}: {fault}")
        keep(options.faults, name, options.seed, faults)


if __name__ == "__main__":
    main()
