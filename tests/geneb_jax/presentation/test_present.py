"""What an audit says of tasks, in tables and report: one that was given, and a run's own."""

import json
import re

import pandas as pd
import pytest
from matplotlib import pyplot as plt
from score_rows import table

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation import claims
from geneb_jax.presentation import present as module
from geneb_jax.presentation.figures import size_and_score
from geneb_jax.presentation.present import present
from geneb_jax.presentation.published import published_results
from geneb_jax.presentation.results import run_results
from geneb_jax.presentation.verdicts import Verdict

TASKS = [task for task in GENEB.tasks if task.label in ("GUE mouse 0", "GUE mouse 4", "NT H3")]
H3, MOUSE, OTHER_MOUSE = TASKS
GIVEN = {
    MOUSE.id: Verdict("leaky", "Half are twins. 2 are copies.", "split anew"),
    H3.id: Verdict("passed"),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Without figures, and with few replicates of the statements."""
    monkeypatch.setattr(module, "save_figures", lambda *_: [])
    monkeypatch.setattr(claims, "REPLICATES", 20)
    monkeypatch.setattr(claims, "FLIPS", 100)


def data_of(folder):
    """What the report's scripts read."""
    page = (folder / "report" / "index.html").read_text(encoding="utf-8")
    (data,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', page, re.S)
    return json.loads(data)


def tasks_of(folder):
    """What the report knows of each task, by its id."""
    return {task["id"]: task for task in data_of(folder)["tasks"]}


def left_out(folder):
    page = (folder / "report" / "index.html").read_text(encoding="utf-8")
    return re.findall(r'<li><a href="#view=task&amp;task=([^"]*)">([^<]*)</a>([^<]*)</li>', page)


def test_an_audit_that_is_given_marks_tasks_and_names_what_is_left_out(tmp_path):
    published = published_results()
    some = published[published["model"].isin(["DNABERT-2", "GROVER", "LucaOne"])]
    tables = present(some, tmp_path, verdicts=GIVEN)
    assert tables["leaky_tasks"].to_dict("records") == [
        {"task": MOUSE.id, "label": MOUSE.label, "category": MOUSE.category,
         "reasons": "Half are twins. 2 are copies.", "files": "split anew"}
    ]  # fmt: skip
    read = pd.read_csv(tmp_path / "tables" / "leaky_tasks.csv")
    assert read["task"].tolist() == [MOUSE.id]
    assert set(tables["pairs_without_leaky"]["left out"]) == {1}
    page = (tmp_path / "tables" / "leaky_tasks.md").read_text(encoding="utf-8")
    assert "| audited files" in page and "| split anew" in page
    assert "split anew" in (tmp_path / "tables" / "leaky_tasks.tex").read_text(encoding="utf-8")
    assert left_out(tmp_path) == [(MOUSE.id, MOUSE.label, " (audited files: split anew)")]
    found = tasks_of(tmp_path)
    facts = ("verdict", "reasons", "audited_files")
    assert [found[MOUSE.id][name] for name in facts] == [
        "leaky",
        ["Half are twins.", "2 are copies."],
        "split anew",
    ]
    said = [found[H3.id][name] for name in facts]
    assert said == ["passed", [], "those of the audit that was given"]
    assert "verdict" not in found[OTHER_MOUSE.id]


def test_without_an_audit_no_task_is_left_out(tmp_path):
    published = published_results()
    some = published[published["model"].isin(["DNABERT-2", "GROVER"])]
    tables = present(some, tmp_path)
    assert not {name for name in tables if "leaky" in name} and "claims" in tables
    assert not left_out(tmp_path)
    assert not any("verdict" in task for task in tasks_of(tmp_path).values())


def test_a_run_has_the_verdicts_of_its_own_audit_and_a_given_one_where_it_has_none(
    tmp_path, monkeypatch
):
    audited = {"copies": 1, "twins": 2, "near_50": 3, "near": 3}
    audit = pd.DataFrame(
        [
            {"task": H3.id, "verdict": "leaky", "reasons": "It has copies. So it is.", **audited},
            {"task": MOUSE.id, "verdict": "caution", "reasons": "its ends", **audited},
        ]
    )
    monkeypatch.setattr(module, "audit_tables", lambda *_: {"audit": audit})
    monkeypatch.setattr(module, "write_tables", lambda *given, **_: given[-1])
    monkeypatch.setattr(module, "write_report", lambda *_, **given: reported.update(given))
    reported = {}
    scores = table(
        *({"model": model, "task": task.id, "category": task.category, "MCC": MCC}
          for model, MCC in (("kmer-3", 0.2), ("kmer-4", 0.3)) for task in GENEB.tasks)
    )  # fmt: skip
    published = published_results()
    results = scores.reindex(columns=list(published))
    present(results, tmp_path, scores=scores, audits=["of two tasks"])
    assert reported["leaky"]["task"].tolist() == [H3.id]
    assert reported["leaky"]["reasons"].tolist() == ["It has copies. So it is."]
    assert reported["of_tasks"][H3.id]["reasons"] == ["It has copies.", "So it is."]
    assert set(reported["of_tasks"]) == {H3.id, MOUSE.id}
    assert not any("audited_files" in task for task in reported["of_tasks"].values())
    given = {MOUSE.id: Verdict("leaky"), OTHER_MOUSE.id: Verdict("leaky")}
    present(results, tmp_path, scores=scores, audits=["of two tasks"], verdicts=given)
    assert reported["leaky"]["task"].tolist() == [MOUSE.id, OTHER_MOUSE.id]
    words = {task: known["verdict"] for task, known in reported["of_tasks"].items()}
    assert words == {H3.id: "leaky", MOUSE.id: "caution", OTHER_MOUSE.id: "leaky"}


@pytest.mark.parametrize("beside", [False, True])
def test_intervals_of_a_run_are_not_those_of_the_published_model_of_its_name(tmp_path, beside):
    # The run's DNABERT-2 is 0.3 above its published namesake on every task.
    published = published_results()
    rows = published.query("regime == 'full' and model in ['DNABERT-2', 'GROVER']")
    own = rows[["model", "task", "category", "MCC"]].assign(MCC=rows["MCC"] + 0.3)
    scores = table(*own.to_dict("records"))
    tables = present(run_results(scores), tmp_path, scores=scores, beside=beside)
    data = data_of(tmp_path)
    ends = {each["name"]: each["sure"]["full"]["interval"]
            for each in data["models"] if "sure" in each}  # fmt: skip
    assert len(ends) == (42 if beside else 2)
    macro = own.groupby(["model", "category"])["MCC"].mean().groupby("model").mean()
    for model in ("DNABERT-2", "GROVER"):
        low, high = ends[f"{model} (own)"]
        assert low < macro[model] < high
        if beside:
            low, high = ends[model]
            assert low < macro[model] - 0.3 < high
    names = [each["name"] for each in data["models"]]
    pairs = [{names[a], names[b]} for _, a, b, *_ in data["pairs"]["full"]]
    assert {"DNABERT-2 (own)", "GROVER (own)"} in pairs
    assert ({"DNABERT-2", "GROVER"} in pairs) == beside
    shown = set(tables["intervals_macro"]["model"])
    assert ("DNABERT-2 (own)" in shown) == beside  # tables of a run alone need no such name


SIZES = {"base": 87312, "base:random": 87312, "tuned+lora": 5_000_000}


def test_models_of_a_run_have_the_size_and_architecture_of_their_cards(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(module, "save_figures", lambda results, labels, *_: drawn.append(labels))
    published = published_results()
    some = published[published["model"].isin(["DNABERT-2", "GROVER", "LucaOne"])]
    names = dict(zip(("DNABERT-2", "GROVER", "LucaOne"), SIZES, strict=True))
    results = pd.concat([some, some.assign(model=some["model"].map(names))])
    cards = {
        name: {"model_id": name, "params": params, "architecture": "T-dec", "tokenization": "SN"}
        for name, params in SIZES.items()
    }
    tables = present(results, tmp_path / "with", provenance={"cards": cards})
    board = tables["leaderboard"].set_index("model")["parameters"]
    assert board[list(SIZES)].to_dict() == SIZES
    models = {model["name"]: model for model in data_of(tmp_path / "with")["models"]}
    for name, params in SIZES.items():
        found = {field: models[name][field] for field in ("params", "architecture", "pretraining")}
        assert found == {"params": params, "architecture": "T-dec", "pretraining": None}
    (labels,) = drawn
    figure = size_and_score.overall(results, labels)
    assert figure is not None
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert texts >= set(SIZES)  # one of them alone is on the frontier
    points = {tuple(p) for c in figure.axes[0].collections for p in c.get_offsets().tolist()}
    plt.close(figure)
    assert {size for size, _ in points} >= set(SIZES.values())
    frontier = tables["pareto_frontier"]["params"]
    assert frontier.iloc[0] == min(SIZES.values())
    # The paper's statements are of its own models, whatever a run has beside them.
    without = present(results, tmp_path / "without")
    assert without["leaderboard"].set_index("model").loc[list(SIZES), "parameters"].isna().all()
    for name in ("size_correlation", "size_tiers", "corpus_groups", "claims"):
        pd.testing.assert_frame_equal(tables[name], without[name])


def test_cards_without_an_architecture_are_drawn_and_shown(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(module, "save_figures", lambda results, labels, *_: drawn.append(labels))
    published = published_results()
    some = published[published["model"] == "GROVER"]
    results = pd.concat([some, some.assign(model="mine")])
    cards = {"mine": {"model_id": "mine", "params": 87312}}
    present(results, tmp_path, provenance={"cards": cards}, intervals=False)
    models = {model["name"]: model for model in data_of(tmp_path)["models"]}
    assert (models["mine"]["params"], models["mine"]["architecture"]) == (87312, None)
    figure = size_and_score.overall(results, drawn[0])
    assert figure is not None
    names = [collection.get_label() for collection in figure.axes[0].collections]
    plt.close(figure)
    assert names == ["T-enc", "not stated"]
