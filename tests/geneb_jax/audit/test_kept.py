import json
from dataclasses import replace

import numpy as np
import pytest

from geneb_jax.audit import audit, kept
from geneb_jax.audit.findings import verdict
from geneb_jax.audit.kept import find_kept, is_kept, make_kept, read_audits
from geneb_jax.benchmark import CUSTOM, TaskInfo
from geneb_jax.config import AuditSettings
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
    assert a.labels == b.labels


def changed(task):
    """Tasks that differ from a task in one thing that an audit depends on."""
    train, test = task.train, task.test
    turned = np.arange(20)[::-1]
    yield Task(task.info, train, Split(test.sequences, 1 - test.labels))
    yield Task(task.info, Split(train.sequences, 1 - train.labels), test)
    yield Task(task.info, Split([s.lower() for s in train.sequences], train.labels), test)
    yield Task(task.info, train, Split(["A", *test.sequences[1:]], test.labels))
    ordered = Split([train.sequences[i] for i in turned], train.labels[turned])
    yield Task(task.info, ordered, test)  # a record's position in its split is a shortcut
    yield Task(task.info, test, train)
    yield Task(task.info, train, Split(test.sequences[:19], test.labels[:19]))


@pytest.mark.parametrize("where", ["the folder", "the cache"])
def test_an_audit_is_kept_while_the_rows_are_the_same(where, tmp_path):
    task, cache = small(), tmp_path / "cache"
    assert find_kept(tmp_path / "a", task, cache) is None
    assert not is_kept(tmp_path / "a", task, cache)
    made = make_kept(tmp_path / "a", task, cache)
    assert made.counts["copies"] == 1 and made.marks[3] == 1
    folder, cache = {
        "the folder": (tmp_path / "a", None),
        "the cache": (tmp_path / "b", cache),
    }[where]
    assert is_kept(folder, task, cache)
    same(find_kept(folder, task, cache), made)
    for other in changed(task):
        assert find_kept(folder, other, cache) is None
        assert not is_kept(folder, other, cache)
    same(find_kept(folder, task, None), made)  # the cache's is in the folder now
    same(read_audits(folder)[0], made)


def test_the_version_of_what_is_found_tells_audits_apart(tmp_path, monkeypatch):
    task = small()
    make_kept(tmp_path, task, None)
    monkeypatch.setattr(kept, "NUMERICS", 0)
    assert find_kept(tmp_path, task, None) is None


def test_equal_rows_have_one_audit_in_the_cache_under_any_name(tmp_path, monkeypatch):
    task, cache = small(), tmp_path / "cache"
    made = make_kept(tmp_path / "a", task, cache)
    monkeypatch.setattr(audit, "audit_task", None)
    other = replace(task, info=TaskInfo("yours", "yours", "Enhancers", "GUE"))
    same(find_kept(tmp_path / "b", other, cache), replace(made, task="yours", category="Enhancers"))
    assert (tmp_path / "b" / "yours.json").is_file()
    assert len(list(cache.iterdir())) == 1


def test_thresholds_of_the_verdict_are_those_of_the_asker(tmp_path):
    task, cache = small(), tmp_path / "cache"
    make_kept(tmp_path / "a", task, cache)
    found = find_kept(tmp_path / "b", task, cache)
    assert verdict(found, None, AuditSettings(leaky_copies=0.05)).word == "leaky"
    assert verdict(found, None, AuditSettings(leaky_copies=0.5)).word == "passed"


def test_a_damaged_audit_is_made_anew(tmp_path):
    task = small()
    first = make_kept(tmp_path, task, None)
    (file,) = tmp_path.iterdir()
    content = json.loads(file.read_text())
    for damaged in ("{", json.dumps(content | {"rows": {}}), json.dumps(content | {"rules": [1]})):
        file.write_text(damaged)
        assert find_kept(tmp_path, task, None) is None
        same(make_kept(tmp_path, task, None), first)
        assert json.loads(file.read_text()) == content


def test_an_audit_that_reading_would_refuse_is_not_kept(tmp_path, monkeypatch):
    task, cache = small(), tmp_path / "cache"
    made = audit.audit_task(task)
    counts = {name: value for name, value in made.counts.items() if name != "n_test"}
    monkeypatch.setattr(audit, "audit_task", lambda _: replace(made, counts=counts))
    with pytest.raises(ValueError, match="could not be read: KeyError\\('n_test'\\)"):
        make_kept(tmp_path / "a", task, cache)
    assert not list(tmp_path.rglob("*.json"))
