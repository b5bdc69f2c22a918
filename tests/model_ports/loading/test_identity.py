"""Two checkpoints have one identity only where every byte that a port is built from agrees."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from golden_ports import FIXTURES, GOLDEN, golden_records
from safetensors.numpy import load_file, save_file

from geneb_jax.files import digests
from model_ports import catalog
from model_ports.loading.convert import convert
from model_ports.loading.identity import (
    TEXT_FILES,
    checkpoint_facts,
    text_facts,
    text_files,
    weights_id,
)
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import random_port
from model_ports.loading.tensors import CheckpointError
from model_ports.tokenizers import KINDS, build_tokenizer, read_files

NAME = "GENERator-eukaryote-1.2b-base"
ENTRY = catalog.get(NAME)


def identity(folder):
    return weights_id(checkpoint_facts(folder))


def widen(folder):
    """Gives a checkpoint weights of some MiB, as real ones have; most of their bytes are alike."""
    fields = json.loads((folder / "config.json").read_text())
    old, new = fields["intermediate_size"], 20_000
    tensors = load_file(folder / "model.safetensors")
    for name, tensor in tensors.items():
        shape = tuple(new if n == old and ".mlp." in name else n for n in tensor.shape)
        tensors[name] = tensor if shape == tensor.shape else np.full(shape, 0.01, np.float32)
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({**fields, "intermediate_size": new}))


def test_one_byte_in_the_middle_is_another_checkpoint(source, tmp_path):
    widen(source)
    tuned = shutil.copytree(source, tmp_path / "tuned")
    path = tuned / "model.safetensors"
    content = bytearray(path.read_bytes())
    assert len(content) > 4 * 2**20
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert plan_checkpoint(ENTRY, source).weights_id != plan_checkpoint(ENTRY, tuned).weights_id

    made, done = convert(ENTRY, source, tmp_path / "out")
    assert done
    with pytest.raises(CheckpointError, match="was converted from other files; remove it"):
        convert(ENTRY, tuned, tmp_path / "out")
    assert convert(ENTRY, source, tmp_path / "out") == (made, False)


def test_the_identity_is_of_names_and_contents(tmp_path):
    (tmp_path / "config.json").write_bytes(b"{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    lines = (
        f"config.json {hashlib.sha256(b'{}').hexdigest()}\n"
        f"model.safetensors {hashlib.sha256(b'weights').hexdigest()}\n"
    )
    assert identity(tmp_path) == f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


@pytest.mark.parametrize("name", ["config.json", "vocab.txt", "model.safetensors", "meta.json"])
def test_each_file_counts(source, name):
    before = identity(source)
    with (source / name).open("ab") as file:
        file.write(b" ")
    assert identity(source) != before


def test_files_that_change_no_number_do_not_count(source):
    before = identity(source)
    for name in (
        "README.md", ".gitattributes", "._model.safetensors", "._config.json", "source.json",
        "trainer_state.json", "optimizer.pt", "training_args.bin", "pytorch_model.bin", "log.txt",
        ".ipynb_checkpoints/config-checkpoint.json", "runs/events.out", "old/model.safetensors",
    ):  # fmt: skip
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_bytes(b"\0\5\x16\7")
    assert identity(source) == before
    plan_checkpoint(ENTRY, source)


@pytest.mark.parametrize("name", FIXTURES)
def test_a_tokenizer_reads_no_file_that_does_not_count(name, tmp_path):
    for path in text_files(GOLDEN / name):
        shutil.copyfile(path, tmp_path / path.name)
    options = catalog.get(name).tokenizer
    found, expected = (build_tokenizer(f, options) for f in (tmp_path, GOLDEN / name))
    assert found.vocab_size == expected.vocab_size
    records = golden_records(name)
    for ours, theirs in zip(found.encode(records, 20), expected.encode(records, 20), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_checkpoint_that_may_only_be_read_is_hashed_once(source, tmp_path, monkeypatch):
    read = []
    real = hashlib.file_digest
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "_SMALL", 2**15)
    monkeypatch.setattr(digests, "_STILL_NS", 0)
    monkeypatch.setattr(
        digests.hashlib,
        "file_digest",
        lambda file, name: (read.append(file.name), real(file, name))[1],
    )
    for path in source.iterdir():
        path.chmod(0o444)
    source.chmod(0o555)
    names = sorted(path.name for path in source.iterdir())
    try:
        found = [plan_checkpoint(ENTRY, source).weights_id for _ in range(2)]
    finally:
        source.chmod(0o755)
    assert found[0] == found[1]
    assert read.count(str(source / "model.safetensors")) == 1
    assert sorted(path.name for path in source.iterdir()) == names


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "model.safetensors").symlink_to(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"model\.safetensors: cannot be read: No such file"):
        checkpoint_facts(tmp_path)


def test_random_weights_are_told_apart_by_the_tokenizer(tmp_path):
    name = "nucleotide-transformer-v2-50m-3mer-multi-species"
    folder = shutil.copytree(GOLDEN / name, tmp_path / name)
    entry = catalog.get(name)
    assert random_port(entry, tiny=True).weights_id == "random:tiny:0"
    shallow = random_port(entry, tiny=True, fields={"num_hidden_layers": 1})
    assert shallow.weights_id == 'random:tiny:0:{"num_hidden_layers": 1}'
    assert shallow.config.layers == 1
    # The files of the authors make the tokenizer that there is without them.
    assert random_port(entry, folder, tiny=True).weights_id == "random:tiny:0"
    (folder / "special_tokens_map.json").write_text("{}")
    assert random_port(entry, folder, tiny=True).weights_id == "random:tiny:0"
    words = (folder / "vocab.txt").read_text().split()
    (folder / "vocab.txt").write_text("\n".join([*words[:-2], words[-1], words[-2]]))
    facts = {"vocab.txt": text_facts(folder)["vocab.txt"]}
    found = random_port(entry, folder, tiny=True).weights_id
    assert found == f"random:tiny:0:{weights_id(facts)}"


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.iterdir()))
def test_a_tokenizer_is_made_of_the_files_that_its_kind_names(name, tmp_path):
    """Without the others it reads records alike; that of another vocabulary is another."""
    options = catalog.get(name).tokenizer
    reads = KINDS[options["kind"]].reads
    assert set(reads) <= set(TEXT_FILES)
    for file in reads:
        if (GOLDEN / name / file).is_file():
            shutil.copy(GOLDEN / name / file, tmp_path / file)
    whole = build_tokenizer(GOLDEN / name, options)
    alone = build_tokenizer(tmp_path, options)
    records = golden_records(name)
    for ours, theirs in zip(alone.encode(records, 50), whole.encode(records, 50), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    if not read_files(GOLDEN / name, options, whole):
        bare = build_tokenizer(None, options)
        for ours, theirs in zip(bare.encode(records, 50), whole.encode(records, 50), strict=True):
            np.testing.assert_array_equal(ours, theirs)
