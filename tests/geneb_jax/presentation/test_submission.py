import json

import numpy as np
import pytest
from score_rows import table

from geneb_jax.benchmark import CUSTOM, GENEB
from geneb_jax.config import OutputSettings
from geneb_jax.presentation.results import RESULT_COLUMNS
from geneb_jax.presentation.submission import (
    claims,
    read_submissions,
    submission,
    write_submission,
)

CELL = {"MCC": 0.5, "Acc": 0.7, "F1": 0.6}
TASK = GENEB.tasks[0].id
CARD = {"model_id": "kmer-4", "display": "kmer-4", "params": 0, "url": "", "training_data": "none"}


def save(folder, name, **fields):
    content = {"schema_version": GENEB.schema_version, "model_id": "mine",
               "results": {"full": {TASK: CELL}}} | fields  # fmt: skip
    (folder / name).write_text(json.dumps(content))


def test_what_a_run_writes_is_read_again(tmp_path):
    scores = table(*({"MCC": 0.1 * i, "seed": seed} for i, seed in enumerate(GENEB.seeds)))
    write_submission("kmer-4", CARD, scores, tmp_path)
    table_read = read_submissions(tmp_path / "submissions")
    assert set(table_read) == set(RESULT_COLUMNS)
    (row,) = table_read.dropna(axis=1).to_dict("records")
    assert row == {"model": "kmer-4", "regime": "full", "category": GENEB.tasks[0].category,
                   "task": TASK, "MCC": 0.2, "accuracy": 0.75, "macro_F1": 0.7}  # fmt: skip


def test_every_problem_of_every_file_is_listed(tmp_path):
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "b.json").write_text("[]")
    save(tmp_path, "c.json", schema_version="0", model_id="", results={})
    save(tmp_path, "d.json", results={"5shot": {}, "full": {"no_task": CELL}, "1shot": 3})
    bad = {"MCC": 1.5, "Acc": True, "F1": float("nan")}
    save(tmp_path, "e.json", results={"full": {TASK: bad}})
    save(tmp_path, "f.json")
    save(tmp_path, "g.json")
    with pytest.raises(ValueError) as caught:
        read_submissions(tmp_path)
    problems = str(caught.value).splitlines()
    for start in (
        "a.json: not JSON",
        "b.json: not a JSON object",
        "c.json: schema_version is '0'",
        "c.json: model_id is ''",
        "c.json: results is missing or empty",
        "d.json: regime '5shot' is none of",
        "d.json: full: 'no_task' is no task",
        "d.json: 1shot: not an object",
        f"e.json: full: '{TASK}': MCC is 1.5, not in -1 .. 1",
        f"e.json: full: '{TASK}': Acc is True, not in 0 .. 1",
        f"e.json: full: '{TASK}': F1 is nan, not in 0 .. 1",
        "g.json: model 'mine' stands in f.json already",
    ):
        assert any(problem.startswith(start) for problem in problems), start
    assert len(problems) == 12


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"holds no \.json file"):
        read_submissions(tmp_path)


def test_submission_is_the_rounded_mean_over_the_seeds():
    seeds = [{"seed": s, "MCC": m} for s, m in zip(GENEB.seeds, np.linspace(0, 1, 5), strict=True)]
    others = [
        {"C": 10.0, "MCC": 9.0},
        {"model": "kmer-2", "MCC": 9.0},
        {"task": "mine", "category": CUSTOM, "MCC": 9.0},
        {"task": "synthetic_ctcf_binding", "MCC": 9.0},
        {"regime": "5shot", "MCC": 9.0},
        {"regime": "1shot", "MCC": 9.0},  # one seed alone
    ]
    found = submission("kmer-4", CARD, table(*seeds, *others))
    assert found is not None
    cell = {"MCC": 0.5, "Acc": 0.75, "F1": 0.7}
    assert found["results"] == {"full": {GENEB.tasks[0].id: cell}}
    assert found["schema_version"] == "1.0"
    assert set(found["meta"]) == {
        "display", "params", "url", "zero_shot", "training_data", "provenance", "submitted_by",
    }  # fmt: skip
    assert isinstance(found["meta"]["params"], int)
    assert found["meta"]["zero_shot"] is False  # a claim about pretraining that a run cannot make
    assert found["model_id"] == "kmer-4"


def test_no_submission_without_the_protocol(tmp_path):
    rows = [{"seed": seed, "solver": "converged"} for seed in GENEB.seeds]
    assert write_submission("kmer-4", CARD, table(*rows), tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_a_submission_whose_scores_are_gone_is_removed(tmp_path):
    rows = [{"seed": seed} for seed in GENEB.seeds]
    path = write_submission("kmer-4", CARD, table(*rows), tmp_path)
    assert path is not None and path.is_file()
    assert write_submission("kmer-4", CARD, table(*rows[:2]), tmp_path) is None
    assert not path.exists()


def test_what_the_config_claims_stands_in_the_submission():
    assert claims(OutputSettings()) == {}
    output = OutputSettings(
        submission_name="Mine",
        submission_url="https://example.org/mine",
        submission_training_data="maize",
        submitted_by="A. Uthor",
        zero_shot=True,
    )
    rows = table(*({"seed": seed} for seed in GENEB.seeds))
    found = submission("kmer-4", CARD | claims(output), rows)
    assert found is not None
    assert found["model_id"] == "kmer-4"
    assert found["meta"] == {
        "display": "Mine", "params": 0, "url": "https://example.org/mine", "zero_shot": True,
        "training_data": "maize", "provenance": "self-reported", "submitted_by": "A. Uthor",
    }  # fmt: skip


def test_hidden_files_are_left_alone_and_long_lists_cut(tmp_path):
    (tmp_path / "._mine.json").write_bytes(b"\0\5\x16\7")
    with pytest.raises(ValueError, match=r"holds no \.json file"):
        read_submissions(tmp_path)
    results = {"full": {f"no task {i}" + "x" * 500: {} for i in range(50)}}
    known = {"schema_version": GENEB.schema_version, "model_id": "m", "results": results}
    for i in range(9):
        (tmp_path / f"{i}.json").write_text(json.dumps(known))
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(ValueError) as error:
        read_submissions(tmp_path)
    lines = str(error.value).splitlines()
    assert len(lines) == 13
    assert lines[0].startswith("0.json: full: 'no task 0xxx") and len(lines[0]) < 150
    assert lines[3] == "0.json: ... and 47 more problems"
    assert lines[-1] == f"... and 25 more problems of files in {tmp_path}"
