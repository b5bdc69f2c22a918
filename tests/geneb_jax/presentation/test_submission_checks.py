import json
import os

import pytest
from run_folders import (
    KMER_CARD,
    PORT,
    change_record,
    record_of,
    scores_of,
    write_cells,
    write_run,
)

from geneb_jax.benchmark import GENEB
from geneb_jax.embedding.identity import LOCAL_WEIGHTS
from geneb_jax.presentation.submission_checks import make_submission, problems, read_model_run
from geneb_jax.scoring.scores import read_scores, write_scores
from geneb_jax.tasks.sizes import published_sizes

SAID = {"submitted_by": "A. Person"}
TASKS = [task.id for task in GENEB.tasks]
NT = "nucleotide-transformer-v2-50m-multi-species"
NT_IDENTITY = {
    "model": NT, "revision": "81b2", "weights": "sha256:1", "dtype": "float32", "tap": -1,
    "preset": {"max_tokens": 2048, "pooling": "mean"}, "numerics": 1,
}  # fmt: skip
NT_CARD = {
    "model_id": NT, "display": "NT-v2-50M-MS", "params": 55_904_256,
    "url": "https://huggingface.co/InstaDeepAI/" + NT, "training_data": "multi-species",
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("whole") / "run")


def rows_of(number):
    size = published_sizes()[number]
    return f"{size.train + size.test:,}"


def found(folder, model="kmer-4", said=SAID, **options):
    return problems(read_model_run(folder, model), said, **options)


def test_a_whole_run_has_no_problem_but_what_it_cannot_know(whole):
    assert found(whole) == []
    assert found(whole, said={}) == [
        "meta.submitted_by is '', nobody's name; say it with --submitted-by"
    ]


def test_the_submission_is_the_mean_over_the_seeds_of_all_tasks(whole):
    content = make_submission(read_model_run(whole, "kmer-4"), SAID)
    assert content is not None
    assert content["meta"]["submitted_by"] == "A. Person"
    assert set(content["results"]) == {"full", "10shot", "1shot"}
    for tasks in content["results"].values():
        assert list(tasks) == TASKS
        # seeds have 0.07 - 0.001 j, j = 0 .. 4, whose mean is 0.07 - 0.002
        assert tasks[TASKS[7]] == {"MCC": 0.068, "Acc": 0.75, "F1": 0.7}


def test_what_the_config_claimed_counts(tmp_path):
    write_run(tmp_path, submitted_by="Somebody", submission_name="Four", zero_shot=True)
    assert found(tmp_path, said={}) == []
    content = make_submission(read_model_run(tmp_path, "kmer-4"), {})
    assert content is not None
    assert content["meta"]["display"] == "Four" and content["meta"]["zero_shot"] is True


def test_tasks_regimes_and_seeds_that_lack_are_each_a_line(tmp_path):
    scores = scores_of("kmer-4")
    drop = (scores["task"] == TASKS[0]) & (scores["regime"] == "1shot")
    drop |= (scores["task"] == TASKS[1]) & scores["seed"].isin([123, 997])
    drop |= scores["task"] == TASKS[2]
    scores = scores[~drop].reset_index(drop=True)
    scores.loc[scores["task"] == TASKS[3], "solver"] = "converged"
    write_run(tmp_path, scores)
    failure = {"model": "kmer-4", "task": TASKS[2], "stage": "probe", "reason": "no class"}
    change_record(tmp_path, failures=[failure])
    assert found(tmp_path) == [
        f"task '{TASKS[0]}': no scores in 1shot",
        f"task '{TASKS[1]}': full lacks the seeds 123, 997; 10shot lacks the seeds 123, 997; "
        "1shot lacks the seeds 123, 997",
        f"task '{TASKS[2]}': no scores in full, 10shot, 1shot; it failed: no class",
        f"task '{TASKS[3]}': no scores in full, 10shot, 1shot (of other probes alone)",
    ]


def test_records_that_are_not_the_benchmarks_are_named(tmp_path):
    scores = scores_of("kmer-4")
    write_run(tmp_path, scores, tasks_dir="elsewhere")
    changed = scores[scores["task"].isin(TASKS[:2])]
    write_cells(tmp_path, changed, {"model": "kmer-4", "numerics": 1}, letters="upper")
    record = json.loads((tmp_path / "run.json").read_text())
    del record["tasks"][TASKS[2]]
    record["tasks"][TASKS[3]]["synthetic"] = True
    record["tasks"][TASKS[4]]["train"]["rows"] = record["tasks"][TASKS[4]]["test"]["rows"] = 40
    record["benchmark"]["data"] = "0000"
    (tmp_path / "run.json").write_text(json.dumps(record))
    again = "give the command of its run again in this workdir (what is finished is not computed)"
    lines = found(tmp_path, genebs_tasks=True)
    assert lines == [
        f"run.json: benchmark.data is '0000', not '{GENEB.dataset_revision}'; {again}",
        f"task '{TASKS[0]}' and 1 more: config.letters=upper changed its records",
        f"task '{TASKS[2]}': run.json has no fingerprint of its records",
        f"task '{TASKS[3]}': its records are made up, not GENEB's",
        f"task '{TASKS[4]}' (80 of some {rows_of(4)} records): its file in config.tasks_dir has "
        "fewer than 10% of the records of GENEB's",
    ]
    content = make_submission(read_model_run(tmp_path, "kmer-4"), SAID)
    assert content is not None and len(content["results"]["full"]) == 98


