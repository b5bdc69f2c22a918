"""Where the processes of a run meet: the first listens, the others come and ask it for work.

    other                                 first
    hello, its facts             -->      one that differs ends the run before it starts
    ask for work on a model      -->      its share of the records, later a task to probe, or none
    shared, result               -->      ...
    leave                       <-->      leave: a signal, an error
    alive                       <-->      alive, some times a minute

Messages are JSON objects, a line each, over one TCP connection a process. Whoever dies loses its
connection, and the system of its host says so at once; a host that is lost, or a process that is
held, is missed when it has said nothing for a time. The first takes back what a lost process was
to do; without the first the others have nothing to go on with, and end.
"""

import errno
import json
import os
import queue
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from absl import logging

from geneb_jax.devices.processes import Process
from geneb_jax.signals import GOES_ON, Interrupted, heard, interrupt
from model_ports.exits import FAILED, INTERRUPTED, WRONG, words_of

_PROGRAM = "geneb_jax"  # the first word of every process; other programs say others
_BEAT = 5.0  # seconds between two signs of life; less where silence is to be noticed sooner
_GREETING = 10.0  # seconds within which a program at the other end says who it is
_RETRY = 0.2  # seconds between two trials to reach the first process
_SHOWN_NUMBERS = 8  # of processes that have not come
_SHOWN = 200  # letters of a fact that differs
_LONGEST = 2**30  # bytes of a message; predictions of a task take the most

Message = dict[str, Any]
Facts = Mapping[str, Any]
Here = TypeVar("Here", "First", "Peer")


class MeetingError(ValueError):
    """The processes cannot run together; the message names the one and what to do."""


