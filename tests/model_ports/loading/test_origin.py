"""Whose weights a folder holds, as far as that can be known."""

import json
import shutil
from dataclasses import replace

import pytest
from golden_ports import GOLDEN

from model_ports import catalog
from model_ports.loading import fetch
from model_ports.loading.convert import convert
from model_ports.loading.converted import read_manifest
from model_ports.loading.identity import checkpoint_facts
from model_ports.loading.origin import Origin, is_published, recorded_origin

NAME = "nucleotide-transformer-v2-50m-3mer-multi-species"
ENTRY = catalog.get(NAME)
REPO, REVISION = fetch.checkpoint_source(ENTRY)
FILES = ("config.json", "vocab.txt", "model.safetensors")


def put(folder, content=FILES):
    folder.mkdir(parents=True)
    for name in content:
        shutil.copy(GOLDEN / NAME / name, folder / name)
    return folder


@pytest.fixture
def staged(tmp_path, monkeypatch):
    """A folder as `models fetch` leaves it."""

    def fetch_into(_, folder):
        for name in FILES:
            shutil.copy(GOLDEN / NAME / name, folder / name)
        return folder

    monkeypatch.setattr(fetch, "fetch_checkpoint", fetch_into)
    return fetch.stage(ENTRY, tmp_path / "staged")


def change(path):
    """Another weight: the file's last byte."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_what_was_fetched_is_published_until_it_changes(staged):
    assert recorded_origin(staged, checkpoint_facts(staged)) == Origin(REPO, REVISION)
    assert is_published(ENTRY, staged)
    change(staged / "model.safetensors")
    assert recorded_origin(staged, checkpoint_facts(staged)) == Origin(None, None)
    assert not is_published(ENTRY, staged)


def test_a_weight_file_that_came_later_is_not_published(staged):
    shutil.copy(staged / "model.safetensors", staged / "more.safetensors")
    assert not is_published(ENTRY, staged)


def test_another_revision_or_repository_is_not_published(staged):
    for key, other in (("revision", "0" * 40), ("repo", "somebody/tuned")):
        entry = replace(ENTRY, source={**ENTRY.source, key: other})
        assert not is_published(entry, staged)


def test_a_folder_of_unknown_origin_is_not_published(tmp_path):
    assert not is_published(ENTRY, put(tmp_path / NAME))
    assert not is_published(ENTRY, GOLDEN / NAME)


def test_a_revision_in_the_hubs_cache_is_published(tmp_path):
    cache = f"models--{REPO.replace('/', '--')}"
    assert is_published(ENTRY, put(tmp_path / cache / "snapshots" / REVISION))
    assert not is_published(ENTRY, put(tmp_path / cache / "snapshots" / ("0" * 40)))
    assert not is_published(ENTRY, put(tmp_path / "models--somebody--tuned/snapshots" / REVISION))
    assert not is_published(ENTRY, put(tmp_path / cache / REVISION))


def test_a_converted_checkpoint_is_judged_by_what_it_was_made_from(staged, tmp_path):
    good, _ = convert(ENTRY, staged, tmp_path / "good")
    assert read_manifest(good)["source"]["revision"] == REVISION
    assert is_published(ENTRY, good)
    change(staged / "model.safetensors")  # source.json stays, and is no proof any more
    tuned, _ = convert(ENTRY, staged, tmp_path / "tuned")
    assert read_manifest(tuned)["source"]["revision"] is None
    assert not is_published(ENTRY, tuned)


def test_digests_that_the_catalog_states_are_proof(tmp_path):
    folder = put(tmp_path / NAME)
    facts = checkpoint_facts(folder)
    stated = [{"to": name, "sha256": known["sha256"]} for name, known in facts.items()]
    nowhere = {**ENTRY.source, "repo": None, "revision": None}

    def judged(files):
        return is_published(replace(ENTRY, source=nowhere, files=files), folder)

    assert judged(stated)
    weights = [file for file in stated if file["to"] == "model.safetensors"]
    assert judged(weights)
    assert not judged([file for file in stated if file not in weights])
    assert not judged([{**file, "sha256": None} for file in weights])
    assert not judged([*weights, {"to": "config.json", "sha256": "0" * 64}])
    (folder / "source.json").write_text(
        json.dumps({"repo": None, "revision": None, "files": facts})
    )
    assert not judged([])  # files fetched by hand without a stated digest: no one vouches for them
