import json

import numpy as np

from geneb_jax.audit import audit, kept
from geneb_jax.audit.kept import kept_audit
from geneb_jax.benchmark import CUSTOM, TaskInfo
from geneb_jax.tasks.task import Split, Task


def small():
    rng = np.random.default_rng(0)
    train, test = (
        Split(["".join(rng.choice(list("ACGT"), 30)) for _ in range(20)], rng.integers(0, 2, 20))
        for _ in range(2)
    )
    test.sequences[3] = train.sequences[5]
    return Task(TaskInfo("mine", "mine", CUSTOM, CUSTOM), train, test)


def same(a, b):
    assert a.counts.keys() == b.counts.keys()
    assert repr(list(a.counts.values())) == repr(list(b.counts.values()))
    assert repr(list(a.rules)) == repr(list(b.rules))
    assert np.array_equal(a.marks, b.marks) and (a.task, a.category) == (b.task, b.category)


def test_an_audit_is_kept_while_the_rows_are_the_same(tmp_path, monkeypatch):
    task, calls = small(), []
    made = audit.audit_task
    monkeypatch.setattr(audit, "audit_task", lambda task: calls.append(task) or made(task))
    first = kept_audit(tmp_path, task)
    assert first.counts["copies"] == 1 and first.marks[3] == 1
    same(kept_audit(tmp_path, task), first)
    assert len(calls) == 1
    other = Task(task.info, task.train, Split(task.test.sequences, 1 - task.test.labels))
    assert kept_audit(tmp_path, other).counts["copies"] == 1
    assert len(calls) == 2
    monkeypatch.setattr(kept, "NUMERICS", 0)
    kept_audit(tmp_path, other)
    assert len(calls) == 3


def test_a_damaged_audit_is_made_anew(tmp_path):
    task = small()
    first = kept_audit(tmp_path, task)
    (file,) = tmp_path.iterdir()
    content = json.loads(file.read_text())
    for damaged in ("{", json.dumps(content | {"rows": {}}), json.dumps(content | {"rules": [1]})):
        file.write_text(damaged)
        same(kept_audit(tmp_path, task), first)
        assert json.loads(file.read_text()) == content