class _Wire:
    """Sends and receives messages over a connection, from any thread."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("rb")
        self._sending = threading.Lock()

    def send(self, kind: str, **content: Any) -> None:
        """Sends a message; that the other end is gone is found by whoever receives."""
        line = json.dumps({"kind": kind, **content}).encode() + b"\n"
        with self._sending, suppress(OSError):
            self._connection.sendall(line)

    def receive(self, seconds: float | None = None) -> dict[str, Any] | None:
        """Waits for a message; None: the other end is gone, silent for so long, or no process."""
        try:
            self._connection.settimeout(seconds)
            message = json.loads(self._lines.readline(_LONGEST))
        except (OSError, ValueError):
            return None
        return message if isinstance(message, dict) and "kind" in message else None

    def close(self) -> None:
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()


class _Other:
    """What the first process knows of another one.

    Attributes:
        wire: The connection.
        name: Its number, host and process id, as messages name it.
        facts: What it has read; None: it has not told yet.
        lost: Why it is not counted on any more; empty: it is.
        asked: The index of the model that it waits for work on; None: it does not wait.
        past: The index of the last model that it does nothing for any more.
        unable: The indices of models that it cannot do anything for.
        shared: The index of the last model of which it was given a share.
        sharing: The index of the model whose records it embeds; None: it does not.
        job: The number of the task that it probes; None: none.
        heard: When it was heard of last, by the monotonic clock.
        problems: What it could not do.
    """

    def __init__(self, wire: _Wire, name: str) -> None:
        self.wire, self.name = wire, name
        self.facts: Facts | None = None
        self.lost = ""
        self.asked: int | None = None
        self.past = -1
        self.unable: set[int] = set()
        self.shared = -1
        self.sharing: int | None = None
        self.job: int | None = None
        self.heard = time.monotonic()
        self.problems: list[str] = []


class First:
    """The first process of a run, which gives the others work; alone it does all itself.

    Attributes:
        process: This one.
        token: A word that no other run has; the others are told it.
    """

    def __init__(self, process: Process, seconds: float, fail_fast: bool = False) -> None:
        """Listens at the address of the first process.

        Args:
            process: This one.
            seconds: How long the others may be missing or silent.
            fail_fast: Whether an error of another process ends the run.

        Raises:
            MeetingError: The port is in use, or the address is not this host's.
        """
        self.process, self._seconds, self._fail_fast = process, seconds, fail_fast
        self.token = uuid.uuid4().hex
        self._changed = threading.Condition()
        self._others: dict[int, _Other] = {}
        self._order: dict[str, int] = {}  # the index of each model
        self._model, self._offer = -1, ""  # what is offered of it: nothing yet, 'embed' or 'probe'
        self._work: Message = {}
        self._jobs: deque[int] = deque()
        self._all_jobs: Sequence[Message] = ()
        self._take: Callable[[int, Message], None] = lambda *_: None
        self._error: BaseException | None = None
        self._began = self._left = False
        self._listening = _listen(process) if process.count > 1 else None
        self._stop = threading.Event()
        if self._listening:
            threading.Thread(target=self._beat, daemon=True).start()

    # Before the run ------------------------------------------------------------------------------

    def gather(self) -> None:
        """Waits until all processes have come.

        Raises:
            MeetingError: Some have not within the time, or do not belong together.
        """
        if self._listening is None:
            return
        deadline = time.monotonic() + self._seconds
        said = False
        while missing := [n for n in range(1, self.process.count) if n not in self._others]:
            self._raise()
            left = deadline - time.monotonic()
            if left <= 0:
                which = f"process {missing[0]}" + (
                    f" and {len(missing) - 1} more" if len(missing) > 1 else ""
                )
                raise MeetingError(
                    f"{which} of {self.process.count} did not come to {self.process.address} "
                    f"(host {socket.gethostname()}) within {self._seconds:.0f} s; start all, each "
                    "with its own number, or raise config.peer_seconds"
                )
            if not said and self._seconds - left > _BEAT:
                said = True
                numbers = ", ".join(map(str, missing[:_SHOWN_NUMBERS]))
                more = ", ..." if len(missing) > _SHOWN_NUMBERS else ""
                logging.info("waiting for process %s%s of %d", numbers, more, self.process.count)
            self._listening.settimeout(min(left, _BEAT))
            with suppress(TimeoutError):
                self._admit(_Wire(self._listening.accept()[0]))
        self._listening.close()
        logging.info("all %d processes are here", self.process.count)

    def agree(self, facts: Facts, models: Sequence[str]) -> None:
        """Waits until all have read their input, and compares it with what this one has read.

        Args:
            facts: Values by name, such as {'config.seeds': '13', "task 'X'": SHA-256}.
            models: The names of the models, in the order in which they are worked on.

        Raises:
            MeetingError: A process has read something else, or could not read it.
        """
        self._order = {name: index for index, name in enumerate(models)}
        for other in self._others.values():
            with self._changed:
                self._changed.wait_for(lambda o=other: o.facts is not None or o.lost or self._error)
            self._raise()
            if other.facts is not None and (found := _difference(facts, other.facts)):
                raise MeetingError(f"{other.name}: {found}; start all with the same command")
        with self._changed:
            self._began = True
        self._tell_all("agreed")

    # During the run ------------------------------------------------------------------------------

    def next_model(self, name: str) -> None:
        """Says that a model is taken up; nothing of the ones before is offered any more."""
        self._change(_model=self._order.get(name, -1), _offer="", _jobs=deque[int]())

    def share(self, work: Message) -> None:
        """Lets the others embed their shares.

        Args:
            work: What they are told, JSON.
        """
        self._change(_offer="embed", _work=work)

    def wait_for_shares(self) -> None:
        """Waits until every other process has embedded its share of the model, or is lost."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or not any(map(self._owes, self.living())))
        self._raise()

    def deal(self, jobs: Sequence[Message], take: Callable[[int, Message], None]) -> Iterator[int]:
        """Deals jobs to all processes, one at a time.

        Args:
            jobs: What the others are told of each, JSON.
            take: Called in another thread with the number of a job that another process has done,
                and what it says of it.

        Yields:
            The number of each job that is to be done here. It ends when all jobs are done.
        """
        self._change(_offer="probe", _all_jobs=jobs, _take=take, _jobs=deque(range(len(jobs))))
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._error or self._jobs or all(o.job is None for o in self.living())
                )
                self._raise()
                if not self._jobs:
                    return
                number = self._jobs.popleft()
            yield number

    def finish(self, result: Any) -> None:
        """Lets the others end.

        Args:
            result: What they are told of the run, JSON.
        """
        self._change(_model=len(self._order), _left=True)
        self._tell_all("done", result=result)

    def leave(self, reason: str, status: int) -> None:
        """Tells the others why this process ends; they end too."""
        if not self._left:
            self._left = True
            self._tell_all("leave", reason=reason, status=status)
            self._turn_away(reason, status)

    def close(self) -> None:
        """Ends all connections."""
        self._left = True
        self._stop.set()
        for other in self._others.values():
            other.wire.close()
        if self._listening:
            self._listening.close()

    def living(self) -> list[_Other]:
        """Returns the other processes that are counted on."""
        return [other for other in [*self._others.values()] if not other.lost]

    def others(self) -> list[dict[str, Any]]:
        """Returns the number and name of each other process, and what was lost or said of it."""
        return [
            {"process": number, "name": other.name, "lost": other.lost, "problems": other.problems}
            for number, other in sorted(self._others.items())
        ]

    # ---------------------------------------------------------------------------------------------

    def _admit(self, wire: _Wire) -> None:
        """Takes a process in that has come, or says what is wrong with it."""
        hello = wire.receive(_GREETING)
        if hello is None or hello.get("program") != _PROGRAM:
            wire.close()  # a scanner of ports, say
            return
        number, count, name = hello["number"], hello["count"], hello["name"]
        problem = ""
        if count != self.process.count:
            problem = f"it is one of {count} processes, the first one of {self.process.count}"
        elif number in self._others:
            problem = f"its number is taken by {self._others[number].name}"
        if problem:
            reason = f"{name}: {problem}; start all with the same command, each with its own number"
            wire.send("leave", reason=reason, status=WRONG)
            wire.close()
            raise MeetingError(reason)
        other = self._others[number] = _Other(wire, name)
        wire.send("welcome", name=_name(self.process), token=self.token)
        threading.Thread(target=self._listen_to, args=(other,), daemon=True).start()

    def _turn_away(self, reason: str, status: int) -> None:
        """Tells processes that have come and were not taken in yet why this one ends."""
        with suppress(OSError):  # none has come, or nobody is listened to any more
            while self._listening:
                self._listening.settimeout(0)
                wire = _Wire(self._listening.accept()[0])
                # What is not read would make the system throw away what is sent.
                if wire.receive(_RETRY) is not None:
                    wire.send("leave", reason=reason, status=status)
                wire.close()

    def _listen_to(self, other: _Other) -> None:
        while (message := other.wire.receive()) is not None:
            other.heard = time.monotonic()
            if message["kind"] != "alive":
                self._hear(other, message)
        self._lose(other, f"{other.name} is lost: it was killed, or its host is gone")

    def _hear(self, other: _Other, message: Message) -> None:
        kind = message["kind"]
        if kind == "leave":
            self._let_go(other, message["reason"], message["status"])
            return
        if kind == "result":
            job = other.job
            try:
                self._take(job if job is not None else -1, message | {"process": other.name})
            except BaseException as error:  # such as a full disk: of the whole run
                self._error = error
        # Of a model that this process does not evaluate either it has failures of its own.
        if message.get("problem") and message["model"] in self._order:
            other.problems.append(message["problem"])
            logging.warning("%s: %s", other.name, message["problem"])
        with self._changed:
            index = self._order.get(message.get("model", ""), -1)
            if kind == "facts":
                other.facts = message["facts"]
            elif kind == "ask":
                other.asked, other.past = index, max(other.past, index - 1)
            elif kind == "shared":
                other.sharing = None
            elif kind == "unable":
                other.unable.add(index)
                other.sharing = None
                self._take_back(other)
            elif kind == "result":
                other.job = None
            self._serve()

    def _let_go(self, other: _Other, reason: str, status: int) -> None:
        """Hears that a process ends, and why."""
        if status == INTERRUPTED:
            interrupt(reason)
        elif status == WRONG and not self._began:
            self._error = MeetingError(reason)
        elif self._fail_fast:
            self._error = ValueError(reason)
        self._lose(other, reason, said=status == INTERRUPTED or self._error is not None)

    def _lose(self, other: _Other, reason: str, said: bool = False) -> None:
        """Counts no more on a process; the reason names it."""
        with self._changed:
            if other.lost or self._left:
                return
            other.lost = reason
            self._take_back(other)
            self._serve()
        other.wire.close()
        if not said:
            logging.warning("%s; its work is done by the others", reason)

    def _take_back(self, other: _Other) -> None:
        """Takes the job of a process that does not do it."""
        if other.job is not None:
            self._jobs.appendleft(other.job)
            other.job = None

    def _owes(self, other: _Other) -> bool:
        """Says whether a process is still to embed its share of the model."""
        if other.sharing == self._model:
            return True
        done = self._model <= max(other.past, other.shared) or self._model in other.unable
        return not done

    def _change(self, **state: Any) -> None:
        with self._changed:
            for name, value in state.items():
                setattr(self, name, value)
            self._serve()

    def _serve(self) -> None:
        """Answers the processes that wait for work, as far as there is something to say."""
        for other in self.living():
            if other.asked is not None and (answer := self._answer(other, other.asked)):
                other.asked = None
                other.wire.send("work", **answer)
        self._changed.notify_all()

    def _answer(self, other: _Other, asked: int) -> Message | None:
        """What a process that asks for work on a model is to do; None: it waits."""
        if asked == self._model and self._offer == "embed" and other.shared < asked:
            other.shared = other.sharing = asked
            return {"do": "embed", **self._work}
        if asked == self._model and self._offer == "probe" and self._jobs:
            other.job = self._jobs.popleft()
            return {"do": "probe", **self._all_jobs[other.job]}
        over = asked < self._model or (asked == self._model and self._offer == "probe")
        return {"do": "nothing"} if over else None

    def _raise(self) -> None:
        if self._error:
            raise self._error

    def _tell_all(self, kind: str, **content: Any) -> None:
        for other in self.living():
            other.wire.send(kind, **content)

    def _beat(self) -> None:
        while not self._stop.wait(min(_BEAT, self._seconds / 4)):
            self._tell_all("alive")
            for other in self.living():
                if time.monotonic() - other.heard > self._seconds:
                    reason = f"{other.name} was not heard of for {self._seconds:.0f} s"
                    other.wire.send("leave", reason=reason, status=INTERRUPTED)
                    self._lose(other, reason)


