import errno
import importlib.metadata
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import ANY

import jax
import ml_dtypes
import numpy as np
import pytest
from golden_ports import FIXTURES, GOLDEN, change_tensors, golden_port
from safetensors.numpy import load_file

from geneb_jax.files.digests import file_facts
from model_ports import catalog
from model_ports.contract.family import family
from model_ports.loading import convert as module
from model_ports.loading import converted
from model_ports.loading.assignment import parameter_shapes
from model_ports.loading.convert import convert
from model_ports.loading.identity import checkpoint_facts, weights_id
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.loading.sharding import parameter_shardings
from model_ports.loading.tensors import CheckpointError, open_checkpoint

HERE = Path(__file__).parent
NAME = "GENERator-eukaryote-1.2b-base"
ENTRY = catalog.get(NAME)
FOLDERS = [GOLDEN / name for name in FIXTURES]


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
    port = golden_port(folder.name)
    mesh = jax.sharding.AbstractMesh((2, 4), ("data", "model"))
    table, shapes = family(port.entry.family).SHARDING, parameter_shapes(port.state)
    places = parameter_shardings(table, shapes, mesh).values()
    return sum("model" in place.spec for place in places)


def test_manifest_says_what_was_converted(source, made):
    manifest = json.loads((made / "manifest.json").read_text())
    assert manifest["model"] == NAME
    assert manifest["port_version"] == importlib.metadata.version("geneb-jax")
    assert manifest["weights_id"] == weights_id(checkpoint_facts(source))
    assert manifest["source"]["published"]["repo"] == "GenerTeam/GENERator-eukaryote-1.2b-base"
    assert manifest["source"]["revision"] is None  # of a folder nobody knows more about
    assert manifest["licence"]["weights"] == "mit"
    assert manifest["dtype"] == ["float32"]
    assert "vocab.txt" in manifest["tokenizer_files"]
    facts = manifest["source"]["files"]["model.safetensors"]
    assert facts == file_facts(source / "model.safetensors")
    on_disk = {p.relative_to(made).as_posix() for p in made.rglob("*") if p.is_file()}
    assert set(manifest["files"]) == on_disk - {"manifest.json"}


def test_converting_again_changes_nothing(source, made):
    before = {p: p.stat().st_mtime_ns for p in made.rglob("*")}
    folder, done = convert(ENTRY, source, made.parent)
    assert (folder, done) == (made, False)
    assert before == {p: p.stat().st_mtime_ns for p in made.rglob("*")}
    assert (
        load_port(plan_checkpoint(ENTRY, made)).weights_id
        == load_port(plan_checkpoint(ENTRY, source)).weights_id
    )


