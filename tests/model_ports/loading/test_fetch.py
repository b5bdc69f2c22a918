"""Against a small hub on loopback that can drop connections."""

import hashlib
import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from golden_ports import GOLDEN
from huggingface_hub.errors import LocalEntryNotFoundError

from geneb_jax.files.digests import file_facts
from model_ports import catalog
from model_ports.loading import download, fetch

NAME = "nucleotide-transformer-v2-50m-3mer-multi-species"
ENTRY = catalog.get(NAME)
REPO, REVISION = fetch.checkpoint_source(ENTRY)
SERVED = ("config.json", "vocab.txt", "tokenizer_config.json", "model.safetensors")
FILES = {name: (GOLDEN / NAME / name).read_bytes() for name in SERVED}


def test_a_dropped_connection_is_taken_up_and_the_checkpoint_converts(hub, command, tmp_path):
    hub.drops = 1
    done = command(hub, tmp_path / "home", "fetch", NAME, "--to", tmp_path / "staged")
    assert done.returncode == 0, done.stderr
    assert len([name for name, _ in hub.gets if name == "model.safetensors"]) >= 2
    folder = tmp_path / "staged" / NAME
    assert sorted(p.name for p in folder.iterdir()) == sorted([*SERVED, "source.json"])
    assert [p.name for p in folder.parent.iterdir()] == [NAME]
    source = json.loads((folder / "source.json").read_text())
    assert (source["repo"], source["revision"]) == (REPO, REVISION)
    for name in SERVED:
        assert (folder / name).read_bytes() == FILES[name]
        assert source["files"][name]["sha256"] == hashlib.sha256(FILES[name]).hexdigest()

    again = command(None, tmp_path / "home", "fetch", NAME, "--to", tmp_path / "staged")
    assert again.returncode == 0, again.stderr  # complete: no network is needed

    direct = command(hub, tmp_path / "home", "convert", NAME, "--out", tmp_path / "direct")
    staged = command(
        None, tmp_path, "convert", NAME, "--source", folder, "--out", tmp_path / "converted"
    )
    manifests = []
    for done, out in ((direct, "direct"), (staged, "converted")):
        assert done.returncode == 0, done.stderr
        manifests.append(json.loads((tmp_path / out / NAME / "manifest.json").read_text()))
    assert manifests[1]["source"]["revision"] == REVISION
    assert manifests[0]["weights_id"] == manifests[1]["weights_id"]


def test_what_cannot_be_fetched_leaves_nothing_that_looks_finished(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise LocalEntryNotFoundError("no network")

    monkeypatch.setattr(download, "_silence", lambda *_: None)
    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(fetch.HubError, match=f"{REPO} at revision {REVISION[:8]} cannot be fetch"):
        fetch.stage(ENTRY, tmp_path / "staged")
    assert not (tmp_path / "staged" / NAME).exists()


def test_no_network_leaves_nothing_that_looks_finished_and_is_said_soon(command, tmp_path):
    began = time.monotonic()
    done = command(None, tmp_path / "home", "fetch", NAME, "--to", tmp_path / "staged")
    assert time.monotonic() - began < 15  # the hub's library alone asks for 23 s
    assert done.returncode == 1
    assert "does not answer" in done.stderr.splitlines()[0]
    assert f"{REPO} at revision {REVISION[:8]} cannot be fetched" in done.stderr
    assert not (tmp_path / "staged" / NAME).exists()


def test_a_staged_file_that_changed_is_named(tmp_path):
    folder = Path(shutil.copytree(GOLDEN / NAME, tmp_path / NAME))
    fetch._write_source(folder, REPO, REVISION)
    fetch.stage(ENTRY, tmp_path)
    (folder / "vocab.txt").write_text("other")
    with pytest.raises(fetch.CheckpointError, match=r"vocab\.txt: is not the file"):
        fetch.stage(ENTRY, tmp_path)


BY_HAND = [
    entry.id for entry in catalog.entries().values() if entry.source["kind"] != "huggingface"
]


@pytest.mark.parametrize("name", BY_HAND)
def test_files_to_fetch_by_hand_are_named(name, tmp_path):
    entry = catalog.get(name)
    with pytest.raises(fetch.HubError) as error:
        fetch.stage(entry, tmp_path)
    for file in entry.files:
        words = f"{tmp_path / name / file['to']}: missing; fetch '{file['name']}' from {file['at']}"
        assert words in str(error.value)
        assert f"{file['size']:,} bytes" in str(error.value)


def test_files_fetched_by_hand_are_checked(tmp_path, torch, monkeypatch):
    name = "dna_gpt0.1b_h"
    folder = tmp_path / name
    folder.mkdir()
    path = folder / "dna_gpt0.1b_h.pth"
    path.write_bytes(b"cut off")
    entry = catalog.get(name)
    with pytest.raises(fetch.HubError, match="has 7 bytes; fetch"):
        fetch.stage(entry, tmp_path)
    torch.save({"a": torch.zeros(3)}, path)
    file = dict(entry.files[0]) | {"size": path.stat().st_size}
    entry = replace(entry, files=[file])
    with pytest.raises(fetch.HubError, match="SHA-256 is not the published"):
        fetch.stage(entry, tmp_path)
    file["sha256"] = file_facts(path)["sha256"]
    fetch.stage(entry, tmp_path)
    assert json.loads((folder / "config.json").read_text()) == entry.config
    fetch.stage(entry, tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "not JSON"),
        ("[]", "holds a list"),
        ("{}", "does not name the files of the folder"),
        ('{"files": ["config.json"]}', "does not name the files of the folder"),
        ('{"files": {"../../x": {}}}', "does not name the files of the folder"),
        ('{"files": {"config.json": 3}}', r"config\.json: is not the file that was fetched"),
    ],
)
def test_a_damaged_source_json_is_named(tmp_path, content, words):
    folder = Path(shutil.copytree(GOLDEN / NAME, tmp_path / NAME))
    (folder / fetch.SOURCE).write_text(content)
    with pytest.raises(fetch.CheckpointError, match=words) as error:
        fetch.stage(ENTRY, tmp_path)
    assert len(str(error.value).splitlines()) == 1
