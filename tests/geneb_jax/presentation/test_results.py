import json

import pandas as pd
import pytest
from score_rows import table

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation.published import model_labels, published_results
from geneb_jax.presentation.results import (
    RESULT_COLUMNS,
    beside_published,
    common_cells,
    labels_of,
    read_source,
    run_results,
    say_fewer_tasks,
    with_cards,
)
from geneb_jax.presentation.submission_checks import read_model_run
from geneb_jax.scoring.scores import write_scores

MODEL = "nucleotide-transformer-v2-50m-multi-species"


def test_a_runs_results_are_means_over_seeds_under_the_papers_names():
    scores = table({"model": MODEL, "seed": 1, "MCC": 0.2}, {"model": MODEL, "seed": 2, "MCC": 0.4},
                   {"model": MODEL, "C": 10.0, "MCC": 1.0})  # fmt: skip
    results = run_results(scores)
    assert tuple(results.columns) == RESULT_COLUMNS
    (row,) = results.to_dict("records")
    assert row["model"] == "NT-v2-50M-MS"
    assert row["MCC"] == pytest.approx(0.3)


def test_scores_of_fewer_seeds_or_tasks_are_said(caplog):
    cells = [("a", "x", 1), ("a", "x", 2), ("a", "y", 1), ("a", "y", 2), ("b", "x", 1)]
    rows = [{"model": model, "task": task, "seed": seed} for model, task, seed in cells]
    results = run_results(table(*rows))
    assert caplog.messages == [
        "full: 1 of 3 pairs of model and task have fewer seeds than the others' 2, and their "
        "scores are means of fewer: 'b' on 'x' has 1"
    ]
    caplog.clear()
    say_fewer_tasks(results)
    assert caplog.messages == [
        "full: averages of these models are not over all of the 2 tasks, and are not comparable: "
        "'b' (1); with less than nine tenths of the tasks they have no intervals"
    ]
    caplog.clear()
    say_fewer_tasks(run_results(table(*rows[:4])))
    assert not caplog.messages


def test_mixed_ways_and_other_protocols_are_refused():
    with pytest.raises(ValueError, match=r"several presets or precisions of kmer-4"):
        run_results(table({"preset": "corrected"}, {"preset": "published"}))
    with pytest.raises(ValueError, match="no row follows GENEB's protocol"):
        run_results(table({"solver": "converged"}))


def test_every_kind_of_source_is_read(tmp_path):
    write_scores(table({"MCC": 0.25}), tmp_path / "run" / "scores.csv")
    (tmp_path / "run" / "run.json").write_text('{"seconds": {"total": 1}}')
    for source in (tmp_path / "run", tmp_path / "run" / "scores.csv"):
        found = read_source(str(source))
        assert found.results["MCC"].tolist() == [0.25]
        assert found.scores is not None
        assert found.provenance == {"seconds": {"total": 1}}
    (tmp_path / "submissions").mkdir()
    cell = {"MCC": 0.5, "Acc": 0.7, "F1": 0.6}
    content = {"schema_version": GENEB.schema_version, "model_id": "mine",
               "results": {"full": {GENEB.tasks[0].id: cell}}}  # fmt: skip
    (tmp_path / "submissions" / "mine.json").write_text(json.dumps(content))
    (tmp_path / "provenance.json").write_text("{}")  # as `geneb-jax submission` writes it
    for folder in (tmp_path / "submissions", tmp_path):
        assert read_source(str(folder)).results["MCC"].tolist() == [0.5]
    assert len(read_source("published").results) == 12000


def test_a_folder_that_shows_the_scores_of_others_says_so(tmp_path):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("")
    for read in (lambda: read_source(str(tmp_path)), lambda: read_model_run(tmp_path, "LucaOne")):
        with pytest.raises(ValueError, match=r"shows scores of elsewhere and has no scores\.csv"):
            read()


def test_own_results_stand_beside_their_published_namesakes():
    own = run_results(table({"model": MODEL, "MCC": 0.9}, {"model": "kmer-4", "MCC": 0.1}))
    both = beside_published(own)
    assert both["model"].nunique() == 42
    assert both.query("model == 'NT-v2-50M-MS (own)'")["MCC"].tolist() == [0.9]
    known = model_labels()["params"]
    labels = labels_of(["NT-v2-50M-MS (own)", "kmer-4", "LucaOne"], model_labels())["params"]
    assert labels.to_dict() == {
        "NT-v2-50M-MS (own)": known["NT-v2-50M-MS"],
        "LucaOne": known["LucaOne"],
    }


def test_a_card_speaks_for_a_model_that_the_paper_does_not_have():
    cards = {
        "mine": {"model_id": "mine", "params": 87312, "architecture": "T-dec"},
        "mine:random": {"model_id": "mine:random", "params": 87312},
        MODEL: {"model_id": f"{MODEL}:local", "params": 5},
        "kmer-4": {"model_id": "kmer-4", "params": 0},
    }
    names = ["mine", "mine:random", f"{MODEL}:local", "kmer-4", "NT-v2-50M-MS (own)"]
    labels = with_cards(names, model_labels(), cards)
    known = model_labels().loc["NT-v2-50M-MS"]
    assert labels["params"].to_dict() == {
        "NT-v2-50M-MS (own)": known["params"],
        "mine": 87312,
        "mine:random": 87312,
        f"{MODEL}:local": 5,
    }
    assert labels.loc["mine", "architecture"] == "T-dec"
    assert labels.loc["mine:random"].drop("params").isna().all()


def test_common_cells_are_those_of_every_model():
    both = beside_published(run_results(table({"MCC": 0.1})))
    common = common_cells(both)
    assert set(common["task"]) == {GENEB.tasks[0].id}
    assert set(common["regime"]) == {"full"}
    assert common["model"].nunique() == 41
    custom = run_results(table({"task": "x", "category": "custom"}))
    other = pd.concat([published_results(), custom])
    with pytest.raises(ValueError, match="no task has scores of every model"):
        common_cells(other)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "not JSON"),
        ("[1]", "holds a list"),
        ('{"seconds": 3}', "seconds, or those that models have taken, are not numbers"),
        ('{"seconds": {"total": "3"}}', "seconds, or those that models have taken, are not"),
        ('{"taken": {"a": 3}}', "seconds, or those that models have taken, are not numbers"),
        ('{"taken": {"a": {"probe": -1}}}', "that models have taken, are not numbers"),
        ('{"taken": []}', "that models have taken, are not numbers"),
        ('{"cards": {"a": {"params": "87M"}}}', "cards are not objects whose params are whole"),
        ('{"cards": [1]}', "cards are not objects whose params are whole numbers"),
    ],
)
def test_a_damaged_run_json_is_named_and_left_out(tmp_path, caplog, content, words):
    write_scores(table({"MCC": 0.25}), tmp_path / "scores.csv")
    (tmp_path / "run.json").write_text(content)
    found = read_source(str(tmp_path))
    assert found.results["MCC"].tolist() == [0.25]
    assert found.provenance is None
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{tmp_path / 'run.json'}: ")
    assert words in record.getMessage()


def test_scores_without_the_protocol_are_refused_with_their_file(tmp_path):
    write_scores(table({"solver": "converged"}), tmp_path / "scores.csv")
    with pytest.raises(ValueError, match=r"scores\.csv: no row follows GENEB's protocol"):
        read_source(str(tmp_path))
