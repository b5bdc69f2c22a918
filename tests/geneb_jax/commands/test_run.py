import errno
import json
import logging
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from etils import epath

from geneb_jax.commands.run import config_file, config_names, help_text
from geneb_jax.config import fields
from geneb_jax.scoring.scores import read_scores
from model_ports.exits import DONE, FAILED, WRONG

SPLITS = ("train", "test")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The words of a small run: two tasks, one model, one-shot probes of a seed."""
    folder = tmp_path_factory.mktemp("tasks")
    rows = [f"{'ACGT' * i}AC{'GT'[i % 2]},{i % 2},{split}" for i in range(6) for split in SPLITS]
    for name in ("one", "two"):
        (folder / f"{name}.csv").write_text("\n".join(["text,label,split", *rows]))
    return (
        "--config=quickstart", f"--config.tasks_dir={folder}", "--config.tasks=one,two",
        "--config.models=kmer-1", "--config.regimes=1shot", "--config.seeds=13",
        "--config.report=False",
    )  # fmt: skip


def test_help_tells_every_field_with_its_default():
    text = help_text()
    for field in fields():
        assert f"--config.{field.name}={field.default}\n" in text
        assert field.help.split()[0] in text


def test_a_config_is_found_by_name_and_by_file(tmp_path):
    assert {"full", "quickstart", "paper"} <= set(config_names())
    assert config_file("full").name == "full.py"
    mine = tmp_path / "mine.py"
    mine.write_text("")
    assert config_file(str(mine)) == mine
    with pytest.raises(ValueError, match=r"--config=fulll: no such .*; did you mean full"):
        config_file("fulll")
    with pytest.raises(ValueError, match="no such file or config; valid: full, layers"):
        config_file("zzz")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ([], "--config and --workdir must be given, such as --config=quickstart"),
        (["--workdir=x"], "--config must be given"),
        (["--config=full"], "--workdir must be given"),
        (["--config"], "Missing value for flag --config"),
        (
            ["--config=ful", "--workdir=x"],
            "--config=ful: no such file or config; did you",
        ),
        (["--config=full", "--workdir=x", "--config.sedes=1"], "did you mean seeds"),
        (["--config=full", "--workdir=x", "--models=kmer-4"], "--config.models"),
        (["--config=full", "--workdir=x", "--confg.C=1"], "--confg.C is not a flag"),
        (["--config=full", "--workdir=x", "--config.C=0"], "config.C: 0"),
        (
            ["--config=full", "--workdir=x", "--config.max_train=ten"],
            "--config.max_train=ten: inv",
        ),
        (["--config=full", "--workdir=x", "--config.report=maybe"], "--config.report=maybe: ('Non"),
        (["--config=full", "--workdir=x", "--config.seeds=1.5"], "'1.5' is not an integer"),
        (["--config=full", "--workdir=x", "--config.tasks_dir=y"], "config.tasks_dir: y: no such"),
        (["--config=full", "--workdir=x", "kmer-4"], "'kmer-4' is not a flag"),
        (["--config=full", "--workdir=~nobody_here/x"], "there is no user of this name"),
    ],
)
def test_a_wrong_call_is_answered_in_a_line(command, tmp_path, monkeypatch, words, answer):
    monkeypatch.chdir(tmp_path)
    done = command("run", *words)
    assert done.returncode == WRONG
    assert answer in done.stderr
    assert len(done.stderr.removeprefix("nothing was started:\n").splitlines()) == 1
    assert not list(tmp_path.iterdir())


IMPORT = "from geneb_jax.config import default_config\n"
FILES = {
    "def get_config(:": "line 1: SyntaxError: invalid syntax",
    "import nothing_of_this_name": "line 1: ModuleNotFoundError: No module named 'nothing_of_th",
    f"{IMPORT}def get_config():\n    return default_config() + missing": "line 3: NameError: name",
    "raise SystemExit(0)": "line 1: SystemExit: 0",
    "x = '\0'": "SyntaxError: source code string cannot contain null bytes",
    "": "defines no function get_config",
    "def get_config(): pass": "get_config returns NoneType; let it return the ConfigDict",
    f"{IMPORT}def get_config():\n    c = default_config()\n    c.modls = 'a'\n    return c": (
        "config.modls: no such field; did you mean models"
    ),
    f"{IMPORT}def get_config():\n    c = default_config()\n    c.models = [['a']]\n    return c": (
        "config.models: ['a'] is no name or number"
    ),
    f"{IMPORT}def get_config():\n    c = default_config()\n    c.seeds = 1.5\n    return c": (
        "config.seeds: 1.5 is not an integer"
    ),
}


@pytest.mark.parametrize("text", FILES)
def test_a_config_file_that_fails_is_named_with_its_line(command, tmp_path, text):
    (tmp_path / "mine.py").write_text(text)
    done = command("run", f"--config={tmp_path / 'mine.py'}", f"--workdir={tmp_path / 'x'}")
    assert done.returncode == WRONG
    assert FILES[text] in done.stderr
    assert len(done.stderr.removeprefix("nothing was started:\n").splitlines()) == 1
    assert not (tmp_path / "x").exists() and not (tmp_path / "__pycache__").exists()


def test_a_workdir_that_is_a_file_is_named(command, tmp_path):
    (tmp_path / "file").write_text("")
    done = command("run", "--config=quickstart", f"--workdir={tmp_path / 'file'}")
    assert done.returncode == WRONG
    assert done.stderr == f"nothing was started:\n--workdir={tmp_path / 'file'} is not a folder\n"


def test_a_workdir_that_cannot_be_written_is_named(command, tmp_path, small):
    (tmp_path / "file").write_text("")
    workdir = tmp_path / "file" / "below"
    done = command("run", *small, f"--workdir={workdir}")
    assert done.returncode == WRONG
    words = f"--workdir={workdir}: nothing can be written there: Not a directory"
    assert done.stderr == f"nothing was started:\n{words}\n"


def test_a_sweep_of_layers_says_what_kmers_take_in_its_stead(command, tmp_path, small):
    words = ("run", *small, "--config=layers", f"--workdir={tmp_path}")
    done = command(*words)
    assert done.returncode == WRONG
    said = done.stderr.splitlines()[1:]
    mends = [line.partition("; write ")[2].partition(", or ")[0] for line in said]
    assert mends == ["--config.taps=preset", "--config.poolings=preset"]
    assert command(*words, *mends).returncode == DONE


def test_a_run_whose_output_nobody_reads_is_done(tmp_path, small):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "geneb_jax", "run", *small, f"--workdir={tmp_path / 'run'}"],
        stdout=writing, stderr=writing, timeout=120, check=False,
        cwd=Path(__file__).parents[3], env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    os.close(writing)
    assert done.returncode == DONE
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert (status["state"], status["remaining"]) == ("done", 0.0)
    assert len(read_scores(tmp_path / "run" / "scores.csv")) == 2
    assert (tmp_path / "run" / "log.txt").read_text().endswith("done, 0 failed\n")


@pytest.fixture
def full_for(monkeypatch):
    """Parts of paths for which the disk is full: ten bytes are written, and no more."""
    parts = set()

    def limited(whole):
        def write(path, content):
            if any(part in str(path) for part in parts):
                whole(path, content[:10])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return whole(path, content)

        return write

    for kind in (Path, type(epath.Path("/"))):
        monkeypatch.setattr(kind, "write_bytes", limited(kind.write_bytes))
    return parts


TINY = "nucleotide-transformer-v2-50m-3mer-multi-species:random:tiny"


@pytest.mark.parametrize(
    ("part", "model", "scored", "written"),
    [
        ("cells/", "kmer-1", 0, "scores and predictions"),
        ("scores.csv", "kmer-1", 2, ""),
        ("run.json", "kmer-1", 2, ""),
        ("values-", TINY, 0, "768 B of embeddings and "),
        ("keys-", TINY, 0, "768 B of embeddings and "),
    ],
)
def test_a_full_disk_is_said_with_what_is_kept_and_the_run_goes_on(
    command, tmp_path, small, full_for, part, model, scored, written
):
    full_for.add(part)
    call = ("run", *small, f"--config.models={model}", f"--workdir={tmp_path / 'full'}")
    done = command(*call)
    assert done.returncode == FAILED
    full = ": cannot be written: No space left on device"
    before, _, said = done.stderr.rpartition(full)
    line = before.splitlines()[-1]
    assert line.startswith(str(tmp_path / "full")) and part in line
    kept, *disk, mend = said.strip().splitlines()
    assert kept.startswith(f"kept: scores of {scored} of 2 pairs of model and task in {tmp_path}")
    assert len(disk) == bool(written) and all(written in each for each in disk)
    assert mend.startswith("make room, or move the workdir to a larger disk and name it in ")
    assert (tmp_path / "full" / "log.txt").read_text().endswith(f"{full}\n")
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.tmp"))
    full_for.clear()
    assert command(*shlex.split(mend.partition(": geneb-jax ")[2])).returncode == DONE
    assert command(*call[:-1], f"--workdir={tmp_path / 'other'}").returncode == DONE
    scores = [(tmp_path / name / "scores.csv").read_bytes() for name in ("full", "other")]
    assert scores[0] == scores[1]


def test_foreign_files_and_damaged_cells_of_a_workdir_change_nothing(
    command, tmp_path, small, caplog
):
    call = ("run", *small, f"--workdir={tmp_path}")
    assert command(*call).returncode == DONE
    scores = (tmp_path / "scores.csv").read_bytes()
    cells = sorted((tmp_path / "cells").rglob("*.json"))
    for folder in (tmp_path, tmp_path / "cells", cells[0].parent):
        for name in (".DS_Store", "._x.json", "Thumbs.db", ".nfs000.json", "x.json~", "x.tmp"):
            (folder / name).write_bytes(b"\0\5\x16\7")
        (folder / ".ipynb_checkpoints").mkdir()
        (folder / ".ipynb_checkpoints" / cells[0].name).write_bytes(cells[0].read_bytes())
    cells[0].write_bytes(cells[0].read_bytes()[:-20])
    cells[1].write_bytes(b"")
    assert command(*call).returncode == DONE
    assert (tmp_path / "scores.csv").read_bytes() == scores
    said = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert {message.partition(": ")[0] for message in said} == {str(cells[0]), str(cells[1])}


def test_libraries_are_heard_from_warnings_on(command, tmp_path, small):
    assert command("run", *small, f"--workdir={tmp_path}").returncode == DONE
    for name in ("matplotlib.font_manager", "jax._src.xla_bridge", "a_library_of_tomorrow"):
        assert logging.getLogger(name).getEffectiveLevel() == logging.WARNING
    assert logging.getLogger("absl").getEffectiveLevel() == logging.INFO


def test_a_name_of_the_paper_is_the_models_id(command, tmp_path, small, caplog):
    models = "--config.models=nt-v2-50m-3mer-ms:random:tiny"
    done = command("run", *small, models, f"--workdir={tmp_path}")
    assert done.returncode == DONE, done.stderr
    id_ = "nucleotide-transformer-v2-50m-3mer-multi-species"
    assert set(read_scores(tmp_path / "scores.csv")["model"]) == {f"{id_}:random:tiny"}
    assert f"'nt-v2-50m-3mer-ms' is the model '{id_}'" in caplog.text
