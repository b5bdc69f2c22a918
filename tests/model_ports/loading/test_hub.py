"""The hub here is a small one on loopback."""

import json
import shutil

import jax
import numpy as np
import pytest
from golden_ports import GOLDEN, golden_port

from model_ports import catalog
from model_ports.loading import hub
from model_ports.loading.download import downloaded
from model_ports.loading.fetch import checkpoint_source
from model_ports.loading.planned import PlannedCheckpoint
from model_ports.loading.ports import load_port

NAME = "nucleotide-transformer-v2-50m-3mer-multi-species"
ENTRY = catalog.get(NAME)
REPO, REVISION = checkpoint_source(ENTRY)


def test_a_checkpoint_is_fetched_and_converted_once(tmp_path, monkeypatch):
    fetched = []

    def fetch(entry):
        fetched.append(entry.id)
        return GOLDEN / entry.id

    monkeypatch.setattr(hub, "HF_HOME", str(tmp_path))
    monkeypatch.setattr(hub, "fetch_text_files", lambda entry: GOLDEN / entry.id)
    monkeypatch.setattr(hub, "fetch_checkpoint", fetch)
    before = hub.check_hub_checkpoint(ENTRY, "corrected")
    assert not isinstance(before, PlannedCheckpoint)  # the weights are not there yet
    folder = hub.converted_checkpoint(ENTRY)
    assert folder == hub.converted_checkpoint(ENTRY) == tmp_path / "geneb_jax" / REVISION / NAME
    assert fetched == [NAME]
    after = hub.check_hub_checkpoint(ENTRY, "corrected")
    assert isinstance(after, PlannedCheckpoint)
    assert after.config == before.config
    expected = jax.tree.leaves(golden_port(NAME).state)
    for found, leaf in zip(jax.tree.leaves(load_port(after).state), expected, strict=True):
        np.testing.assert_array_equal(found, leaf)


def test_what_is_there_of_a_checkpoint_is_found_without_a_network(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "HF_HOME", str(tmp_path))
    text = tmp_path / "text"
    text.mkdir()
    states = [None, text, GOLDEN / NAME]  # nothing, some text files, all files
    monkeypatch.setattr(hub, "downloaded", lambda *_: states[0])
    assert hub.checkpoint_there(catalog.get(NAME), "corrected") == (None, False)
    states.pop(0)
    assert hub.checkpoint_there(catalog.get(NAME), "corrected") == (None, False)
    for path in (GOLDEN / NAME).iterdir():
        if path.suffix in (".json", ".txt"):
            shutil.copy(path, text)
    reader, fetched = hub.checkpoint_there(catalog.get(NAME), "corrected")
    assert reader.tokenizer.encode(["ACG"], None)[0].size and not fetched
    states.pop(0)
    reader, fetched = hub.checkpoint_there(catalog.get(NAME), "corrected")
    assert fetched and not isinstance(reader, PlannedCheckpoint)
    monkeypatch.setattr(hub, "fetch_checkpoint", lambda entry: GOLDEN / entry.id)
    hub.converted_checkpoint(catalog.get(NAME))
    reader, fetched = hub.checkpoint_there(catalog.get(NAME), "corrected")
    assert fetched and isinstance(reader, PlannedCheckpoint)


def test_nothing_downloaded_is_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert downloaded("nobody/nothing", "0" * 40) is None


@pytest.mark.slow
def test_first_use_converts_and_later_ones_need_no_network(hub, command, tmp_path):
    records = tmp_path / "records.txt"
    records.write_text("ACGTACGTAACC\nTTGACCA\n")
    found = []
    for served in (hub, None):
        out = tmp_path / f"{len(found)}.npz"
        done = command(served, tmp_path / "home", "embed", "--model", NAME, "--input", records,
                       "--out", out, package="geneb_jax")  # fmt: skip
        assert done.returncode == 0, done.stderr
        with np.load(out) as arrays:
            found.append(arrays["embeddings"])
    np.testing.assert_array_equal(*found)
    assert (tmp_path / "home" / "geneb_jax" / REVISION / NAME / "manifest.json").is_file()
    nowhere = command(None, tmp_path / "empty", "embed", "--model", NAME, "--input", records,
                      "--out", tmp_path / "none.npz", package="geneb_jax")  # fmt: skip
    assert nowhere.returncode == 2
    assert f"geneb-jax models fetch {NAME} --to DIR" in nowhere.stderr


@pytest.mark.slow
def test_any_repository_is_described_at_a_commit(hub, command, tmp_path):
    done = command(hub, tmp_path, "describe", f"{REPO}@{REVISION}", "--name", "mine")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["id"], found["family"], "folder" in found) == ("mine", "esm", False)
    assert found["source"]["repo"] == REPO
    assert found["source"]["revision"] == REVISION
    assert all(name != "model.safetensors" for name, _ in hub.gets)
    (tmp_path / "catalog").mkdir()
    path = tmp_path / "catalog" / "mine.json"
    path.write_text(done.stdout)
    again = command(hub, tmp_path, "describe", f"{REPO}@main")
    assert again.returncode == 2
    assert f"'main' is not a commit; {REVISION} is current" in again.stderr
    taken = command(hub, tmp_path, "describe", f"{REPO}@{REVISION}")
    assert "is a model of the catalog; give another name with --name" in taken.stderr
    offline = command(None, tmp_path, "describe", f"{REPO}-finetuned")  # the catalog knows REPO
    assert "no revision is given; add one, of 40 digits" in offline.stderr


def test_what_is_described_on_the_hub_is_fetched_and_converted_as_the_catalogs(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(hub, "HF_HOME", str(tmp_path))
    monkeypatch.setattr(hub, "fetch_description", lambda repo, revision: GOLDEN / NAME)
    monkeypatch.setattr(hub, "fetch_text_files", lambda entry: GOLDEN / NAME)
    monkeypatch.setattr(hub, "fetch_checkpoint", lambda entry: GOLDEN / NAME)
    entry = hub.describe_repository("me/mine", "a" * 40, "mine")
    assert entry.source["url"] == "https://huggingface.co/me/mine"
    assert not isinstance(hub.check_hub_checkpoint(entry, "corrected"), PlannedCheckpoint)
    folder = hub.converted_checkpoint(entry)
    assert folder == tmp_path / "geneb_jax" / ("a" * 40) / "mine"
    planned = hub.check_hub_checkpoint(entry, "corrected")
    assert isinstance(planned, PlannedCheckpoint)
    assert planned.weights_id == golden_port(NAME).weights_id
