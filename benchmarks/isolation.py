"""Measuring in a process apart, so that what fails, hangs or crashes ends one case alone."""

import gc
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import jax

from benchmarks.rows import Row
from geneb_jax.devices.capacity import out_of_memory

Case = tuple[str, Callable[[], Row]]  # its name, and what measures it

_GRACE = 20.0  # seconds that a case may overrun its part
_COMPILED = "/jax/core/compile/backend_compile_duration"  # JAX's name of the event


@dataclass(frozen=True)
class Session:
    """What a part may need.

    Attributes:
        scale: Sizes.
        rows: Everything that was measured before.
        workdir: Keeps product rates.
    """

    scale: Any
    rows: Sequence[Row]
    workdir: Path


@dataclass(frozen=True)
class Part:
    """A part of what is measured.

    Attributes:
        cases: Yields its cases.
        seconds: How long it may take.
        platform: JAX's name of where it runs; None: on the accelerator.
        needs: Packages that it imports beside those that geneb_jax depends on, and how to get them.
    """

    cases: Callable[[Session], Iterator[Case]]
    seconds: float
    platform: str | None = None
    needs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """What a worker is to measure: a part's cases from number `first` on, for some seconds."""

    part: Part
    session: Session
    first: int
    seconds: float


class Worker:
    """A process in which parts are measured; what hangs or crashes there ends it alone."""

    def __init__(self, platform: str | None):
        self.platform = platform
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, platform), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, request: Request, until: float) -> Iterator[str | Row]:
        """Yields the name of each case as it begins, and its row as it ends.

        Args:
            request: What to measure.
            until: The time, by `time.monotonic`, to wait for it.

        Raises:
            TimeoutError: The time is over.
            EOFError, OSError: The process died.
        """
        self._pipe.send(request)
        while self._pipe.poll(max(until - time.monotonic(), 0.0)):
            message = self._pipe.recv()
            if message is None:
                return
            yield message
        raise TimeoutError

    def end(self) -> None:
        """Ends the process, whatever it does."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _serve(pipe: Connection, platform: str | None) -> None:
    """Answers requests until the other side closes the pipe."""
    if platform:
        jax.config.update("jax_platforms", platform)
    jax.config.update("jax_enable_compilation_cache", False)
    compiled: list[float] = []

    def listen(event: str, duration_secs: float, **_: Any) -> None:
        if event == _COMPILED:
            compiled.append(duration_secs)

    jax.monitoring.register_event_duration_secs_listener(listen)
    while True:
        try:
            request: Request = pipe.recv()
        except EOFError:
            return
        try:
            _answer(request, pipe.send, compiled)
        except Exception as error:  # of what all cases need
            pipe.send({"case": "", "failed": _in_one_line(error)})
        pipe.send(None)


def _answer(request: Request, send: Callable[[Any], None], compiled: list[float]) -> None:
    """Measures the cases of a request; compile times come to `compiled` meanwhile."""
    deadline = time.monotonic() + request.seconds
    for name, measure in islice(request.part.cases(request.session), request.first, None):
        if time.monotonic() > deadline:
            send({"case": name, "failed": "no time was left for it and for those after it"})
            return
        send(name)
        compiled.clear()
        start = time.perf_counter()
        try:
            figures = measure()
        except Exception as error:
            figures = {"failed": _in_one_line(error)}
        costs = {
            "seconds": time.perf_counter() - start,
            "compile_s": sum(compiled),
            "programs": len(compiled),
        }
        send({"case": name} | figures | costs)
        gc.collect()  # weights may be in cycles


def _in_one_line(error: Exception) -> str:
    if out_of_memory(error):
        return "does not fit into memory"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:200]


def measure_parts(
    parts: Mapping[str, Part],
    scale: Any,
    known: Sequence[Row] = (),
    budget: float = float("inf"),
    grace: float = _GRACE,
) -> Generator[Row, None, None]:
    """Yields the rows of parts, each with `part` and `case`.

    Args:
        parts: What to measure, by name, in order.
        scale: Sizes, as the parts understand them.
        known: Rows that were measured before.
        budget: Seconds after which everything has ended.
        grace: Seconds that a case under way may overrun its part.
    """
    rows, worker = list(known), None
    end = time.monotonic() + budget
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name, part in parts.items():
                deadline = min(time.monotonic() + part.seconds, end)
                if deadline <= time.monotonic():
                    yield {"part": name, "case": "", "failed": "no time was left for it"}
                    continue
                first, more = 0, True
                while more:
                    more, case = False, ""
                    if worker and worker.platform != part.platform:
                        worker.end()
                        worker = None
                    worker = worker or Worker(part.platform)
                    seconds = deadline - time.monotonic()
                    request = Request(part, Session(scale, rows, Path(folder)), first, seconds)
                    try:
                        for message in worker.ask(request, min(deadline + grace, end)):
                            if isinstance(message, str):
                                case = message
                                continue
                            rows.append({"part": name} | message)
                            first += 1
                            yield rows[-1]
                        continue
                    except TimeoutError:
                        failed = "took too long and was stopped"
                    except (EOFError, OSError):
                        failed = "the process died"
                        first, more = first + 1, bool(case) and time.monotonic() < deadline
                    worker.end()
                    worker = None
                    rows.append({"part": name, "case": case, "failed": failed})
                    yield rows[-1]
    finally:
        if worker:
            worker.end()
