"""Progress of a run: bars on a terminal, a line a minute elsewhere, and a file for whoever watches.

All three say the same: which model of how many, what is being done with it, how much of that is
done, the time since the run began, and the time that the whole run still takes (see `outlook`).
"""

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from absl import logging
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from geneb_jax.devices.programs import compiling, waited
from geneb_jax.failures import Failures
from geneb_jax.files.atomic import WriteError, write_whole
from geneb_jax.files.json_files import read_object
from geneb_jax.files.texts import FileError
from geneb_jax.ownership import sign_of_life
from geneb_jax.scoring.outlook import SHOWING, Expected, Outlook
from geneb_jax.signals import heard

STATUS = "status.json"
_TICK = 1.0  # seconds between two looks of the bars and the file
_LINE = 60.0  # seconds between two lines where there is no terminal
_NOTHING = "reading tasks and models"
_OF_MODELS = ("embed", "probe")  # stages whose time is summed over the runs in a workdir

State = Literal["running", "done", "interrupted", "failed"]


class _Taken(NamedTuple):
    """What the runs in a workdir have taken for a model.

    Attributes:
        identity: What its features depend on; time of others of its name is not its own.
        seconds: By stage, those of `_OF_MODELS`.
    """

    identity: str
    seconds: Mapping[str, float]


@dataclass
class _Stage:
    """What is done at the moment; the thread that shows it reads one stage or the next.

    Attributes:
        name: What is done, such as 'embed'.
        began: When it began, by the monotonic clock.
        waited: Seconds that the run had waited for programs by then; see `programs.waited`.
        total: How many units there are; 0: they are not counted.
        unit: What is counted, such as 'records'.
        weight: The sum of what the units weigh.
        done: Units that are done.
        weight_done: What these weigh.
        in_hand: What units weigh that were taken up and are not done.
        worked: Seconds of work when a unit was done last.
        model: The model that it is of; empty: it is of the run.
        taken: What each model had taken when it began; see `RunProgress.taken`.
    """

    name: str
    began: float
    waited: float = 0.0
    total: int = 0
    unit: str = ""
    weight: float = 0.0
    done: int = 0
    weight_done: float = 0.0
    in_hand: float = 0.0
    worked: float = 0.0
    model: str = ""
    taken: Mapping[str, _Taken] = field(default_factory=dict)

    def spent(self) -> tuple[float, float]:
        """Returns the seconds of work so far, and those of waiting for programs."""
        waiting = waited() - self.waited
        return max(time.monotonic() - self.began - waiting, 0.0), waiting

    def taken_so_far(self) -> Mapping[str, _Taken]:
        """Returns what each model has taken, this stage included."""
        if self.name not in _OF_MODELS or self.model not in self.taken:
            return self.taken
        identity, seconds = self.taken[self.model]
        more = {self.name: seconds.get(self.name, 0.0) + sum(self.spent())}
        return {**self.taken, self.model: _Taken(identity, {**seconds, **more})}

    def share(self) -> float:
        """Returns how much is done, from 0 to 1."""
        return min(self.weight_done / self.weight, 1.0) if self.weight else 0.0

    def share_in_hand(self) -> float:
        """Returns how much was taken up and is not done, from 0 to 1."""
        return min(self.in_hand / self.weight, 1.0 - self.share()) if self.weight else 0.0

    def since(self) -> float:
        """Returns for how many seconds of work nothing was done."""
        worked, _ = self.spent()
        return max(worked - self.worked, 0.0)

    def counted(self) -> str:
        """Returns how much is done, in words; empty where nothing is counted."""
        return f"{self.done:,} of {self.total:,} {self.unit}" if self.total else ""


