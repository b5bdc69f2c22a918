"""Checkpoints that are in no catalog: `hf:FOLDER` in runs, side by side with k-mers."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import saved_models
from safetensors.numpy import load_file, save_file

import geneb_jax
from geneb_jax.config import ConfigError, DataSettings, Settings, default_config
from geneb_jax.embedding.models import find_sources
from geneb_jax.run import run
from model_ports import catalog

TASK = [("ACGTTGCAAC" * 3, 0), ("GGCATTACGG" * 3, 1), ("TTACAGGACA" * 3, 0), ("CCGGATCCAT" * 3, 1)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A fine-tuned BERT as transformers saves it."""
    root = tmp_path_factory.mktemp("hf")
    return saved_models.save(*saved_models.SAVED["bert-json"], root / "tuned")


def find(*names, checkpoints_dir=None):
    return find_sources(Settings(data=DataSettings(names, checkpoints_dir=checkpoints_dir)))


def test_a_model_is_called_after_its_folder_or_as_it_is_named(folder):
    sources, problems = find(f"hf:{folder}", f"mine=hf:{folder}", f"hf:{folder}")
    assert not problems
    assert [source.name for source in sources] == ["tuned", "mine"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["hf:/not/there"], "/not/there: no such folder; name one, or a repository"),
        (["kmer-4=hf:{folder}"], "'kmer-4' is the name of another model"),
        (["hf:{grover}"], "'GROVER' is the name of another model; give a new one as in NAME=hf:"),
        (["hf:{folder}", "hf:{other}"], "is called 'tuned' too; give one another name"),
        (["a=hf:{folder}", "a=embeddings:{folder}"], "is called 'a' too"),
    ],
)
def test_what_cannot_be_named_is_a_problem(folder, tmp_path, names, words):
    others = {"grover": tmp_path / "GROVER", "other": tmp_path / "tuned"}
    for other in others.values():
        shutil.copytree(folder, other)
    given = {"folder": folder, **others}
    _, problems = find(*(name.format(**given) for name in names))
    (problem,) = problems
    assert words in problem
    assert len(problem.splitlines()) == 1


def test_embeddings_go_by_a_name(tmp_path):
    sources, problems = find(f"theirs=embeddings:{tmp_path}")
    assert not problems
    assert [source.name for source in sources] == ["theirs"]
    assert sources[0].open(tmp_path).card["model_id"] == "theirs"


def test_one_line_embeds_as_transformers_does(folder):
    records = ["ACGTTGCA" * 4, "GGC"]
    found = geneb_jax.embed(f"hf:{folder}", records)
    expected = saved_models.reference(folder, records, None)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def config_of(tmp_path, models):
    tasks = tmp_path / "tasks"
    tasks.mkdir(exist_ok=True)
    rows = [f"{text},{label},{split}" for split in ("train", "test") for text, label in TASK]
    (tasks / "one.csv").write_text("\n".join(["text,label,split", *rows]) + "\n")
    config = default_config()
    config.update(models=models, tasks_dir=str(tasks), regimes="full", seeds="42", report=False)
    return config


def test_new_weights_in_the_folder_are_computed_anew(folder, tmp_path):
    mine = shutil.copytree(folder, tmp_path / "mine")
    config = config_of(tmp_path, f"kmer-2,base=hf:{folder},hf:{mine}")
    run(config, tmp_path / "run")
    files = {path: path.read_bytes() for path in (tmp_path / "run" / "cells").rglob("*.json")}
    identity = json.loads((tmp_path / "run" / "run.json").read_text())["models"]
    path = mine / "model.safetensors"
    tensors = load_file(path)
    tensors["bert.embeddings.LayerNorm.weight"] *= np.linspace(-2, 2, 32, dtype=np.float32)
    save_file(tensors, path)
    scores = run(config, tmp_path / "run").scores
    after = json.loads((tmp_path / "run" / "run.json").read_text())["models"]
    assert set(scores["model"]) == {"kmer-2", "base", "mine"}
    assert after["mine"]["weights"] != identity["mine"]["weights"] == identity["base"]["weights"]
    assert after["base"] == identity["base"]
    changed = {path for path, before in files.items() if path.read_bytes() != before}
    assert changed
    assert all("mine" in str(path) for path in changed)


def test_a_folder_that_cannot_run_fails_alone(folder, tmp_path):
    lower = saved_models.save(
        lambda: saved_models.bert("BertModel", 69),
        lambda folder: saved_models.write_wordpiece(folder, saved_models.kmer_words(3)),
        tmp_path / "lower",
    )
    (tmp_path / "empty").mkdir()
    config = config_of(tmp_path, f"kmer-2,hf:{lower},hf:{tmp_path / 'empty'}")
    outcome = run(config, tmp_path / "run")
    assert set(outcome.scores["model"]) == {"kmer-2"}
    first, second = outcome.failures
    assert (first.model, second.model) == ("lower", "empty")
    assert "do_lower_case" in first.reason
    assert "no config.json" in second.reason
    config.fail_fast = True
    with pytest.raises(ConfigError, match=r"'lower': .*do_lower_case"):
        run(config, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_its_untrained_control_is_the_same_model_with_random_weights(folder):
    sources, problems = find(f"hf:{folder}:random", f"mine=hf:{folder}:random:tiny")
    assert not problems
    assert [source.name for source in sources] == ["tuned:random", "mine:random:tiny"]
    records = ["ACGTTGCA", "GGC"]
    found = geneb_jax.embed(f"hf:{folder}:random", records)
    trained = geneb_jax.embed(f"hf:{folder}", records)
    assert found.shape == trained.shape
    assert np.abs(found - trained).max() > 0.1


def test_long_records_are_cut_where_the_tokenizer_says(folder, tmp_path):
    left = shutil.copytree(folder, tmp_path / "left")
    path = left / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"truncation_side": "left"}))
    records = ["ACGT" * 600 + "GGTTAACC" * 400, "ACGT"]
    limit = json.loads(path.read_text())["model_max_length"]
    expected = saved_models.reference(left, records, limit)
    found = geneb_jax.embed(f"hf:{left}", records)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    assert np.abs(found[0] - geneb_jax.embed(f"hf:{folder}", records)[0]).max() > 1e-3


def test_a_folder_without_its_prefix_is_recognised(folder, tmp_path):
    _, (problem,) = find(str(folder))
    assert problem.endswith(f"model '{folder}' is a folder; write hf:{folder}")
    vectors = tmp_path / "vectors"
    vectors.mkdir()
    np.savez(vectors / "task.npz", train=np.zeros((1, 2)))
    _, (problem,) = find(str(vectors))
    assert problem.endswith(f"is a folder; write embeddings:{vectors}")


def test_another_pooling_than_its_bases_is_said(tmp_path, monkeypatch):
    golden = Path(__file__).parents[2] / "golden" / "DNABERT-S"
    folder = shutil.copytree(golden, tmp_path / "tuned")
    (folder / "meta.json").unlink()
    monkeypatch.setattr(catalog, "_SIZES", ())  # the fixture is smaller than the model
    ((source,), problems) = find(f"tuned=hf:{folder}")
    assert not problems
    (representation,) = source.open(tmp_path).representations
    assert representation.columns["pooling"] == "mean"
    assert any("DNABERT-S by 'first'" in text for text in representation.known_defects)
    assert "known_defects" not in representation.identity
