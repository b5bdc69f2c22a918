import threading
from dataclasses import replace

import jax
import numpy as np
import pytest

from geneb_jax.config import default_config, parse_config
from geneb_jax.embedding import kmers
from geneb_jax.run import run
from geneb_jax.scoring import ahead
from geneb_jax.tasks.synthetic import synthetic_tasks
from probes import logistic

PROBES = parse_config(default_config()).probes
TASKS = synthetic_tasks()
OPEN = kmers.KmerSource.open


def with_rows(rows):
    labels = np.arange(rows) % 2
    train = replace(TASKS[0].train, sequences=["ACGT"] * rows, labels=labels)
    return replace(TASKS[0], train=train)


class Compiler:
    """Stands for `compile_task`: notes what is asked, and is at it until it may go on."""

    def __init__(self, monkeypatch, at_once=False):
        self.asked, self.done = [], []
        self.begun, self.go_on = threading.Semaphore(0), threading.Semaphore(1000 * at_once)
        monkeypatch.setattr(ahead, "compile_task", self)

    def __call__(self, labels, width, **how):
        assert how == {
            "probes": ahead.probes_of(PROBES), "shots": PROBES.regimes, "seeds": PROBES.seeds
        }  # fmt: skip
        self.asked.append((len(labels), width))
        self.begun.release()
        assert self.go_on.acquire(timeout=60)
        self.done.append((len(labels), width))


def test_each_shape_is_compiled_once(monkeypatch):
    compiler = Compiler(monkeypatch, at_once=True)
    tasks = [with_rows(rows) for rows in (30, 400, 395, 3000)]  # 395 and 400 are padded alike
    with ahead.compiling_ahead(PROBES, tasks, [8, 8]):
        for _ in range(3):
            assert compiler.begun.acquire(timeout=60)
    assert sorted(compiler.asked) == [(30, 8), (395, 8), (3000, 8)]


def test_the_largest_are_compiled_first_and_waited_for_and_the_smallest_left_to_the_fit(
    monkeypatch,
):
    compiler = Compiler(monkeypatch)
    tasks = [with_rows(rows) for rows in (10, 100, 1000, 10_000)]
    with ahead.compiling_ahead(PROBES, tasks, [4]) as wait_for_programs:
        assert all(compiler.begun.acquire(timeout=60) for _ in range(2))
        assert set(compiler.asked) == {(10_000, 4), (1000, 4)}
        wait_for_programs(tasks[0])  # both threads are at larger ones
        assert not compiler.done
        threading.Timer(0.2, compiler.go_on.release, (1000,)).start()
        wait_for_programs(tasks[3])
        assert (10_000, 4) in compiler.done
        wait_for_programs(tasks[3])
    assert (10, 4) not in compiler.asked
    assert sorted(compiler.asked) == sorted(compiler.done)


def test_at_the_end_of_the_block_nothing_is_begun_and_what_is_at_hand_is_waited_for(monkeypatch):
    compiler = Compiler(monkeypatch)
    with ahead.compiling_ahead(PROBES, TASKS[:1], [4, 8, 16]):
        assert all(compiler.begun.acquire(timeout=60) for _ in range(2))
        threading.Timer(0.2, compiler.go_on.release, (1000,)).start()
    assert len(compiler.done) == len(compiler.asked) >= 2


def test_an_error_of_the_block_is_not_held_up(monkeypatch):
    compiler = Compiler(monkeypatch)
    with pytest.raises(KeyError), ahead.compiling_ahead(PROBES, TASKS[:1], [4, 8, 16]):
        assert all(compiler.begun.acquire(timeout=60) for _ in range(2))
        raise KeyError
    assert not compiler.done
    compiler.go_on.release(1000)
    with ahead.compiling_ahead(PROBES, TASKS[:1], [2]):  # its turn comes when the threads are free
        assert compiler.begun.acquire(timeout=60)
    assert {width for _, width in compiler.asked} == {16, 8, 2}


def test_what_cannot_be_compiled_is_left_to_the_fit(monkeypatch, caplog):
    caplog.set_level("INFO")

    def compile_task(labels, width, **_):
        begun.set()
        raise ValueError("no such program")

    begun, task = threading.Event(), with_rows(8)
    monkeypatch.setattr(ahead, "compile_task", compile_task)
    with ahead.compiling_ahead(PROBES, [task], [4]) as wait_for_programs:
        assert begun.wait(60)
        wait_for_programs(task)
    assert caplog.messages == [
        "probes of 8 rows of 4 features in 2 classes are not compiled ahead: no such program"
    ]


def test_nothing_is_compiled_without_widths(monkeypatch):
    monkeypatch.setattr(ahead, "compile_task", lambda *_, **__: pytest.fail("compiled"))
    with ahead.compiling_ahead(PROBES, TASKS, ()) as wait_for_programs:
        wait_for_programs(TASKS[0])


@pytest.mark.slow
def test_a_run_compiles_each_program_once_whoever_comes_first(tmp_path, monkeypatch):
    monkeypatch.setattr(logistic, "_COMPILED_FROM", 200)  # numbers: 51 rows of 4 features
    compiled = []

    def note(event, _, **facts):
        if event == "/jax/core/compile/backend_compile_duration" and "fit_" in facts["fun_name"]:
            compiled.append(threading.current_thread().name)

    config = default_config()
    config.update({
        "models": "kmer-1", "tasks": "synthetic", "regimes": "full", "seeds": "13",
        "audit": False, "intervals": False, "report": False, "cache_dir": "none",
    })  # fmt: skip
    scores, threads = [], []
    for waits in (False, True):
        with monkeypatch.context() as patch:
            if not waits:
                patch.setattr(kmers.KmerSource, "open", without_widths)
            jax.clear_caches()
            jax.monitoring.register_event_duration_secs_listener(note)
            outcome = run(config, tmp_path / str(waits))
            jax.monitoring.unregister_event_duration_listener(note)
        assert not outcome.failures
        scores.append((tmp_path / str(waits) / "scores.csv").read_bytes())
        threads.append(compiled.copy())
        compiled.clear()
    assert scores[0] == scores[1]
    assert set(threads[0]) == {"MainThread"}
    assert any(name.startswith("compile_probes") for name in threads[1])
    assert len(threads[0]) == len(threads[1]) >= 1


def without_widths(source, workdir):
    return replace(OPEN(source, workdir), widths=())