class Peer:
    """A process other than the first.

    Attributes:
        process: This one.
        token: See `First`.
    """

    def __init__(self, process: Process, seconds: float) -> None:
        """Comes to the first process.

        Args:
            process: This one.
            seconds: How long the first may be missing or silent.

        Raises:
            MeetingError: It is not reached, or this process does not belong to its run.
        """
        self.process, self._seconds = process, seconds
        self._wire, welcome = _reach(process, seconds)
        self._first, self.token = welcome["name"], welcome["token"]
        self._answers: queue.Queue[Message | None] = queue.Queue()
        self._end: MeetingError | Interrupted | None = None
        self._began = self._left = False
        self._heard = time.monotonic()
        self._stop = threading.Event()
        for work in (self._listen, self._beat):
            threading.Thread(target=work, daemon=True).start()

    def agree(self, facts: Facts) -> None:
        """Tells the first process what was read here, and waits until all agree.

        Args:
            facts: See `First.agree`.

        Raises:
            MeetingError: A process has read something else, or could not read it.
        """
        self._wire.send("facts", facts=facts)
        self._answer()

    def ask(self, model: str) -> Message:
        """Waits for something to do for a model: 'do' is 'embed', 'probe' or 'nothing'."""
        self._wire.send("ask", model=model)
        answer = self._answer()
        if answer["kind"] == "done":  # this process was behind, and is not needed
            self._answers.put(answer)
            return {"do": "nothing"}
        return answer

    def tell(self, kind: str, **content: Any) -> None:
        """Tells the first process that something is done, or cannot be.

        Args:
            kind: 'shared': the share of a model, 'result': a job, 'unable': nothing of a model.
            content: 'model', 'problem' where there is one, and what came of a job; JSON.
        """
        self._wire.send(kind, **content)

    def finish(self) -> Any:
        """Waits until the first process is done, and returns what it says of the run."""
        while (answer := self._answer())["kind"] != "done":
            pass  # the answer to an `ask` that crossed the first process's 'done'
        return answer["result"]

    def leave(self, reason: str, status: int) -> None:
        """Tells the first process why this one ends."""
        if not self._left:
            self._left = True
            self._wire.send("leave", reason=reason, status=status)

    def close(self) -> None:
        """Ends the connection."""
        self._left = True
        self._stop.set()
        self._wire.close()

    def _answer(self) -> Message:
        message = self._answers.get()
        if message is None:
            assert self._end is not None
            raise self._end
        return message

    def _listen(self) -> None:
        while (message := self._wire.receive()) is not None:
            self._heard = time.monotonic()
            if message["kind"] == "leave":
                self._ended(message["reason"], message["status"])
            elif message["kind"] != "alive":
                self._began |= message["kind"] == "agreed"
                self._left |= message["kind"] == "done"
                self._answers.put(message)
        self._ended(
            f"the first process, {self._first}, is lost: it was killed, or its host is gone",
            INTERRUPTED,
        )

    def _ended(self, reason: str, status: int) -> None:
        """Ends this process with the first; before the run in the main thread's next step."""
        if self._left:
            return
        self._left = True
        wrong = status == WRONG and not self._began
        self._end = MeetingError(reason) if wrong else Interrupted(f"{reason}; {GOES_ON}")
        if self._began:
            interrupt(reason)
        self._answers.put(None)

    def _beat(self) -> None:
        while not self._stop.wait(min(_BEAT, self._seconds / 4)):
            self._wire.send("alive")
            if time.monotonic() - self._heard > self._seconds:
                reason = f"was not heard of for {self._seconds:.0f} s"
                self._ended(f"the first process, {self._first}, {reason}", INTERRUPTED)


