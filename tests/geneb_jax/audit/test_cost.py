import numpy as np
import pytest

from geneb_jax.audit.cost import announced, expected_seconds, seconds_of
from geneb_jax.benchmark import CUSTOM, TaskInfo
from geneb_jax.tasks.task import Split, Task


def test_the_cost_of_a_task_is_that_of_its_records_and_letters():
    train, test = (Split(["ACGT" * 25] * n, np.zeros(n, np.int64)) for n in (3000, 1000))
    task = Task(TaskInfo("mine", "mine", CUSTOM, CUSTOM), train, test)
    assert expected_seconds(task) == pytest.approx(seconds_of(4000, 400_000))
    # That of the 29 real files of docs/measured.md, as it was measured.
    assert 29 * seconds_of(441_176 // 29, 49_041_890 // 29) == pytest.approx(9.9, rel=0.2)


def test_what_is_announced_names_the_switch():
    assert announced(1, 0.2) == (
        "the audit of 1 task takes about 1 s of one core, once for all runs; "
        "--config.audit=False leaves it out"
    )
    assert "of 29 tasks takes about 11 s" in announced(29, 11.4)
