import pandas as pd
import pytest

from geneb_jax.presentation.gaps import lacking_seeds, lacking_tasks
from geneb_jax.scoring.scores import PROTOCOL


def results(*rows):
    return pd.DataFrame(rows, columns=["model", "regime", "task", "MCC"])


def scores(*rows):
    table = pd.DataFrame(rows, columns=["model", "regime", "task", "seed", "MCC"])
    return table.assign(preset="none", tap="none", pooling="none", **PROTOCOL)


EVEN = [(m, r, t, 0.5) for m in "AB" for r in ("full", "10shot") for t in ("t1", "t2", "t3")]


def test_nothing_is_said_where_all_have_all():
    assert not list(lacking_tasks(results(*EVEN)))
    full = [(m, "full", t, s, 0.1) for m in "AB" for t in ("t1", "t2") for s in (42, 43)]
    assert not list(lacking_seeds(scores(*full)))


def test_tasks_that_a_model_lacks_are_named_by_regime():
    rows = [row for row in EVEN if row[:2] != ("B", "10shot") or row[2] == "t3"]
    (line,) = lacking_tasks(results(*rows))
    assert line.startswith("B has no score in 10-shot on 2 of 3 tasks (t1, t2): its averages")


def test_a_missing_score_is_none_and_long_lists_are_cut():
    rows = [(*row[:3], float("nan")) if row[:2] == ("A", "full") else row for row in EVEN]
    (line,) = lacking_tasks(results(*rows))
    assert line.startswith("A has no score in full on 3 of 3 tasks (t1, t2 and 1 more): ")


@pytest.mark.parametrize("empty", [True, False])
def test_seeds_that_a_task_lacks_are_counted(empty):
    rows = [(m, "1shot", t, s, 0.1) for m in "AB" for t in ("t1", "t2") for s in (42, 43, 44)]
    gone = rows.index(("B", "1shot", "t2", 43, 0.1))
    rows[gone : gone + 1] = [("B", "1shot", "t2", 43, float("nan"))] if empty else []
    (line,) = lacking_seeds(scores(*rows))
    assert line == (
        "B has 2 of 3 seeds in 1-shot on 1 task (t2): its score there is the mean of these"
    )