@contextmanager
def in_touch(here: Here) -> Iterator[Here]:
    """Tells the other processes why this one ends, where it ends inside by a signal or an error."""
    try:
        with heard(lambda what: here.leave(f"{_name(here.process)}: {what}", INTERRUPTED)):
            yield here
    except BaseException as error:
        here.leave(*_why(error, here.process))
        raise
    finally:
        here.close()


def _why(error: BaseException, process: Process) -> tuple[str, int]:
    """Returns what an error tells the other processes, in a line, and the status it ends with."""
    lines = [line for line in words_of(error).split("\n") if line] or [type(error).__name__]
    text = lines[0] + (f" (and {len(lines) - 1} more lines)" if len(lines) > 1 else "")
    if isinstance(error, KeyboardInterrupt):
        return f"{_name(process)}: {text.removesuffix(f'; {GOES_ON}')}", INTERRUPTED
    status = WRONG if isinstance(error, ValueError) else FAILED
    return text if isinstance(error, MeetingError) else f"{_name(process)}: {text}", status


def _name(process: Process) -> str:
    return (
        f"process {process.number} of {process.count} (number {os.getpid()} on host "
        f"{socket.gethostname()})"
    )


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _listen(process: Process) -> socket.socket:
    host, port = _split(process.address)
    here = host in ("localhost", "127.0.0.1", "::1")  # nobody else is to reach it
    deadline = time.monotonic() + 2.0
    while True:
        try:
            return socket.create_server((host if here else "", port), backlog=process.count)
        except OverflowError as error:
            raise MeetingError(f"{process.address}: {error}") from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                time.sleep(_RETRY)  # of a run that has just ended, or of a peer's trial
                continue
            mend = {
                errno.EADDRINUSE: "another program, or another run, uses this port; name another",
                errno.EACCES: "ports below 1024 are the system's; name one above",
            }.get(error.errno or 0, "name a free port of this host")
            raise MeetingError(
                f"the first process cannot listen at port {port} of host {socket.gethostname()}: "
                f"{os.strerror(error.errno or 0)}; {mend}"
            ) from error


