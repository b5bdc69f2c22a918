"""Submissions of real runs: k-mers and a checkpoint of one's own on a hundred small tasks."""

import json
import random
import sys
import types

import numpy as np
import pytest
import saved_models

import geneb_jax
from geneb_jax.benchmark import GENEB
from geneb_jax.presentation import genebs_tasks
from geneb_jax.tasks.sizes import published_sizes

pytestmark = pytest.mark.slow
WHO = ("--submitted-by", "A. Person", "--genebs-tasks")
MODELS = ("kmer-2", "mine")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("submission")
    tasks, draw = root / "tasks", random.Random(0)
    tasks.mkdir()
    for task, size in zip(GENEB.tasks, published_sizes(), strict=True):
        rows = [f"{''.join(draw.choices('ACGT', k=20))},{i % size.classes},{split}"
                for split, count in (("train", max(6, size.classes)), ("test", 4))
                for i in range(count)]  # fmt: skip
        (tasks / f"{task.id}.csv").write_text("\n".join(["text,label,split", *rows]))
    checkpoint = saved_models.save(*saved_models.SAVED["bert-json"], root / "tuned")
    from geneb_jax.commands import main

    for models in ("kmer-2", f"kmer-2,mine=hf:{checkpoint}"):
        assert main([
            "run", "--config=full", f"--workdir={root / 'run'}", "--noconfig.report",
            f"--config.models={models}", f"--config.tasks_dir={tasks}",
            "--config.submitted_by=A. Person",
        ]) == 0  # fmt: skip
    return root


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch):
    """Lets files of ten records pass for GENEB's."""
    monkeypatch.setattr(genebs_tasks, "_FEW", 0.0)


@pytest.mark.parametrize("model", MODELS)
def test_the_submission_has_the_bytes_of_the_runs(finished, command, tmp_path, model):
    said = ("--url", "https://example.org", "--training-data", "random") if model == "mine" else ()
    words = ("--model", model, "--out", tmp_path / "o", *said, *WHO)
    done = command("submission", finished / "run", *words)
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "o" / "submissions" / f"{model}.json").read_text())
    of_run = finished / "run" / "submissions" / f"{model}.json"
    if model == "mine":
        known = json.loads(of_run.read_text())
        meta = {**known["meta"], "url": "https://example.org", "training_data": "random"}
        assert written == {**known, "meta": meta}
        assert written["meta"]["params"] > 1000
    else:
        assert (tmp_path / "o" / "submissions" / "kmer-2.json").read_bytes() == of_run.read_bytes()
    assert "to be filled in" in (tmp_path / "o" / "README.md").read_text()
    record = json.loads((tmp_path / "o" / "provenance.json").read_text())
    assert len(record["tasks"]) == 100


def test_the_extractor_of_a_checkpoint_embeds_as_the_run_did(
    finished, command, tmp_path, monkeypatch
):
    words = ("--url", "https://example.org", "--training-data", "random", *WHO)
    done = command(
        "submission", finished / "run", "--model", "mine", "--out", tmp_path / "o", *words
    )
    assert done.returncode == 0, done.stderr
    base = types.ModuleType("extractors.base")
    base.BaseEmbeddingExtractor = type("BaseEmbeddingExtractor", (), {})  # pyright: ignore
    monkeypatch.setitem(sys.modules, "extractors", types.ModuleType("extractors"))
    monkeypatch.setitem(sys.modules, "extractors.base", base)
    code = (tmp_path / "o" / "harness" / "extractors" / "mine.py").read_text()
    names = {"__name__": "extractors.mine", "__package__": "extractors"}
    exec(compile(code, "mine.py", "exec"), names)
    made = names["MineExtractor"](name_model=str(finished / "tuned"), device="cpu")
    sequences = ["ACGTTGCAAC", "TTTTGACAGACATTTAC"]
    found = made.extract_embeddings(sequences, batch_size=8)
    assert found.dtype == np.float32 and len(found) == 2
    np.testing.assert_array_equal(found, geneb_jax.embed(f"hf:{finished / 'tuned'}", sequences))
    assert str(finished) not in code


def test_two_runs_of_it_are_equal(finished, command):
    done = command("compare", finished / "run", finished / "run")
    assert done.returncode == 0 and done.stdout.startswith("equal: 3,000 rows of scores")
