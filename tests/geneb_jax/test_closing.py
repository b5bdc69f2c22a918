"""What a run leaves at its end says whose weights and records its scores are of."""

import json
import logging
from pathlib import Path

import pytest
from absl import logging as absl_logging
from rich.console import Console
from score_rows import table

from geneb_jax import closing
from geneb_jax.benchmark import GENEB
from geneb_jax.config import DataSettings, OutputSettings, Settings
from geneb_jax.embedding.identity import LOCAL_WEIGHTS
from geneb_jax.embedding.source import Representation, unpublished_card
from geneb_jax.presentation import present
from geneb_jax.scoring.evaluation import Evaluation

MODEL, TASK = "GENERator-eukaryote-1.2b-base", GENEB.tasks[0].id
COLUMNS = {"preset": "none", "dtype": "float32", "tap": "none", "pooling": "none"}


@pytest.fixture
def log(caplog):
    """What absl logs."""
    absl_logging.get_absl_logger().addHandler(caplog.handler)
    with caplog.at_level(logging.INFO, logger="absl"):
        yield caplog
    absl_logging.get_absl_logger().removeHandler(caplog.handler)


def close(workdir, model_id=MODEL, url="", prepared=(), tasks_dir=None, provenance=None, **said):
    rows = [{"model": MODEL, "task": TASK, "seed": seed, **COLUMNS} for seed in GENEB.seeds]
    evaluation = Evaluation(
        table(*rows),
        {MODEL: [Representation(COLUMNS, {})]},
        {MODEL: unpublished_card(model_id) | {"url": url}},
        {}, {}, {}, [], list(prepared),
    )  # fmt: skip
    settings = Settings(
        data=DataSettings(tasks_dir=tasks_dir),
        output=OutputSettings(report=provenance is not None, **said),
    )
    task = type("Named", (), {"info": GENEB.tasks[0]})
    console = Console(width=120, record=True, quiet=False)
    with console.capture() as shown:
        closing.close_run(settings, evaluation, [], [task], [], provenance or {}, workdir, console)
    return shown.get()


def test_weights_that_may_not_be_the_authors_have_another_name_in_tables_and_that_is_said(tmp_path):
    assert "may not be the authors'" not in close(tmp_path / "a")
    shown = close(tmp_path / "b", f"{MODEL}:local", LOCAL_WEIGHTS)
    (row,) = (line for line in shown.splitlines() if line.startswith("│ "))
    assert row.split()[1] == f"{MODEL}:local"
    words = " ".join(shown.split())
    assert f"'{MODEL}:local' is '{MODEL}' of the config and scores.csv: the folder's" in words
    submission = json.loads((tmp_path / "b" / "submissions" / f"{MODEL}.json").read_text())
    assert submission["model_id"] == f"{MODEL}:local"


def test_what_run_json_says_of_a_model_stands_under_its_name_in_the_report(tmp_path, monkeypatch):
    shown = {}
    monkeypatch.setattr(present, "present", lambda results, _, **given: shown.update(given) or {})
    failure = {"model": MODEL, "task": "", "stage": "embed", "reason": "out of memory"}
    parts = {part: {MODEL: {"width": 3}, "kmer-3": {}} for part in ("models", "taken", "unseen")}
    recorded = {**parts, "failures": [failure, {**failure, "model": ""}], "seconds": {}}
    close(tmp_path, f"{MODEL}:local", LOCAL_WEIGHTS, provenance=recorded)
    assert shown["provenance"] == {
        **{part: {f"{MODEL}:local": {"width": 3}, "kmer-3": {}} for part in parts},
        "failures": [{**failure, "model": f"{MODEL}:local"}, {**failure, "model": ""}],
        "seconds": {},
    }


def test_a_submission_leaves_out_tasks_whose_records_were_changed(tmp_path, log):
    path = tmp_path / "submissions" / f"{MODEL}.json"
    close(tmp_path)
    assert TASK in json.loads(path.read_text())["results"]["full"]
    assert not (tmp_path / "figures").exists()  # without report
    assert "not known" not in log.text
    close(tmp_path, prepared=[TASK])
    assert not path.exists()
    assert "is removed: scores.csv no longer has what it says" in log.text


def test_a_submission_of_a_folder_of_tasks_is_said_to_be_that(tmp_path, log):
    close(tmp_path, tasks_dir=Path("mine"))
    assert "submissions are of the task files in mine; whether these are GENEB's" in log.text


def test_a_submission_under_another_models_name_is_said_to_be_refused(tmp_path, log):
    close(tmp_path, submission_name="GENERator-Eukaryote-1.2B")
    assert "refuses it" not in log.text
    close(
        tmp_path,
        submission_name="grover",
        submission_url="https://huggingface.co/zehui127/Omni-DNA-1B",
    )
    for words in ("meta.display 'grover' is that of a published model ('GROVER')",
                  "meta.url 'https://huggingface.co/zehui127/Omni-DNA-1B' is that of"):  # fmt: skip
        assert f"{MODEL}.json: `geneb-jax submission` refuses it: {words}" in log.text
