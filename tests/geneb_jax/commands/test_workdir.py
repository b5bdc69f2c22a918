import json
import os
import re

import pytest

from geneb_jax.ownership import owned

WORDS = ("run", "--config=full", "--config.models=kmer-1,kmer-2", "--config.regimes=1shot",
         "--config.seeds=13", "--noconfig.report")  # fmt: skip


@pytest.fixture
def workdir(command, tmp_path):
    rows = [f"{'ACGT' * i}AC{'GT'[i % 2]},{i % 2},{split}" for i in range(6)
            for split in ("train", "test")]  # fmt: skip
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "mine.csv").write_text("\n".join(["text,label,split", *rows]))
    folder = tmp_path / "run"
    done = command(*WORDS, f"--workdir={folder}", f"--config.tasks_dir={tmp_path / 'tasks'}")
    assert done.returncode == 0
    return folder


def test_a_listing_names_models_and_failures(command, workdir):
    record = json.loads((workdir / "run.json").read_text())
    failure = {"model": "M", "task": "mine", "stage": "probe", "reason": "no class"}
    (workdir / "run.json").write_text(json.dumps(record | {"failures": [failure]}))
    done = command("workdir", workdir)
    assert done.returncode == 0
    assert "kmer-1" in done.stdout and "kmer-2" in done.stdout
    assert "failed in the last run: M on mine: no class" in done.stdout


@pytest.mark.parametrize("text", ['{"failures": [', '{"failures": 3}'])
def test_a_damaged_record_of_the_last_run_is_named(command, workdir, text):
    (workdir / "run.json").write_text(text)
    done = command("workdir", workdir)
    assert done.returncode == 0 and "kmer-1" in done.stdout
    lines = [line for line in done.stdout.splitlines() if "what failed in the last run" in line]
    assert len(lines) == 1 and lines[0].startswith(f"{workdir / 'run.json'}: ")
    (workdir / "run.json").unlink()
    assert "run.json" not in command("workdir", workdir).stdout


def test_a_damaged_file_is_named_in_the_form_of_the_log(command, workdir):
    cell = next((workdir / "cells").rglob("*.json"))
    cell.write_text("{")
    (line,) = command("workdir", workdir).stderr.splitlines()
    assert re.fullmatch(rf"\d\d:\d\d:\d\d {re.escape(str(cell))}: not JSON: .* as missing", line)


def test_nothing_is_removed_without_yes(command, workdir):
    cells = workdir / "cells" / "kmer-2"
    done = command("workdir", workdir, "--remove", "kmer-2")
    assert done.returncode == 0 and str(cells) in done.stdout and "give --yes" in done.stdout
    assert cells.is_dir()
    done = command("workdir", workdir, "--remove", "kmer-2", "--yes")
    assert done.returncode == 0 and "removed" in done.stdout
    assert not cells.exists() and (workdir / "cells" / "kmer-1").is_dir()
    assert "kmer-2" not in (workdir / "scores.csv").read_text()
    assert command("workdir", workdir, "--prune").stdout == "nothing is to be removed\n"


@pytest.mark.parametrize("words", [("--remove", "kmer-2"), ("--prune",)])
def test_nothing_is_removed_under_a_run(command, workdir, words):
    (workdir / "embeddings" / "kmer-2").mkdir(parents=True)
    left = workdir / "cells" / f"mine.json.elsewhere.1.{'0' * 32}.tmp"
    left.touch()
    os.utime(left, (0, 0))
    files = sorted(workdir.rglob("*"))
    with owned(workdir):
        left.touch()
        os.utime(left, (0, 0))  # as a run takes a workdir over, it removes what was left before
        done = command("workdir", workdir, *words, "--yes")
        assert done.returncode == 2 and not done.stdout
        line = done.stderr.splitlines()[-1]
        assert f"{workdir}: the run of process {os.getpid()} on host" in line
        assert line.endswith("is running there")
        assert set(files) <= set(workdir.rglob("*"))
        assert command("workdir", workdir, *words).returncode == 0  # to look is free
    done = command("workdir", workdir, *words, "--yes")
    assert done.returncode == 0
    assert not (workdir / "owner.json").exists() and set(workdir.rglob("*")) < set(files)


def test_a_wrong_folder_or_model_is_answered_in_a_line(command, workdir, tmp_path):
    for words in ((tmp_path / "tasks",), (tmp_path / "none",), (workdir, "--remove", "kmer-9")):
        done = command("workdir", *words)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
