"""What processes compare before they begin, and the sign by which they know a shared folder."""

import dataclasses
import json
from pathlib import Path
from typing import Any, cast

import ml_collections
import numpy as np
import pytest
from etils import epath

from geneb_jax import agreement
from geneb_jax.agreement import facts, look_for_first, shown_to_others
from geneb_jax.config import ConfigError, parse_config
from geneb_jax.devices.meeting import First
from geneb_jax.devices.processes import Process
from geneb_jax.files.atomic import leftovers
from geneb_jax.tasks.synthetic import synthetic_tasks

TASK = synthetic_tasks()[0]
TOKEN = "0123456789abcdef" * 2


def settings(**fields):
    return parse_config(ml_collections.ConfigDict({"models": "kmer-2", **fields}))


@dataclasses.dataclass
class Stub:
    """A process, as far as agreement looks at it."""

    process: Process
    token: str = TOKEN


FIRST = cast(Any, Stub(Process(0, 2, "localhost:7000")))
PEER = cast(Any, Stub(Process(1, 2, "localhost:7000")))


def difference(ours, theirs):
    """The names of the facts in which two processes differ."""
    return {name for name in ours | theirs if ours.get(name) != theirs.get(name)}


@pytest.mark.parametrize(
    ("fields", "differ"),
    [
        ({"seeds": "42"}, {"config.seeds"}),
        ({"models": "kmer-3"}, {"config.models"}),
        ({"batch_tokens": 64}, {"config.batch_tokens"}),
        ({"processes": "1/2@localhost:7000"}, set()),
        ({"tasks_dir": "."}, set()),
        ({"checkpoints_dir": "."}, set()),
        ({"embeddings_dir": "elsewhere", "cache_dir": "none"}, set()),
    ],
)
def test_what_changes_results_is_compared_and_where_things_are_is_not(fields, differ):
    assert difference(facts(settings(), [TASK]), facts(settings(**fields), [TASK])) == differ


def test_facts_are_texts_that_survive_being_sent():
    found = facts(settings(), [TASK])
    assert json.loads(json.dumps(found)) == found
    assert all(isinstance(value, str) for value in found.values())
    assert {"package jax", "package numpy", "package geneb-jax"} <= found.keys()


def test_tasks_are_compared_by_their_content():
    labels = np.array(TASK.train.labels)
    labels[0] = 1 - labels[0]
    other = dataclasses.replace(TASK, train=dataclasses.replace(TASK.train, labels=labels))
    name = f"the content of task '{TASK.info.id}'"
    assert difference(facts(settings(), [TASK]), facts(settings(), [other])) == {name}
    assert difference(facts(settings(), [TASK]), facts(settings(), [])) == {name}


def test_a_folder_that_the_first_shows_is_known_and_another_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(agreement, "_SEEN_WITHIN", 0.3)
    folder, mine = epath.Path(tmp_path / "shared" / "embeddings"), epath.Path(tmp_path / "mine")
    known = facts(settings(), [])
    with shown_to_others(FIRST, folder):
        assert look_for_first(PEER, folder).items() <= known.items()
        (other,) = look_for_first(PEER, mine).items()
        assert other[0] in known and other[1].startswith(f"another one, {mine} on host ")
        stranger = cast(Any, Stub(PEER.process, "f" * 32))
        assert not look_for_first(stranger, folder).items() <= known.items()
        assert not list(leftovers(tmp_path))  # no other run clears the sign of a living one
    assert not list(tmp_path.iterdir())


def test_what_came_into_the_folder_stays_when_the_sign_goes(tmp_path):
    folder = epath.Path(tmp_path / "embeddings")
    with pytest.raises(KeyError), shown_to_others(FIRST, folder):
        (folder / "model").mkdir()
        raise KeyError
    assert [path.name for path in Path(folder).iterdir()] == ["model"]


def test_a_folder_that_takes_nothing_is_named(tmp_path):
    (tmp_path / "file").touch()
    words = r"config\.embeddings_dir: .*file/x: nothing can be written there"
    with (
        pytest.raises(ConfigError, match=words),
        shown_to_others(FIRST, epath.Path(tmp_path / "file" / "x")),
    ):
        pass


def test_a_process_alone_shows_nothing(tmp_path):
    folder = epath.Path(tmp_path / "embeddings")
    with shown_to_others(First(Process(), 1), folder):
        assert not folder.exists()
