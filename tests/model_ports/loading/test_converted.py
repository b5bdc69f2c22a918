import json

import jax
import numpy as np
import pytest

from geneb_jax.files import digests
from model_ports import catalog
from model_ports.loading import converted
from model_ports.loading.convert import convert
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.loading.tensors import CheckpointError

NAME = "GENERator-eukaryote-1.2b-base"
ENTRY = catalog.get(NAME)


def largest(folder):
    return max((folder / "params").rglob("*"), key=lambda p: p.stat().st_size if p.is_file() else 0)


def flip(path):
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)


def edit(folder, change):
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_parameters_are_restored_in_the_wanted_dtype(source, made, dtype):
    ours = jax.tree.leaves(load_port(plan_checkpoint(ENTRY, made), dtype=dtype).state)
    theirs = jax.tree.leaves(load_port(plan_checkpoint(ENTRY, source), dtype=dtype).state)
    for mine, expected in zip(ours, theirs, strict=True):
        assert mine.dtype == expected.dtype == dtype
        np.testing.assert_array_equal(mine, expected)


def test_large_parameters_are_cut_into_chunks(source, tmp_path, monkeypatch):
    monkeypatch.setattr(converted, "_CHUNK_BYTES", 300)
    made, _ = convert(ENTRY, source, tmp_path / "out")
    shape = json.loads((made / "params/tokens.embedding/.zarray").read_text())["chunks"]
    assert np.prod(shape) * 4 <= 300
    for ours, theirs in zip(
        jax.tree.leaves(load_port(plan_checkpoint(ENTRY, made)).state),
        jax.tree.leaves(load_port(plan_checkpoint(ENTRY, source)).state),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / "vocab.txt").unlink(), r"vocab\.txt: missing"),
        (lambda f: largest(f).write_bytes(b"short"), "5 bytes, but manifest"),
        (lambda f: largest(f).rename(f / "params/renamed"), "missing; manifest"),
        (lambda f: (f / "params/more").write_bytes(b"x"), "more: manifest.json does not name it"),
        (lambda f: (f / "config.json").write_text(" " + (f / "config.json").read_text()), "bytes"),
        (lambda f: flip(f / "vocab.txt"), r"vocab\.txt: its contents are not those"),
        (lambda f: (f / "manifest.json").write_text("{}"), "not a readable manifest"),
        (lambda f: edit(f, lambda m: m.update(format=9)), "format 9"),
        (lambda f: edit(f, lambda m: m.update(source=[])), "not a readable manifest"),
        (lambda f: edit(f, lambda m: m.update(model="GROVER")), "holds model 'GROVER'"),
        (lambda f: edit(f, lambda m: m["files"].update({"../x": {}})), "outside its folder"),
        (lambda f: edit(f, lambda m: m["parameters"].pop("norm.scale")), "'norm.scale' is absent"),
        (lambda f: edit(f, lambda m: m["parameters"]["norm.scale"].update(shape=[3])), r"is \[3\]"),
    ],
)
def test_a_damaged_conversion_is_named(made, damage, words):
    damage(made)
    with pytest.raises(CheckpointError, match=words):
        plan_checkpoint(ENTRY, made)


def test_every_byte_is_compared(source, made, monkeypatch):
    monkeypatch.setattr(digests, "_SMALL", 0)  # as files of many MiB are
    plan_checkpoint(ENTRY, made)
    flip(largest(made))
    with pytest.raises(CheckpointError, match="its contents are not those"):
        plan_checkpoint(ENTRY, made)
    with pytest.raises(CheckpointError, match="its contents are not those"):
        convert(ENTRY, source, made.parent)


def test_files_of_macos_beside_the_parameters_are_left_alone(made):
    (made / "params" / "._norm.scale").write_bytes(b"\0\5\x16\7")
    (made / "._manifest.json").write_bytes(b"\0\5\x16\7")
    load_port(plan_checkpoint(ENTRY, made))


def test_the_identity_of_an_older_conversion_is_of_all_bytes_too(source, made):
    """Older manifests state an identity that did not see the middle of files, and more files."""
    expected = plan_checkpoint(ENTRY, source).weights_id
    edit(made, lambda m: m.update(weights_id="sha256:of some bytes"))
    edit(made, lambda m: m["source"]["files"].update({"cases.json": {"size": 1, "sha256": "0"}}))
    assert plan_checkpoint(ENTRY, made).weights_id == expected
    assert convert(ENTRY, source, made.parent) == (made, False)
