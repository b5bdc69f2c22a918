import json

import pytest
import yaml
from huggingface_hub.repocard_data import model_index_to_eval_results
from run_folders import scores_of, write_run

from geneb_jax.benchmark import GENEB


def test_scores_and_model_index_are_written_beside_scores_csv(tmp_path, command):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_run(tmp_path, scores_of("kmer-4", tasks=GENEB.tasks[:2]))
    done = command("export", tmp_path, "--model-index")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"{tmp_path / 'scores.parquet'}: 30 rows"
    assert parquet.read_table(tmp_path / "scores.parquet").num_rows == 30
    index = yaml.safe_load((tmp_path / "model-index" / "kmer-4.yaml").read_text())
    assert list(index) == ["model-index"]
    name, results = model_index_to_eval_results(index["model-index"])
    assert name == "kmer-4" and len(results) == 3 + 2 * 3 * 3
    done = command("export", tmp_path, "--out", tmp_path / "out", "--predictions")
    assert done.returncode == 2 and "holds no predictions" in done.stderr
    assert (tmp_path / "out" / "scores.parquet").is_file()


def test_models_of_other_protocols_have_no_model_index(tmp_path, command):
    pytest.importorskip("pyarrow")
    write_run(tmp_path, scores_of("kmer-4", tasks=GENEB.tasks[:1], solver="converged"))
    done = command("export", tmp_path, "--model-index")
    assert done.returncode == 0 and "kmer-4: no row of GENEB's tasks" in done.stdout
    assert not (tmp_path / "model-index").exists()


def test_scores_of_files_are_genebs_by_somebodys_word(tmp_path, command):
    pytest.importorskip("pyarrow")
    write_run(tmp_path, scores_of("kmer-4", tasks=GENEB.tasks[:2]), tasks_dir="somewhere")
    done = command("export", tmp_path, "--model-index")
    assert done.returncode == 2 and "say so with --genebs-tasks" in done.stderr
    assert not (tmp_path / "scores.parquet").exists() and not done.stdout
    done = command("export", tmp_path, "--model-index", "--genebs-tasks")
    assert done.returncode == 0, done.stderr
    comment = (tmp_path / "model-index" / "kmer-4.yaml").read_text().splitlines()[0]
    assert comment.startswith("# The tasks were read from files. Whoever published the scores says")
    record = json.loads((tmp_path / "run.json").read_text())
    record["tasks"][GENEB.tasks[1].id]["train"]["class_rows"] = [10_000] * 3
    (tmp_path / "run.json").write_text(json.dumps(record))
    done = command("export", tmp_path, "--model-index", "--genebs-tasks")
    assert done.returncode == 2
    assert f"task '{GENEB.tasks[1].id}' (3 classes, not 2)" in done.stderr