class RunProgress:
    """What a run is doing, said while it is inside `shown`.

    Attributes:
        console: Shows the bars.
        failures: The run's; they are counted.
        workdir: Takes status.json.
    """

    def __init__(self, console: Console, failures: Failures, workdir: Path) -> None:
        """Begins to count the time."""
        self.console = console
        self.failures = failures
        self.workdir = workdir
        self._file: Path | None = None
        self._lost = False  # whether the file could not be written when it was tried last
        self._models = 0
        self._outlook = Outlook(())
        self._began = self._said = time.monotonic()
        self._number, self._model = 0, ""
        self._stage = _Stage(_NOTHING, self._began)

    def begin(
        self,
        expected: Sequence[Expected],
        rates: Mapping[str, float] = MappingProxyType({}),
        showing: float = 0.0,
    ) -> None:
        """Says what there is to do, and writes status.json from now on; see `Outlook`."""
        self._models, self._outlook = len(expected), Outlook(expected, rates, showing)
        self._file = self.workdir / STATUS
        self._stage.taken = _taken_before(self._file)

    def elapsed(self) -> float:
        """Returns the seconds since the run began."""
        return time.monotonic() - self._began

    def next_model(self, name: str) -> None:
        """Says that the next model is taken up."""
        taken = self._end_stage()
        self._outlook.next_model()
        self._number += 1
        self._model = name
        self._stage = _Stage("load", time.monotonic(), waited(), model=name, taken=taken)

    def identify(self, identity: str) -> None:
        """Says what the features of the model that is taken up depend on.

        Time that another one of its name took in the workdir, such as with other weights, is not
        the model's.
        """
        taken, model = self._stage.taken, self._stage.model
        if model not in taken or taken[model].identity != identity:
            self._stage.taken = {**taken, model: _Taken(identity, {})}

    def taken(self) -> dict[str, dict[str, float]]:
        """Returns the seconds by model and stage, 'embed' and 'probe', of all runs in the workdir.

        A run that was killed counts until a second before its end.
        """
        return {
            name: {stage: round(each.seconds[stage], 3) for stage in each.seconds}
            for name, each in self._stage.taken_so_far().items()
        }

    def stage(self, stage: str, total: int = 0, unit: str = "", weight: float = 0.0) -> None:
        """Says that another stage of the model, or of the run, begins.

        Args:
            stage: What is done, such as 'embed'.
            total: How many units there are; 0: they are not counted.
            unit: What is counted, such as 'records'.
            weight: The sum of what `advance` is told, where units take times of their own.
        """
        taken = self._end_stage()
        if stage == SHOWING:  # which is behind the last model
            self._model = ""
        self._stage = _Stage(
            stage,
            time.monotonic(),
            waited(),
            total,
            unit,
            weight or total,
            model=self._model,
            taken=taken,
        )

    def advance(self, done: int, weight: float | None = None) -> None:
        """Says that units were done; what they weigh is their number unless it is given."""
        stage, weighed = self._stage, done if weight is None else weight
        stage.done += done
        stage.weight_done += weighed
        stage.in_hand = max(stage.in_hand - weighed, 0.0)
        stage.worked, _ = stage.spent()

    def take_up(self, weight: float) -> None:
        """Says that units of some weight are in hand; `advance` says when they are done."""
        self._stage.in_hand += weight

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Shows the progress while inside, and writes at the end how the run ended."""
        bars = _bars(self.console)
        run_bar = bars.add_task("", total=None, text="")
        stage_bar = bars.add_task("", total=None, text="")

        def look(state: State) -> None:
            bars.update(run_bar, **self._run_bar())
            bars.update(stage_bar, **self._stage_bar())
            self._write(state)

        stopped, signalled = threading.Event(), threading.Event()

        def hear(_: str) -> None:
            signalled.set()
            self._write("interrupted")  # a second signal ends the process at once

        def watch() -> None:
            while not stopped.wait(_TICK):
                look("interrupted" if signalled.is_set() else "running")
                self._say()
                sign_of_life(self.workdir)

        state: State = "failed"
        watching = threading.Thread(target=watch, daemon=True)
        with bars, heard(hear):
            watching.start()
            try:
                yield
                state = "done"
            except KeyboardInterrupt:
                state = "interrupted"
                raise
            finally:
                stopped.set()
                watching.join()
                look(state)

    def _end_stage(self) -> Mapping[str, _Taken]:
        """Says that the stage has ended, and returns what each model has taken."""
        stage = self._stage
        share = stage.share() if stage.total else 1.0
        self._outlook.ended(stage.name, *stage.spent(), share)
        return stage.taken_so_far()

    def _remaining(self, stage: _Stage) -> float | None:
        """Returns the seconds that the whole run still takes, in some stage; None: not known."""
        return self._outlook.remaining(
            stage.name, *stage.spent(), stage.share(), stage.share_in_hand(), stage.since()
        )

    def _remaining_of(self, stage: _Stage) -> float | None:
        """Returns the seconds of work that some stage still takes; None: it is not known."""
        worked, _ = stage.spent()
        return self._outlook.left_of_stage(
            stage.name, worked, stage.share(), stage.share_in_hand(), stage.since()
        )

    def _left(self, stage: _Stage) -> str:
        """Returns what compiles, or else the time that is left of some stage, in words."""
        if compiled := compiling():
            return f"compiling {compiled}"
        remaining = self._remaining_of(stage)
        return "" if remaining is None else f"about {duration(remaining)}"

    def _time(self, stage: _Stage) -> str:
        """Returns the time of the whole run, that so far and that which is left."""
        so_far = f"{duration(self.elapsed())} so far"
        if not self._models:
            return so_far
        remaining = self._remaining(stage)
        left = "not known" if remaining is None else f"about {duration(remaining)}"
        return f"{so_far}, left: {left}"

    def _which_model(self) -> str:
        return f"model {self._number} of {self._models}, {self._model}" if self._model else ""

    def _run_bar(self) -> dict[str, Any]:
        failed = len(self.failures.found)
        elapsed = self._time(self._stage)
        return {
            "description": self._which_model() or self._stage.name,
            "total": self._models or None,
            "completed": self._number - bool(self._model),
            "text": f"{elapsed}, {failed} failed" if failed else elapsed,
        }

    def _stage_bar(self) -> dict[str, Any]:
        stage = self._stage
        return {
            "description": f"  {stage.name}",
            "total": stage.weight or None,
            "completed": stage.weight_done,
            "text": ", ".join(filter(None, [stage.counted(), self._left(stage)])),
            "visible": bool(stage.total),
        }

    def _say(self) -> None:
        """Logs a line a minute where bars cannot be seen."""
        now = time.monotonic()
        if self.console.is_terminal or now - self._said < _LINE:
            return
        self._said = now
        stage = self._stage
        what = " ".join(filter(None, [stage.name, stage.counted()]))
        what = ", ".join(filter(None, [what, self._left(stage)]))
        parts = [self._which_model(), what, self._time(stage)]
        logging.info("%s", "; ".join(filter(None, parts)))

    def _write(self, state: State) -> None:
        if self._file is None:
            return
        stage = self._stage
        content = {
            "state": state,
            "model": self._model,
            "number": self._number,
            "models": self._models,
            "stage": stage.name,
            "unit": stage.unit,
            "done": stage.done,
            "total": stage.total,
            "compiling": compiling(),
            "elapsed": round(self.elapsed(), 1),
            "remaining": 0.0 if state == "done" else _rounded(self._remaining(stage)),
            "stage_remaining": _rounded(self._remaining_of(stage)),
            "taken": {name: each._asdict() for name, each in stage.taken_so_far().items()},
            "failures": len(self.failures.found),
            "failed": [failure._asdict() for failure in [*self.failures.found]],
            "process": os.getpid(),
            "host": socket.gethostname(),
            "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        }
        text = (json.dumps(content, indent=1) + "\n").encode()
        try:
            write_whole(self._file, text, durable=False)
            self._lost = False
        except WriteError as error:
            if state != "running":
                _write_over(self._file, text)
            elif not self._lost:
                logging.warning("%s is not up to date: %s", self._file, error.strerror)
            self._lost = True


def _taken_before(file: Path) -> dict[str, _Taken]:
    """Returns what earlier runs in a workdir took; nothing, with a warning, where it is damaged."""
    try:
        before = read_object(file).get("taken", {}) if file.is_file() else {}
        return {
            name: _Taken(str(each["identity"]), {k: float(s) for k, s in each["seconds"].items()})
            for name, each in before.items()
        }
    except (FileError, AttributeError, KeyError, TypeError, ValueError) as error:
        logging.warning("%s: the time that earlier runs took is not known: %s", file, error)
        return {}


def _write_over(file: Path, content: bytes) -> None:
    """Writes a file over the one that is there, which a full disk has room for."""
    with suppress(OSError), file.open("r+b") as there:  # a disk that is gone: nobody can be told
        there.write(content)
        there.truncate()


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def duration(seconds: float) -> str:
    """Returns a time as hours, minutes and seconds: 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn(
            "{task.description}", table_column=Column(overflow="ellipsis", no_wrap=True, ratio=1)
        ),
        BarColumn(),
        TextColumn("{task.fields[text]}"),
        console=console,
        transient=True,
        redirect_stderr=sys.stderr.isatty(),  # lines of the log stand above the bars
        disable=not console.is_terminal,
    )
