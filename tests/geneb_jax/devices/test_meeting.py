"""The first process and others in threads, on loopback."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from geneb_jax.devices import meeting
from geneb_jax.devices.meeting import First, MeetingError, Peer, in_touch
from geneb_jax.devices.processes import Process
from geneb_jax.signals import Interrupted
from model_ports.exits import INTERRUPTED

FACTS = {"config.seeds": "(13,)", "the content of task 'a'": "12"}


@pytest.fixture(autouse=True)
def interrupted(monkeypatch):
    """Reasons for which a thread would end this process."""
    reasons = []
    monkeypatch.setattr(meeting, "interrupt", reasons.append)
    return reasons


def free_address():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


def both(first_does, *peers_do, seconds=20, count=None) -> list[Any]:
    """What each process returns, or the error that it ends with; the first is the first."""
    address, count = free_address(), count or 1 + len(peers_do)

    def lead():
        with in_touch(First(Process(0, count, address), seconds)) as first:
            first.gather()
            return first_does(first)

    def help_with(number, does):
        with in_touch(Peer(Process(number, count, address), seconds)) as peer:
            return does(peer)

    with ThreadPoolExecutor(count) as pool:
        ends = [pool.submit(lead)]
        ends += [pool.submit(help_with, n, do) for n, do in enumerate(peers_do, start=1)]
        return [end.exception(60) or end.result() for end in ends]


def agree_and_finish(facts):
    def work(here):
        if isinstance(here, First):
            here.agree(facts, ["m"])
            here.finish(["a failure"])
            return "led"
        here.agree(facts)
        return here.finish()

    return work


def test_processes_that_agree_go_on():
    work = agree_and_finish(FACTS)
    assert both(work, work, work) == ["led", ["a failure"], ["a failure"]]


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (
            FACTS | {"config.seeds": "(42,)"},
            "config.seeds is (42,), and (13,) in the first process",
        ),
        ({"config.seeds": "(13,)"}, "the content of task 'a' is not there, and 12 in the first"),
        (FACTS | {"the content of task 'b'": "7"}, "task 'b' is 7, and not there in the first"),
    ],
)
def test_a_difference_is_named_to_all(theirs, words):
    ends = both(agree_and_finish(FACTS), agree_and_finish(theirs), agree_and_finish(FACTS))
    for end in ends:
        assert isinstance(end, MeetingError)
        assert words in str(end) and "\n" not in str(end)
        assert str(end).startswith(f"process 1 of 3 (number {os.getpid()} on host ")


def test_a_process_that_cannot_read_its_input_ends_all():
    def fail(_):
        raise ValueError("config.tasks_dir: no such folder\nand more")

    first, *others = both(agree_and_finish(FACTS), agree_and_finish(FACTS), fail)
    for end in (first, others[0]):
        assert isinstance(end, MeetingError)
        assert "process 2 of 3" in str(end)
        assert str(end).endswith("config.tasks_dir: no such folder (and 1 more lines)")


def test_a_process_that_was_not_taken_in_yet_is_told_too(monkeypatch):
    address, ends = free_address(), {}

    def peer(number):
        try:
            with in_touch(Peer(Process(number, 3, address), 30.0)):
                raise ValueError("no such folder")
        except Exception as error:
            ends[number] = error

    first = First(Process(0, 3, address), 30.0)
    real = First._admit

    def admit_one(self, wire):
        """The one that fails is there; the other has come meanwhile and waits."""
        real(self, wire)
        late.start()
        deadline = time.monotonic() + 30
        while not self._error and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.0)  # the late one is connected

    monkeypatch.setattr(First, "_admit", admit_one)
    failing, late = (threading.Thread(target=peer, args=(n,)) for n in (2, 1))
    failing.start()
    with pytest.raises(MeetingError, match="process 2 of 3"), in_touch(first):
        first.gather()
    for thread in (failing, late):
        thread.join(60)
    assert "process 2 of 3" in str(ends[1]) and "no such folder" in str(ends[1])


@pytest.mark.parametrize("numbers", [(1, 3), (1, 2)])
def test_numbers_that_do_not_fit_are_named(numbers):
    address = free_address()
    number, count = numbers
    first = First(Process(0, 3, address), 20)
    with ThreadPoolExecutor(2) as pool, in_touch(first):
        gathered = pool.submit(first.gather)
        pool.submit(Peer, Process(1, 3, address), 20).result(20)
        with pytest.raises(MeetingError) as refused:
            Peer(Process(number, count, address), 20)
        with pytest.raises(MeetingError) as ended:
            gathered.result(20)
    wrong = "its number is taken by process 1 of 3" if count == 3 else "it is one of 2 processes"
    assert wrong in str(refused.value) and str(refused.value) == str(ended.value)


def test_a_process_that_does_not_come_is_named_within_the_time():
    start = time.monotonic()
    ends = both(lambda _: None, agree_and_finish(FACTS), seconds=1, count=4)
    assert time.monotonic() - start < 10
    for end in ends:
        assert isinstance(end, MeetingError)
        assert "process 2 and 1 more of 4 did not come to 127.0.0.1:" in str(end)
        assert "within 1 s; start all" in str(end)


def test_a_first_process_that_is_not_there_is_named_within_the_time():
    start = time.monotonic()
    with pytest.raises(MeetingError, match=r"does not reach the first process at .*refused"):
        Peer(Process(1, 2, free_address()), 1)
    assert time.monotonic() - start < 10


def test_a_port_in_use_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(MeetingError, match=f"port {port} of host .*in use; another program"):
            First(Process(0, 2, f"127.0.0.1:{port}"), 1)


def test_another_program_at_the_port_is_named(monkeypatch):
    monkeypatch.setattr(meeting, "_GREETING", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as other:  # it takes the connection, and is silent
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(MeetingError, match=f"what answers at {address} is not the first"):
            Peer(Process(1, 2, address), 0.5)


def test_another_program_that_comes_is_not_taken_for_a_process(monkeypatch):
    monkeypatch.setattr(meeting, "_GREETING", 0.5)
    address = free_address()
    first = First(Process(0, 2, address), 20)
    with ThreadPoolExecutor(1) as pool, in_touch(first):
        gathered = pool.submit(first.gather)
        for words in (b"", b"GET / HTTP/1.1\r\n\r\n", b'{"kind": "hello"}\n', b"[1]\n"):
            with socket.create_connection(meeting._split(address)) as stranger:
                stranger.sendall(words)
                stranger.recv(100)
        with in_touch(Peer(Process(1, 2, address), 20)):
            gathered.result(20)


def work_on(shares, dies=None):
    """What a process other than the first does for the model 'm': notes what it is given."""

    def work(peer):
        peer.agree(FACTS)
        mine = []
        while (given := peer.ask("m"))["do"] != "nothing":
            if given["do"] == dies:
                peer.close()  # as the system does for a process that dies
                return mine
            mine.append(given)
            if given["do"] == "embed":
                shares.append(peer.process.number)
                peer.tell("shared", model="m", problem="")
            else:
                peer.tell("result", model="m", failed="", square=given["number"] ** 2)
                time.sleep(0.02)
        return peer.finish() or mine

    return work


def lead(found, shares=True):
    def work(first):
        first.agree(FACTS, ["m"])
        first.next_model("m")
        if shares:
            first.share({"tasks": ["a"]})
            first.wait_for_shares()
        jobs = [{"number": number} for number in range(20)]
        for number in first.deal(jobs, lambda n, message: found.update({n: message["square"]})):
            found[number] = number**2
            time.sleep(0.01)
        first.finish([])
        return len(first.living())

    return work


SQUARES = {number: number**2 for number in range(20)}


def test_shares_and_jobs_are_dealt_once():
    found, shares = {}, []
    ends = both(lead(found), work_on(shares), work_on(shares))
    assert ends[0] == 2 and found == SQUARES and sorted(shares) == [1, 2]
    given = [message["number"] for end in ends[1:] for message in end if message["do"] == "probe"]
    assert given and len(given) == len(set(given))


def test_an_answer_that_comes_after_done_is_passed_over():
    said = threading.Event()

    def lead_late(first):
        """Says that it is done before it has heard the question, which is answered after that."""
        first.agree(FACTS, ["m", "n"])
        first._tell_all("done", result=["a failure"])
        said.set()
        first._change(_model=2)
        time.sleep(0.5)

    def ask_late(peer):
        peer.agree(FACTS)
        said.wait(20)
        given = [peer.ask("m")]
        while peer._answers.qsize() < 2:  # 'done', and the answer
            time.sleep(0.01)
        return [*given, peer.ask("n")], peer.finish()

    nothing = {"do": "nothing"}
    given, result = both(lead_late, ask_late)[1]
    assert [{"do": message["do"]} for message in given] == [nothing, nothing]
    assert result == ["a failure"]


def test_a_model_that_a_process_cannot_check_is_not_waited_for_and_is_listed():
    found, shares = {}, []

    def unable(peer):
        peer.agree(FACTS)
        peer.tell("unable", model="m", problem="model 'm' failed (check): damaged")
        peer.tell("unable", model="other", problem="the first lists it itself")
        return peer.finish()

    problems = []

    def listing(first):
        lead(found)(first)
        problems.extend(other["problems"] for other in first.others())

    both(listing, unable, work_on(shares))
    assert found == SQUARES and shares == [2]
    assert problems == [["model 'm' failed (check): damaged"], []]


@pytest.mark.parametrize("dies", ["embed", "probe"])
def test_the_work_of_a_process_that_dies_is_done_by_the_others(dies, caplog):
    found, shares = {}, []
    ends = both(lead(found), work_on(shares, dies), work_on(shares))
    assert ends[0] == 1 and found == SQUARES
    assert "process 1 of 3" in caplog.text and "is lost: it was killed" in caplog.text


def test_a_process_that_is_silent_is_not_waited_for(interrupted, caplog):
    found = {}

    def silent(peer):
        peer.agree(FACTS)
        assert peer.ask("m")["do"] == "embed"
        peer._stop.set()  # it lives, and says nothing more
        time.sleep(3)
        with pytest.raises(Interrupted, match="was not heard of for 1 s; the same command"):
            peer.ask("m")

    ends = both(lead(found), silent, seconds=1)
    assert ends == [0, None] and found == SQUARES
    assert "process 1 of 2" in caplog.text and "was not heard of for 1 s" in caplog.text
    assert len(interrupted) == 1


def test_without_the_first_the_others_end(interrupted):
    def die(first):
        first.agree(FACTS, ["m"])
        first.close()

    def wait(peer):
        peer.agree(FACTS)
        peer.ask("m")

    _, end = both(die, wait)
    assert isinstance(end, Interrupted) and str(end).startswith(
        f"{interrupted[0]}; the same command"
    )
    assert interrupted[0].startswith("the first process, process 0 of 2 (number ")
    assert interrupted[0].endswith("is lost: it was killed, or its host is gone")


def test_an_error_of_a_result_ends_the_first():
    def take(*_):
        raise OSError(28, "No space left on device")

    def do(first):
        first.agree(FACTS, ["m"])
        first.next_model("m")
        for _ in first.deal([{"number": 0}] * 50, take):
            time.sleep(0.02)

    first, other = both(do, work_on([]))
    assert isinstance(first, OSError) and "No space" in str(first)
    assert isinstance(other, Interrupted) and "No space left on device" in str(other)


# The first process of a run, in a process of its own: a signal ends it.
FIRST = """
import sys
import threading
from geneb_jax.devices.meeting import First, in_touch
from geneb_jax.devices.processes import Process
from geneb_jax.signals import ending_on_signals

with ending_on_signals(), in_touch(First(Process(0, 2, sys.argv[1]), 20)) as first:
    first.gather()
    print("gathered", flush=True)
    first.agree({}, ["m"])
"""


def test_a_signal_of_one_ends_the_other():
    address = free_address()
    with subprocess.Popen(
        [sys.executable, "-c", FIRST, address], stdout=subprocess.PIPE, text=True
    ) as first:
        wire, _ = meeting._reach(Process(1, 2, address), 60)
        assert first.stdout is not None and first.stdout.readline() == "gathered\n"
        first.send_signal(signal.SIGTERM)
        while (message := wire.receive(10)) and message["kind"] == "alive":
            pass
        assert first.wait(20) == INTERRUPTED
    assert message["status"] == INTERRUPTED
    assert message["reason"].startswith("process 0 of 2 (number ")
    assert message["reason"].endswith("): interrupted by SIGTERM")


def test_messages_keep_every_digit():
    here, there = socket.socketpair()
    content = {"rows": [[0.1 + 0.2, 1e-300, None, "é"]]}
    meeting._Wire(here).send("result", **content)
    assert meeting._Wire(there).receive(5) == {"kind": "result", **content}
    here.close()
    there.close()
