import threading
from dataclasses import replace

import numpy as np
import pytest

from geneb_jax.config import default_config, parse_config
from geneb_jax.scoring import ahead
from geneb_jax.tasks.synthetic import synthetic_tasks

PROBES = parse_config(default_config()).probes
TASKS = synthetic_tasks()


def with_rows(task, rows):
    labels = np.arange(rows) % 2
    train = replace(task.train, sequences=["ACGT"] * rows, labels=labels)
    return replace(task, train=train)


def test_each_shape_is_compiled_once_the_largest_first(monkeypatch):
    asked, all_of_them = [], threading.Event()

    def compile_task(labels, width, **how):
        assert how == {
            "probes": ahead.probes_of(PROBES), "shots": PROBES.regimes, "seeds": PROBES.seeds
        }  # fmt: skip
        asked.append((len(labels), width))
        if len(asked) == 2:
            all_of_them.set()

    monkeypatch.setattr(ahead, "compile_task", compile_task)
    tasks = [with_rows(TASKS[0], rows) for rows in (30, 400, 395)]  # 395 and 400 are padded alike
    with ahead.compiling_ahead(PROBES, tasks, [8, 8]):
        assert all_of_them.wait(60)
    assert asked == [(395, 8), (30, 8)]


def test_nothing_is_begun_once_the_block_has_ended(monkeypatch):
    asked, begun, go_on = [], threading.Event(), threading.Event()

    def compile_task(labels, width, **_):
        asked.append(width)
        begun.set()
        assert go_on.wait(60)

    monkeypatch.setattr(ahead, "compile_task", compile_task)
    with ahead.compiling_ahead(PROBES, TASKS[:1], [4, 8, 16]):
        assert begun.wait(60)
        threading.Timer(0.2, go_on.set).start()
    assert asked == [16]


def test_an_error_of_the_block_is_not_held_up(monkeypatch):
    begun, go_on = threading.Event(), threading.Event()

    def compile_task(labels, width, **_):
        begun.set()
        go_on.wait(60)

    monkeypatch.setattr(ahead, "compile_task", compile_task)
    with (
        pytest.raises(KeyError),
        ahead.compiling_ahead(PROBES, TASKS[:1], [4]),
    ):
        assert begun.wait(60)
        raise KeyError
    go_on.set()


def test_what_cannot_be_compiled_is_left_to_the_fit(monkeypatch, caplog):
    caplog.set_level("INFO")

    begun = threading.Event()

    def compile_task(labels, width, **_):
        begun.set()
        raise ValueError("no such program")

    monkeypatch.setattr(ahead, "compile_task", compile_task)
    with ahead.compiling_ahead(PROBES, [with_rows(TASKS[0], 8)], [4]):
        assert begun.wait(60)
    assert caplog.messages == [
        "probes of 8 rows of 4 features in 2 classes are not compiled ahead: no such program"
    ]


def test_nothing_is_compiled_without_widths(monkeypatch):
    monkeypatch.setattr(ahead, "compile_task", lambda *_, **__: pytest.fail("compiled"))
    with ahead.compiling_ahead(PROBES, TASKS, ()):
        pass
