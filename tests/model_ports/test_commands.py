import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from golden_ports import GOLDEN

from model_ports import commands
from model_ports.exits import DONE, FAILED

NAME = "nucleotide-transformer-v2-50m-3mer-multi-species"


def command(*arguments):
    """Runs the program."""
    return subprocess.run(
        [sys.executable, "-m", "model_ports", *map(str, arguments)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture
def run(capsys):
    """Runs a command in this process, under another program's name."""

    def call(*arguments):
        status = commands.main(list(map(str, arguments)))
        return subprocess.CompletedProcess(arguments, status, *capsys.readouterr())

    return call


@pytest.fixture
def fixture(tmp_path):
    return Path(shutil.copytree(GOLDEN / NAME, tmp_path / "fixture"))


def rewrite(folder, name, change):
    arrays = dict(np.load(folder / "golden.npz"))
    arrays[name] = change(arrays[name])
    np.savez(folder / "golden.npz", **arrays)


def test_list_names_forty_models():
    done = command("list")
    assert done.returncode == 0
    assert "\nevo2_1b_base, evo2_7b, evo2_7b_262k, evo2_7b_base: its authors serve" in done.stdout
    assert NAME in done.stdout
    assert "of 40 models are ported" in done.stdout
    assert "gLM2_150M, gLM2_650M: upper-case letters are amino acids to this model" in done.stdout


def test_list_shows_the_models_that_have_a_word():
    done = command("list", "EVO2", "gLM2")
    assert done.returncode == 0
    assert "evo2_7b_262k" in done.stdout
    assert "gLM2_150M, gLM2_650M: upper-case" in done.stdout
    assert "evo-1-131k-base" not in done.stdout
    assert "borzoi" not in done.stdout.casefold()
    wrong = command("list", "chatbot")
    assert wrong.returncode == 2
    assert "no model or family has 'chatbot' in its name" in wrong.stderr


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        (
            "evo2_7b",
            ["parameters        6,581,722,880", "hidden state      mlp29", "fp8", "no limit"],
        ),
        (
            "arcinstitute/evo2_40b",
            ["parameters        unknown until", "apache-2.0", "states no sizes"],
        ),
        ("splicebert-1024nt", ["1,026 tokens, windows of 1,024 letters every 512"]),
        ("grover", ["longest input     512 tokens", "\nwhat is wrong with"]),
    ],
)
def test_describe_shows_what_is_known_of_a_model_of_the_catalog(name, facts):
    done = command("describe", name)
    assert done.returncode == 0, done.stderr
    for words in facts:
        assert words in done.stdout, done.stdout


def test_verify_prints_a_line_a_folder(fixture):
    done = command("verify", fixture)
    assert done.returncode == 0, done.stdout + done.stderr
    words = done.stdout.split()
    assert words[0] == NAME
    assert words[1] == "tokens=ok"
    assert words[-2:] == ["keys=ok", "PASS"]


def shift(array):
    return array + 0.001


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: rewrite(f, "pooled_normalized", shift), "FAIL"),
        (lambda f: rewrite(f, "pooled_reference", shift), "FAIL"),
        (lambda f: rewrite(f, "hidden", shift), "FAIL"),
        (lambda f: rewrite(f, "input_ids", lambda ids: ids + (ids == ids.max())), "tokens=differ"),
    ],
)
def test_verify_fails_where_anything_differs(run, fixture, change, words):
    change(fixture)
    done = run("verify", fixture)
    assert done.returncode == 1
    assert words in done.stdout


def test_verify_skips_files_beside_folders(run, fixture, tmp_path):
    notes = tmp_path / "README.md"
    notes.write_text("notes")
    done = run("verify", str(notes), str(fixture))
    assert done.returncode == DONE
    assert f"{notes}: skipped, it is no folder" in done.stdout
    done = run("verify", str(notes))
    assert done.returncode == FAILED
    assert "no fixture" in done.stdout


def test_verify_fails_where_a_full_size_tensor_has_no_place(run, fixture):
    keys = json.loads((fixture / "full_keys.json").read_text())
    keys["tensors"]["esm.extra"] = [3]
    (fixture / "full_keys.json").write_text(json.dumps(keys))
    done = run("verify", fixture)
    assert done.returncode == 1
    assert "keys=differ FAIL" in done.stdout
    assert "esm.extra" in done.stdout


def test_verify_names_what_it_cannot_read(run, tmp_path):
    done = run("verify", tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith(f"{tmp_path} FAIL: no meta.json: it is no fixture")


def test_a_fixture_without_a_tokenizer_is_told_the_field_that_states_one(run, tmp_path):
    folder = shutil.copytree(GOLDEN / "Omni-DNA-300M", tmp_path / "fixture")
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(meta | {"geneb_model_id": "Omni-DNA-20M"}))
    (folder / "tokenizer.json").unlink()
    done = run("verify", folder)
    assert done.returncode == FAILED
    assert done.stdout.count(str(folder)) == 1 and len(done.stdout.splitlines()) == 1
    assert "state `tokenizer` in the model's catalog file" in done.stdout


WANTED = "name fixture folders, or --real MODEL"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], WANTED),
        (["fixture", "--real", "GROVER"], WANTED),
        (["--real", "GROVER", "--against", "transformers"], "--against compares folders"),
        (["fixture", "--model", "GROVER"], "--model goes with --against"),
        (["fixture", "--source", "folder"], "--source goes with --real MODEL"),
    ],
)
def test_verify_refuses_arguments_that_do_not_go_together(run, capsys, arguments, words):
    with pytest.raises(SystemExit):
        run("verify", *arguments)
    assert f"geneb-jax models verify: {words}" in capsys.readouterr().err


def test_the_help_is_one_line_and_names_the_commands():
    assert len(commands.HELP.splitlines()) == 1
    done = command("--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: python -m model_ports")
    assert all(name in done.stdout for name in commands.COMMANDS)