def test_stale_cells_and_changed_scores_are_named(tmp_path):
    scores = scores_of("kmer-4")
    write_run(tmp_path, scores)
    old = scores[scores["task"] == TASKS[0]]
    write_cells(tmp_path, old, {"model": "kmer-4", "numerics": 0})
    for path in (tmp_path / "cells").rglob(f"{TASKS[0]}.json"):
        os.utime(path, (0, 0))
    edited = read_scores(tmp_path / "scores.csv")
    edited.loc[edited["task"] == TASKS[1], "MCC"] = 0.99
    write_scores(edited, tmp_path / "scores.csv")
    assert found(tmp_path) == [
        f"task '{TASKS[0]}': cells/ holds scores of other weights or records too (--prune); "
        "scores.csv is not what cells/ holds",
        f"task '{TASKS[1]}': scores.csv is not what cells/ holds",
    ]


def test_run_json_of_other_weights_is_named(tmp_path):
    write_run(tmp_path)
    change_record(tmp_path, models={"kmer-4": {"model": "kmer-4", "numerics": 9}})
    (line,) = found(tmp_path)
    assert line.startswith("run.json names other weights of 'kmer-4' than its scores are of")


def test_metrics_out_of_range_are_named(tmp_path):
    scores = scores_of("kmer-4")
    scores.loc[scores["task"] == TASKS[5], "accuracy"] = float("nan")
    write_run(tmp_path, scores)
    lines = found(tmp_path)
    assert len(lines) == 3
    assert lines[0] == f"full: '{TASKS[5]}': Acc is nan, not in 0 .. 1"


def test_local_weights_need_a_name_and_an_address(tmp_path):
    card = {**NT_CARD, "model_id": f"{NT}:local", "display": "NT-v2-50M-MS, local weights",
            "url": LOCAL_WEIGHTS, "training_data": "not stated"}  # fmt: skip
    scores = scores_of(NT, PORT)
    write_run(tmp_path, scores, identity=NT_IDENTITY, card=card, columns=PORT)
    change_record(tmp_path, models={NT: NT_IDENTITY | {"revision": LOCAL_WEIGHTS}})
    starts = ("model_id is", "meta.url is 'local weights'", "meta.training_data is 'not stated'",
              f"model '{NT}': the weights of its folder are not known")  # fmt: skip
    lines = found(tmp_path, NT)
    assert [line.startswith(start) for line, start in zip(lines, starts, strict=True)] == [True] * 4
    mended = {**SAID, "model_id": "mine", "url": "https://example.org/w", "training_data": "maize"}
    assert found(tmp_path, NT, mended) == []
    (line,) = found(tmp_path, NT, {**mended, "model_id": NT})
    assert line.startswith(f"model_id '{NT}' is that of a published model")


def test_the_authors_weights_go_under_their_name(tmp_path):
    write_run(tmp_path, scores_of(NT, PORT), identity=NT_IDENTITY, card=NT_CARD, columns=PORT)
    assert found(tmp_path, NT) == []
    lines = found(tmp_path, NT, {**SAID, "params": 0, "url": "", "display": ""})
    assert [line.partition(" is ")[0] for line in lines] == [
        "meta.params", "meta.display", "meta.url",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("params", "plausible"), [(0.49, False), (0.5, True), (2, True), (2.01, False), (1e3, False)]
)
def test_a_number_of_parameters_is_compared_with_the_counted_one(tmp_path, params, plausible):
    write_run(tmp_path, scores_of(NT, PORT), identity=NT_IDENTITY, card=NT_CARD, columns=PORT)
    lines = found(tmp_path, NT, {**SAID, "params": int(params * NT_CARD["params"])})
    assert (lines == []) == plausible
    assert plausible or f"but the model that was run has {NT_CARD['params']:,}" in lines[0]


def test_files_are_genebs_by_the_word_of_the_submitter(tmp_path):
    write_run(tmp_path, tasks_dir="elsewhere")
    (line,) = found(tmp_path)
    assert line == (
        "the scores are of the task files in elsewhere, and whether these are GENEB's is not "
        "known; say so with --genebs-tasks"
    )
    assert found(tmp_path, genebs_tasks=True) == []


def test_a_model_goes_by_its_id_in_submissions_too(tmp_path):
    card = {**NT_CARD, "model_id": f"{NT}:local", "url": LOCAL_WEIGHTS}
    write_run(tmp_path, scores_of(NT, PORT), identity=NT_IDENTITY, card=card, columns=PORT)
    assert read_model_run(tmp_path, f"{NT}:local").model == NT


def test_only_the_representation_of_the_last_run_counts(tmp_path):
    both = [scores_of(NT, PORT), scores_of(NT, PORT | {"preset": "published"}, MCC=0.9)]
    write_run(tmp_path, both[0], identity=NT_IDENTITY, card=NT_CARD, columns=PORT)
    import pandas as pd

    write_scores(pd.concat(both, ignore_index=True), tmp_path / "scores.csv")
    assert found(tmp_path, NT) == []
    content = make_submission(read_model_run(tmp_path, NT), SAID)
    assert content is not None and content["results"]["full"][TASKS[7]]["MCC"] == 0.068


def test_what_is_not_there_is_said(whole, tmp_path):
    with pytest.raises(ValueError, match=r"run.json: cannot be read"):
        read_model_run(tmp_path, "kmer-4")
    with pytest.raises(ValueError, match=r"holds no scores of 'kmer-5'; did you mean"):
        read_model_run(whole, "kmer-5")
    folder = write_run(tmp_path / "a")
    record = record_of(
        {"kmer-2": {}}, {"kmer-2": KMER_CARD | {"model_id": "kmer-2"}}, {"kmer-2": {}}
    )
    change_record(folder, **record)
    with pytest.raises(ValueError, match=r"model 'kmer-4': the last run in .* was of kmer-2; give"):
        read_model_run(folder, "kmer-4")
    record = json.loads((folder / "run.json").read_text())
    del record["cards"]
    (folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"run.json: has no 'cards'; give the command"):
        read_model_run(folder, "kmer-4")
