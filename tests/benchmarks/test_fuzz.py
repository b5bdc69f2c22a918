import contextlib
import io
import itertools
import json
import random
import time
import zipfile

import numpy as np
import pytest

from benchmarks import fuzz, fuzz_mutations
from benchmarks.fuzz import ACCEPTED, FAULT, NAMELESS, REFUSED
from benchmarks.fuzz_readers import READERS, Reader
from geneb_jax.files.json_files import read_object
from model_ports import catalog

INPUTS = 25


@pytest.mark.parametrize("name", READERS)
def test_no_reader_answers_with_a_traceback(name, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    outcomes = [outcome for _, outcome in itertools.islice(fuzz.fuzz(name, 600), INPUTS)]
    wrong = [outcome for outcome in outcomes if outcome.kind in (NAMELESS, FAULT)]
    assert not wrong, wrong[0].detail
    assert len(outcomes) == INPUTS


def no_seeds():
    return []


def judged(tmp_path, read):
    return fuzz.attempt(Reader(no_seeds, read), tmp_path)


def test_what_a_reader_does_is_judged(tmp_path, monkeypatch):
    (tmp_path / "mine.json").write_text("[1")
    assert judged(tmp_path, lambda _: None) == fuzz.Outcome(ACCEPTED)
    assert judged(tmp_path, lambda folder: read_object(folder / "mine.json")).kind == REFUSED
    # The project's error, which names no file; an error of a library; an error of the language.
    assert judged(tmp_path, lambda _: catalog.get("none")).kind == NAMELESS
    assert judged(tmp_path, lambda _: json.loads("[1")).kind == FAULT
    found = judged(tmp_path, lambda _: {}["a"])
    assert found.kind == FAULT and "KeyError" in found.detail
    monkeypatch.setattr(fuzz, "MOST_LETTERS", 10)
    assert judged(tmp_path, lambda folder: read_object(folder / "mine.json")).kind == FAULT
    monkeypatch.setattr(fuzz, "MOST_SECONDS", 1)
    assert judged(tmp_path, lambda _: time.sleep(5)) == fuzz.Outcome(
        FAULT, "slow", "more than 1 seconds"
    )


def test_an_input_is_the_same_for_the_same_seed(tmp_path):
    seeds = READERS["submissions"].seeds()
    contents = []
    for name, seed, number in (("a", 0, 7), ("b", 0, 7), ("c", 0, 8), ("d", 1, 7)):
        folder = tmp_path / name
        folder.mkdir()
        fuzz.make_input("submissions", seeds, seed, number, folder)
        contents.append({p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()})
    assert contents[0] == contents[1]
    assert contents[0] != contents[2] and contents[0] != contents[3]


def npz():
    buffer = io.BytesIO()
    np.savez(buffer, train=np.ones((4, 3)), test=np.ones((2, 3)))
    return buffer.getvalue()


@pytest.mark.parametrize("number", range(60))
def test_structures_stay_readable_where_their_contents_are_damaged(number):
    """A mutation of the structure is one that the format's library still opens."""
    rng = random.Random(number)
    with contextlib.suppress(RecursionError):  # thousands of brackets are among them
        json.loads(fuzz_mutations.damage_json(b'{"a": [1, {"b": "c"}], "d": null}', rng))
    with zipfile.ZipFile(io.BytesIO(fuzz_mutations.damage_npz(npz(), rng))) as archive:
        assert archive.testzip() is None


def test_most_mutations_change_the_content():
    content = b"name,label\na,1\nb,2\n"
    changed = [
        fuzz_mutations.damage("x.csv", content, random.Random(i)) != content for i in range(200)
    ]
    assert sum(changed) > 180
