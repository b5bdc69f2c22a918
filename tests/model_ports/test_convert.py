import importlib.metadata
import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import ANY

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec
from safetensors.numpy import load_file, save_file

from model_ports.contract.family import family
from model_ports.loading import convert as module
from model_ports.loading import converted
from model_ports.loading.assignment import parameter_shapes
from model_ports.loading.convert import convert
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.loading.sharding import parameter_shardings
from model_ports.loading.tensors import CheckpointError, fingerprint

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden"
NAME = "GENERator-eukaryote-1.2b-base"
FOLDERS = sorted(path for path in GOLDEN.iterdir() if (path / "meta.json").is_file())


@pytest.fixture
def source(tmp_path):
    return Path(shutil.copytree(GOLDEN / NAME, tmp_path / "source"))


@pytest.fixture
def made(source, tmp_path):
    return convert(NAME, source, tmp_path / "out")[0]


def change_tensor(source, change):
    path = source / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


@pytest.mark.slow
def test_converted_fixtures_are_the_same_on_one_and_eight_devices():
    done = subprocess.run(
        [sys.executable, HERE / "sharded_roundtrip.py", *FOLDERS],
        capture_output=True, text=True, timeout=900, check=True, cwd=GOLDEN.parents[1],
        env={"PYTHONPATH": ".", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    facts = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["model"] for each in facts] == [folder.name for folder in FOLDERS]
    expected = [
        {
            "model": folder.name,
            "parameters": ANY,
            "devices": [8],
            "sharded": _sharded(folder),
            "one": 0,
            "eight": True,
        }
        for folder in FOLDERS
    ]
    assert facts == expected


def _sharded(folder):
    """How many parameters of a fixture are split on a mesh of 2 x 4."""
    port = load_port(plan_checkpoint(folder.name, folder))
    mesh = jax.sharding.AbstractMesh((2, 4), ("data", "model"))
    table, shapes = family(port.entry.family).SHARDING, parameter_shapes(port.state)
    places = parameter_shardings(table, shapes, mesh).values()
    return sum("model" in place.spec for place in places)


def test_dimensions_that_an_axis_does_not_divide_are_replicated():
    mesh = jax.sharding.AbstractMesh((1, 4), ("data", "model"))
    table = ((r"up\.kernel", (None, "model")), (r"up\..*", ("model",)), (r"x", ("expert",)))
    shapes = {"up.kernel": (3, 8), "up.bias": (6,), "blocks.up.kernel": (3, 8), "x": (4,)}
    found = {path: s.spec for path, s in parameter_shardings(table, shapes, mesh).items()}
    assert found["up.kernel"] == PartitionSpec(None, "model")
    assert found["up.bias"] == PartitionSpec(None)
    assert found["blocks.up.kernel"] == PartitionSpec()
    assert found["x"] == PartitionSpec(None)


def test_the_authors_files_load_into_shardings_too():
    mesh = Mesh(np.array(jax.devices()[:1]).reshape(1, 1), ("data", "model"))
    port = load_port(plan_checkpoint(NAME, GOLDEN / NAME), mesh=mesh)
    assert all(leaf.sharding.mesh == mesh for leaf in jax.tree.leaves(port.state))


def test_manifest_says_what_was_converted(source, made):
    manifest = json.loads((made / "manifest.json").read_text())
    assert manifest["model"] == NAME
    assert manifest["port_version"] == importlib.metadata.version("geneb-jax")
    assert manifest["weights_id"] == f"sha256:{fingerprint(source)}"
    assert manifest["source"]["published"]["repo"] == "GenerTeam/GENERator-eukaryote-1.2b-base"
    assert manifest["source"]["revision"] is None  # of a folder nobody knows more about
    assert manifest["licence"]["weights"] == "mit"
    assert manifest["dtype"] == ["float32"]
    assert "vocab.txt" in manifest["tokenizer_files"]
    facts = manifest["source"]["files"]["model.safetensors"]
    assert facts == converted.file_facts(source / "model.safetensors")
    on_disk = {p.relative_to(made).as_posix() for p in made.rglob("*") if p.is_file()}
    assert set(manifest["files"]) == on_disk - {"manifest.json"}


def test_converting_again_changes_nothing(source, made):
    before = {p: p.stat().st_mtime_ns for p in made.rglob("*")}
    folder, done = convert(NAME, source, made.parent)
    assert (folder, done) == (made, False)
    assert before == {p: p.stat().st_mtime_ns for p in made.rglob("*")}
    assert (
        load_port(plan_checkpoint(NAME, made)).weights_id
        == load_port(plan_checkpoint(NAME, source)).weights_id
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_parameters_are_restored_in_the_wanted_dtype(source, made, dtype):
    ours = jax.tree.leaves(load_port(plan_checkpoint(NAME, made), dtype=dtype).state)
    theirs = jax.tree.leaves(load_port(plan_checkpoint(NAME, source), dtype=dtype).state)
    for mine, expected in zip(ours, theirs, strict=True):
        assert mine.dtype == expected.dtype == dtype
        np.testing.assert_array_equal(mine, expected)


def test_bfloat16_weights_stay_bfloat16(source, tmp_path):
    import ml_dtypes

    def halve(tensors):
        for name, tensor in tensors.items():
            if name != "model.norm.weight":  # one tensor of another dtype
                tensors[name] = tensor.astype(ml_dtypes.bfloat16)

    change_tensor(source, halve)
    made, _ = convert(NAME, source, tmp_path / "out")
    manifest = json.loads((made / "manifest.json").read_text())
    assert manifest["dtype"] == ["bfloat16", "float32"]
    for ours, theirs in zip(
        jax.tree.leaves(load_port(plan_checkpoint(NAME, made)).state),
        jax.tree.leaves(load_port(plan_checkpoint(NAME, source)).state),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_large_parameters_are_cut_into_chunks(source, tmp_path, monkeypatch):
    monkeypatch.setattr(converted, "_CHUNK_BYTES", 300)
    made, _ = convert(NAME, source, tmp_path / "out")
    shape = json.loads((made / "params/tokens.embedding/.zarray").read_text())["chunks"]
    assert np.prod(shape) * 4 <= 300
    for ours, theirs in zip(
        jax.tree.leaves(load_port(plan_checkpoint(NAME, made)).state),
        jax.tree.leaves(load_port(plan_checkpoint(NAME, source)).state),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


class Killed(BaseException):
    pass


def test_an_interrupted_conversion_is_taken_up_again(source, tmp_path, monkeypatch):
    out = tmp_path / "out"

    def stop(name, done, total):
        if done == 4:
            raise Killed

    with pytest.raises(Killed):
        convert(NAME, source, out, stop)
    assert not (out / NAME).exists()
    assert not list(out.glob("*/manifest.json"))
    written = []
    write = converted.write_parameter
    monkeypatch.setattr(converted, "write_parameter", lambda *a: (written.append(a[1]), write(*a)))
    made, done = convert(NAME, source, out)
    assert done
    assert len(written) == len(json.loads((made / "manifest.json").read_text())["parameters"]) - 4
    assert [p.name for p in out.iterdir()] == [NAME]
    for ours, theirs in zip(
        jax.tree.leaves(load_port(plan_checkpoint(NAME, made)).state),
        jax.tree.leaves(load_port(plan_checkpoint(NAME, source)).state),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_an_interruption_is_not_taken_up_with_other_files(source, tmp_path):
    out = tmp_path / "out"

    def stop(name, done, total):
        raise Killed

    with pytest.raises(Killed):
        convert(NAME, source, out, stop)
    change_tensor(source, lambda t: t.update({k: v + 1 for k, v in t.items()}))
    made, _ = convert(NAME, source, out)
    for ours, theirs in zip(
        jax.tree.leaves(load_port(plan_checkpoint(NAME, made)).state),
        jax.tree.leaves(load_port(plan_checkpoint(NAME, source)).state),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


def largest(folder):
    return max((folder / "params").rglob("*"), key=lambda p: p.stat().st_size if p.is_file() else 0)


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
        (lambda f: edit(f, lambda m: m.update(model="GROVER")), "holds model 'GROVER'"),
        (lambda f: edit(f, lambda m: m["files"].update({"../x": {}})), "outside its folder"),
        (lambda f: edit(f, lambda m: m["parameters"].pop("norm.scale")), "'norm.scale' is absent"),
        (lambda f: edit(f, lambda m: m["parameters"]["norm.scale"].update(shape=[3])), r"is \[3\]"),
    ],
)
def test_a_damaged_conversion_is_named(made, damage, words):
    damage(made)
    with pytest.raises(CheckpointError, match=words):
        plan_checkpoint(NAME, made)


def flip(path):
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)


def edit(folder, change):
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_converting_again_reads_every_byte(source, made, monkeypatch):
    monkeypatch.setattr(converted, "_SMALL", 0)
    flip(largest(made))
    plan_checkpoint(NAME, made)  # sizes alone
    with pytest.raises(CheckpointError, match="its contents are not those"):
        convert(NAME, source, made.parent)


def test_a_folder_that_holds_something_else_is_left_alone(source, tmp_path):
    out = tmp_path / "out"
    (out / NAME).mkdir(parents=True)
    (out / NAME / "mine").write_text("x")
    with pytest.raises(CheckpointError, match="no converted checkpoint"):
        convert(NAME, source, out)
    assert (out / NAME / "mine").read_text() == "x"


def test_other_weights_do_not_replace_a_conversion(source, made):
    change_tensor(source, lambda t: t.update({k: v + 1 for k, v in t.items()}))
    with pytest.raises(CheckpointError, match="converted from other files"):
        convert(NAME, source, made.parent)
    plan_checkpoint(NAME, made)


def poison(value):
    def change(tensors):
        tensors["model.layers.1.mlp.up_proj.weight"][3, 2] = value

    return change


def integers(tensors):
    name = "model.layers.1.mlp.up_proj.weight"
    tensors[name] = tensors[name].astype(np.int32)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (poison(np.nan), r"model\.safetensors: tensor 'model\.layers\.1\.mlp\.up_proj\.weight'"),
        (poison(np.inf), "holds a NaN or an infinity"),
        (integers, r"model\.safetensors: tensor 'model\.layers\.1\.mlp\.up_proj\.weight' is I32"),
        (lambda t: t.pop("model.norm.weight"), "'norm.scale' .* has no tensor"),
        (lambda t: t.update(extra=np.zeros(2, np.float32)), r"tensor 'extra' \[2\] has no place"),
    ],
)
def test_bad_tensors_are_named_and_leave_nothing(source, tmp_path, change, words):
    change_tensor(source, change)
    with pytest.raises(CheckpointError, match=words):
        convert(NAME, source, tmp_path / "out")
    assert not (tmp_path / "out" / NAME).exists()


def test_a_wrong_dtype_is_found_before_loading(source):
    change_tensor(source, integers)
    with pytest.raises(CheckpointError, match="is I32"):
        plan_checkpoint(NAME, source)


def test_a_config_that_contradicts_the_tensors_is_named(source, tmp_path):
    fields = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(fields | {"num_hidden_layers": 7}))
    with pytest.raises(CheckpointError, match="does not fit its config"):
        convert(NAME, source, tmp_path / "out")


def test_a_full_disk_is_named_before_anything_is_written(source, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(CheckpointError, match="GB are needed"):
        convert(NAME, source, tmp_path / "out")
    assert not (tmp_path / "out" / NAME).exists()


def test_a_disk_that_fills_up_is_named_and_the_conversion_resumes(source, tmp_path):
    import signal

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    biggest = max(a.nbytes for a in load_file(source / "model.safetensors").values())
    resource.setrlimit(resource.RLIMIT_FSIZE, (biggest - 1, hard))
    try:
        with pytest.raises(CheckpointError, match="cannot be written"):
            convert(NAME, source, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert not (tmp_path / "out" / NAME).exists()
    made, _ = convert(NAME, source, tmp_path / "out")
    plan_checkpoint(NAME, made)


def test_two_conversions_of_a_model_do_not_meet(source, tmp_path):
    out = tmp_path / "out"
    errors = []

    def again(name, done, total):
        if done == 1:
            with pytest.raises(CheckpointError, match="another conversion") as error:
                convert(NAME, source, out)
            errors.append(error)

    convert(NAME, source, out, again)
    assert errors
