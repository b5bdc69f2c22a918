import json

import pytest

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


def test_a_wrong_folder_or_model_is_answered_in_a_line(command, workdir, tmp_path):
    for words in ((tmp_path / "tasks",), (tmp_path / "none",), (workdir, "--remove", "kmer-9")):
        done = command("workdir", *words)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
