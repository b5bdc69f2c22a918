import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import stress_tears
from benchmarks.stress_tears import KINDS, TEARS, dead_process, tear
from geneb_jax.files.atomic import is_alive, remove_leftovers
from geneb_jax.ownership import owned

FILES = {
    "work/scores.csv": b"model,task\n",
    "work/cells/m/r/t.json": b'{"rows": []}',
    "work/embeddings/m/r/keys-1-2.npy": b"keys",
    "embeddings/m/r/values-2.npy": b"values",
    "cache/geneb_jax/programs/p-cache": b"program",
}


def written(folder):
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@given(st.binary(max_size=50), st.randoms(use_true_random=False))
def test_tears_are_what_their_names_say(content, rng):
    torn = {name: change(content, rng) for name, change in TEARS.items()}
    assert content.startswith(torn["truncated"])
    assert len(torn["truncated"]) < len(content) or not content
    tail = torn["zero-filled tail"]
    assert len(tail) == len(content)
    kept = next((i for i in range(len(tail)) if tail[i] != content[i]), len(tail))
    assert not any(tail[kept:])
    assert torn["emptied"] == b""
    assert torn["garbage appended"].startswith(content)
    assert len(torn["garbage appended"]) > len(content)


def test_files_of_every_kind_there_are_torn(tmp_path):
    rng, seen = random.Random(0), set()
    for _ in range(1000):
        written(tmp_path)
        if torn := tear(tmp_path, rng):
            kind, how, path = torn
            seen.add((kind, how))
            name = str(path.relative_to(tmp_path))
            if how in TEARS and name in FILES:  # or owner.json, of a run that was left
                assert path.read_bytes() != FILES[name] or how == "zero-filled tail"
            if how == "removed":
                assert not path.exists()
    kinds = {"scores.csv", "cells", "keys", "values", "programs", "owner.json"}
    assert {kind for kind, how in seen if how in TEARS} == kinds < set(KINDS)
    assert {how for kind, how in seen if kind == "keys"} == {*TEARS, "removed", "left-over"}


def test_left_over_files_and_owners_are_those_of_dead_runs(tmp_path):
    assert not is_alive(dead_process())
    rng = random.Random(0)
    while not (left := sorted(tmp_path.rglob("*.tmp"))):
        tear(written(tmp_path), rng)
    assert remove_leftovers(tmp_path) == left


@pytest.mark.parametrize("how", stress_tears.OWNERS)
def test_a_run_takes_the_workdir_of_an_owner_that_was_left(tmp_path, how):
    path = tmp_path / "owner.json"
    stress_tears.OWNERS[how](path)
    assert json.loads(path.read_text())["start"] == "long ago"
    with owned(tmp_path):
        assert json.loads(path.read_text())["start"] != "long ago"