def _reach(process: Process, seconds: float) -> tuple[_Wire, Message]:
    """Returns a connection to the first process, and its welcome."""
    deadline, began, said = time.monotonic() + seconds, time.monotonic(), False
    name = _name(process)
    while True:
        try:
            connection = socket.create_connection(_split(process.address), timeout=_BEAT)
            if connection.getsockname() == connection.getpeername():
                connection.close()  # with itself: nobody has this port yet
                raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
            break
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
        if time.monotonic() > deadline:
            raise MeetingError(
                f"{name} does not reach the first process at {process.address} within "
                f"{seconds:.0f} s: {reason}; start process 0 there, or correct the address"
            )
        if not said and time.monotonic() - began > _BEAT:
            said = True
            logging.info("waiting for the first process at %s: %s", process.address, reason)
        time.sleep(_RETRY)
    wire = _Wire(connection)
    wire.send("hello", program=_PROGRAM, number=process.number, count=process.count, name=name)
    answer = wire.receive(max(_GREETING, deadline - time.monotonic()))
    kind = answer and answer["kind"]
    if answer is None or kind not in ("welcome", "leave"):
        raise MeetingError(
            f"{name}: what answers at {process.address} is not the first process; another program "
            "has this port, or the first has ended: look at its output, or name another port"
        )
    if kind == "leave":
        raise MeetingError(answer["reason"])
    return wire, answer


def _difference(ours: Facts, theirs: Facts) -> str:
    """Returns in words the first fact in which two processes differ; empty: there is none."""
    for name in dict.fromkeys([*ours, *theirs]):
        if ours.get(name) != theirs.get(name):
            here, there = (
                str(facts[name])[:_SHOWN] if name in facts else "not there"
                for facts in (ours, theirs)
            )
            return f"{name} is {there}, and {here} in the first process"
    return ""