def test_bfloat16_weights_stay_bfloat16(source, tmp_path):

    def halve(tensors):
        for name, tensor in tensors.items():
            if name != "model.norm.weight":  # one tensor of another dtype
                tensors[name] = tensor.astype(ml_dtypes.bfloat16)

    change_tensors(source, halve)
    made, _ = convert(ENTRY, source, tmp_path / "out")
    manifest = json.loads((made / "manifest.json").read_text())
    assert manifest["dtype"] == ["bfloat16", "float32"]
    for ours, theirs in zip(
        jax.tree.leaves(load_port(plan_checkpoint(ENTRY, made)).state),
        jax.tree.leaves(load_port(plan_checkpoint(ENTRY, source)).state),
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
        convert(ENTRY, source, out, stop)
    assert not (out / NAME).exists()
    assert not list(out.glob("*/manifest.json"))
    written = []
    write = converted.write_parameter
    monkeypatch.setattr(converted, "write_parameter", lambda *a: (written.append(a[1]), write(*a)))
    made, done = convert(ENTRY, source, out)
    assert done
    assert len(written) == len(json.loads((made / "manifest.json").read_text())["parameters"]) - 4
    assert [p.name for p in out.iterdir()] == [NAME]
    for ours, theirs in zip(
        jax.tree.leaves(load_port(plan_checkpoint(ENTRY, made)).state),
        jax.tree.leaves(load_port(plan_checkpoint(ENTRY, source)).state),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_an_interruption_is_not_taken_up_with_other_files(source, tmp_path):
    out = tmp_path / "out"

    def stop(name, done, total):
        raise Killed

    with pytest.raises(Killed):
        convert(ENTRY, source, out, stop)
    change_tensors(source, lambda t: t.update({k: v + 1 for k, v in t.items()}))
    made, _ = convert(ENTRY, source, out)
    for ours, theirs in zip(
        jax.tree.leaves(load_port(plan_checkpoint(ENTRY, made)).state),
        jax.tree.leaves(load_port(plan_checkpoint(ENTRY, source)).state),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_folder_that_holds_something_else_is_left_alone(source, tmp_path):
    out = tmp_path / "out"
    (out / NAME).mkdir(parents=True)
    (out / NAME / "mine").write_text("x")
    with pytest.raises(CheckpointError, match="no converted checkpoint"):
        convert(ENTRY, source, out)
    assert (out / NAME / "mine").read_text() == "x"


def test_other_weights_do_not_replace_a_conversion(source, made):
    change_tensors(source, lambda t: t.update({k: v + 1 for k, v in t.items()}))
    with pytest.raises(CheckpointError, match="converted from other files"):
        convert(ENTRY, source, made.parent)
    plan_checkpoint(ENTRY, made)


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
    change_tensors(source, change)
    with pytest.raises(CheckpointError, match=words):
        convert(ENTRY, source, tmp_path / "out")
    assert not (tmp_path / "out" / NAME).exists()


def test_a_config_that_contradicts_the_tensors_is_named(source, tmp_path):
    fields = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(fields | {"num_hidden_layers": 7}))
    with pytest.raises(CheckpointError, match="does not fit its config"):
        convert(ENTRY, source, tmp_path / "out")


def test_a_full_disk_is_named_before_anything_is_written(source, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(CheckpointError, match=r"1000 B are free, but .* [KM]iB are needed"):
        convert(ENTRY, source, tmp_path / "out")
    assert not (tmp_path / "out" / NAME).exists()


def test_a_disk_that_fills_up_is_named_and_the_conversion_resumes(source, tmp_path):
    import signal

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    biggest = max(a.nbytes for a in load_file(source / "model.safetensors").values())
    resource.setrlimit(resource.RLIMIT_FSIZE, (biggest - 1, hard))
    try:
        with pytest.raises(CheckpointError, match="cannot be written"):
            convert(ENTRY, source, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert not (tmp_path / "out" / NAME).exists()
    made, _ = convert(ENTRY, source, tmp_path / "out")
    plan_checkpoint(ENTRY, made)


def test_two_conversions_of_a_model_do_not_meet(source, tmp_path):
    out = tmp_path / "out"
    errors = []

    def again(name, done, total):
        if done == 1:
            with pytest.raises(CheckpointError, match="another conversion") as error:
                convert(ENTRY, source, out)
            errors.append(error)

    convert(ENTRY, source, out, again)
    assert errors


def test_whoever_waited_for_another_conversion_takes_what_it_made(source, tmp_path, monkeypatch):
    out = tmp_path / "out"
    plan = module.plan_checkpoint

    def overtaken(*arguments):
        planned = plan(*arguments)
        monkeypatch.setattr(module, "plan_checkpoint", plan)
        made.append(convert(ENTRY, source, out))
        return planned

    made = []
    monkeypatch.setattr(module, "plan_checkpoint", overtaken)
    assert convert(ENTRY, source, out) == (out / NAME, False)
    assert made == [(out / NAME, True)]
    assert [path.name for path in out.iterdir()] == [NAME]


def refuse_locks(monkeypatch, number):
    """Makes every folder one of a file system that answers a lock with this error."""
    import fcntl

    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
@pytest.mark.filterwarnings("ignore:flock not supported")  # filelock's words where it knows
def test_a_file_system_without_locks_is_named_and_converts(
    source, tmp_path, monkeypatch, caplog, number
):
    refuse_locks(monkeypatch, number)
    out, refused = tmp_path / "out", []

    def again(name, done, total):
        if done == 1:
            with pytest.raises(CheckpointError, match="another conversion of this model runs"):
                convert(ENTRY, source, out)
            refused.append(name)

    made, done = convert(ENTRY, source, out, again)
    assert done
    assert len(refused) == 1
    assert [path.name for path in out.iterdir()] == [NAME]
    if number != errno.ENOSYS:  # filelock warns of this one itself
        assert "the file system has no locks" in caplog.text
    plan_checkpoint(ENTRY, made)


def test_a_lock_that_cannot_be_written_is_named(source, tmp_path, monkeypatch):
    refuse_locks(monkeypatch, errno.EIO)
    with pytest.raises(CheckpointError, match=r"\.lock: cannot be written: Input/output error"):
        convert(ENTRY, source, tmp_path / "out")


def test_a_lightning_checkpoint_converts_without_its_training_state(tmp_path, torch):
    name = "JanusDNA_72_wo"
    source = tmp_path / "source"
    source.mkdir()
    stored = open_checkpoint(GOLDEN / name)
    state = {key: torch.from_numpy(stored.read(key).copy()) for key in stored}
    assert any(key.startswith("model.model.") for key in state)
    state["train_torchmetrics.num_tokens.count"] = torch.tensor(7)  # int64, not a weight
    torch.save({"state_dict": state, "epoch": 3, "global_step": 100}, source / "last.ckpt")
    for path in GOLDEN.joinpath(name).glob("*.json"):
        source.joinpath(path.name).write_bytes(path.read_bytes())
    made, _ = convert(catalog.get(name), source, tmp_path / "out")
    for ours, theirs in zip(
        jax.tree.leaves(load_port(plan_checkpoint(catalog.get(name), made)).state),
        jax.tree.leaves(load_port(plan_checkpoint(catalog.get(name), GOLDEN / name)).state),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
