import numpy as np
import pytest
from score_rows import table

from geneb_jax.audit.findings import TaskAudit
from geneb_jax.audit.rules import Rule
from geneb_jax.benchmark import CUSTOM, GENEB
from geneb_jax.presentation.floors import floor_tables

# Two tasks of one category and one of another.
TASKS = [*[t for t in GENEB.tasks if t.category == "Mouse Enh."][:2], GENEB.tasks[0]]
NT = "nucleotide-transformer-v2-50m-multi-species"


def rule(name, train, test):
    return Rule(name, train, test, 1.0, 1.0, test, test)


def audit(info, twin, length):
    judged = [rule("copy", 0.2, 0.9), rule("twin", 0.3, twin), rule("length", 0.1, length),
              rule("position", 1.0, 1.0)]  # fmt: skip
    return TaskAudit(info.id, info.category, {}, judged, np.zeros(0, np.int8), "")


def rows(model, scores, regime="full", seed=13):
    return [
        {"model": model, "task": info.id, "category": info.category, "MCC": MCC, "regime": regime,
         "seed": seed}
        for info, MCC in zip(TASKS, scores, strict=True)
    ]  # fmt: skip


def test_lift_is_over_the_best_floor_of_each_task():
    scores = table(
        *rows("mine", [0.9, 0.8, 0.7]),
        *rows("kmer-4", [0.5, 0.2, 0.1]),
        *rows(f"{NT}:random", [0.95, 0.95, 0.95]),  # of another model: no floor of this one
        *rows("mine:random", [0.4, 0.5, 0.2]),
        *rows("mine:random:1", [0.4, 0.7, 0.4]),
    )
    audits = [audit(info, *values) for info, values in
              zip(TASKS, [(0.1, 0.0), (0.0, 0.1), (0.0, 0.4)], strict=True)]  # fmt: skip
    tables = floor_tables(scores, audits)
    by_task = tables["lift_tasks"].set_index("task").loc[[info.id for info in TASKS]]
    assert by_task["floor"].tolist() == ["kmer-4", "untrained", "shortcut-length"]
    assert by_task["lift"].tolist() == pytest.approx([0.4, 0.2, 0.3])
    (lift,) = tables["lift"].to_dict("records")
    assert lift["macro"] == pytest.approx(np.mean([0.85, 0.7]))
    assert lift["macro floor"] == pytest.approx(np.mean([0.55, 0.4]))
    assert lift["macro lift"] == pytest.approx(np.mean([0.3, 0.3]))
    assert lift["Mouse Enh."] == pytest.approx(0.3) and lift["tasks"] == 3
    macros = tables["floors"].groupby("regime")["macro"]
    assert all(of_regime.is_monotonic_decreasing for _, of_regime in macros)
    floors = tables["floors"].set_index(["floor", "of"])
    assert {floor for floor, _ in floors.index} == {
        "no-model rule", "shortcut-length", "kmer-4", "untrained"
    }  # fmt: skip
    assert floors.loc[("no-model rule", ""), "macro"] == pytest.approx(np.mean([0.05, 0.0]))
    assert floors.loc[("untrained", "mine"), "macro"] == pytest.approx(np.mean([0.5, 0.3]))


def test_a_tiny_model_with_random_weights_is_a_floor_of_none():
    scores = table(
        *rows("mine", [0.5, 0.5, 0.5]),
        *rows("kmer-4", [0.1, 0.1, 0.1]),
        *rows("mine:random:tiny", [0.4, 0.4, 0.4]),
        *rows("mine:random:tiny:1", [0.2, 0.2, 0.2]),
    )
    tables = floor_tables(scores, [])
    assert tables["lift"]["model"].tolist() == ["mine"]
    assert tables["lift_tasks"]["lift"].tolist() == pytest.approx([0.4] * 3)
    floors = tables["floors"].set_index(["floor", "of"])["macro"]
    assert floors.to_dict() == pytest.approx({("untrained", "mine:tiny"): 0.3, ("kmer-4", ""): 0.1})


def test_shortcuts_that_were_run_as_models_count_once_in_every_regime():
    scores = table(
        *rows("mine", [0.5, 0.5, 0.5], "10shot"),
        *rows("shortcut-length", [0.3, 0.2, 0.1], "10shot"),
    )
    tables = floor_tables(scores, [audit(info, 0.0, 0.9) for info in TASKS])
    assert tables["floors"].query("floor == 'shortcut-length'")["regime"].tolist() == ["10shot"]
    assert tables["lift_tasks"]["lift"].tolist() == pytest.approx([0.2, 0.3, 0.4])


def test_without_a_floor_there_are_no_tables():
    assert floor_tables(table(*rows("mine", [0.5, 0.5, 0.5])), []) == {}


def test_custom_tasks_have_a_lift_and_are_in_no_average():
    scores = table(*rows("mine", [0.9, 0.8, 0.7]), *rows("kmer-4", [0.5, 0.2, 0.1]))
    first = scores["task"] == TASKS[0].id
    scores["category"] = scores["category"].where(~first, CUSTOM)
    tables = floor_tables(scores, [])
    by_task = tables["lift_tasks"].set_index("task")["lift"]
    assert by_task[[info.id for info in TASKS]].tolist() == pytest.approx([0.4, 0.6, 0.6])
    (lift,) = tables["lift"].to_dict("records")
    assert (lift["macro lift"], lift["tasks"]) == (pytest.approx(0.6), 2)
    assert CUSTOM not in tables["floors"]
    assert set(floor_tables(scores[first], [])) == {"lift_tasks"}
