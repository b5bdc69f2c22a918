import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results
from score_rows import table

from geneb_jax.benchmark import CUSTOM, GENEB
from geneb_jax.presentation.model_card import (
    card_body,
    eval_results,
    front_matter,
    hub_card,
    model_index,
)

FIRST, LAST = GENEB.tasks[0], GENEB.tasks[-1]
META = {
    "display": "A model", "params": 1234567, "zero_shot": False, "training_data": "maize",
    "submitted_by": "",
}  # fmt: skip


def scores():
    rows = [
        {"task": task.id, "category": task.category, "regime": regime, "seed": seed,
         "MCC": mcc + 0.1 * i}
        for task, mcc in ((FIRST, 0.2), (LAST, 0.6))
        for regime in ("full", "1shot")
        for i, seed in enumerate((13, 17))
    ]  # fmt: skip
    others = [{"C": 10.0, "MCC": 0.9}, {"task": "mine", "category": CUSTOM, "MCC": 0.9},
              {"regime": "5shot", "MCC": 0.9}]  # fmt: skip
    return table(*rows, *others)


def test_results_are_what_the_hub_reads():
    index = yaml.safe_load(front_matter("A model", scores()).strip("-\n"))["model-index"]
    name, results = model_index_to_eval_results(index)
    assert name == "A model"
    assert results == eval_results(scores())
    macro = [r for r in results if r.dataset_config is None]
    # mean over the seeds is 0.25 and 0.65, of two categories with one task each
    assert [(r.metric_name, r.metric_value) for r in macro] == [
        ("MCC, full", 0.45), ("MCC, 1-shot", 0.45),
    ]  # fmt: skip
    assert macro[0].dataset_name == "GENEB macro mean of 2 tasks"
    of_first = {(r.metric_type, r.metric_args["regime"]): r.metric_value
                for r in results if r.metric_args and r.dataset_config == FIRST.label}  # fmt: skip
    assert of_first == {
        ("matthews_correlation", "full"): 0.25, ("accuracy", "full"): 0.75, ("f1", "full"): 0.7,
        ("matthews_correlation", "1shot"): 0.25, ("accuracy", "1shot"): 0.75, ("f1", "1shot"): 0.7,
    }  # fmt: skip
    assert {r.dataset_revision for r in results} == {GENEB.dataset_revision}


def test_a_card_has_front_matter_and_text():
    body = card_body(
        {"Architecture": "", "Pooling": "mean"}, META, scores(), "geneb-jax run", tasks="From here."
    )
    front = front_matter("A model", scores(), licence="mit", repo="org/a-model")
    card = ModelCard(hub_card(front, "A model", body))
    assert card.data.license == "mit" and card.data.base_model == "org/a-model"
    assert card.data.datasets == [GENEB.dataset_repo]
    assert card.text.lstrip().startswith("# A model\n\n- **Display name:** A model\n")
    for line in (
        "- **Parameters:** 1,234,567",
        "- **Architecture:** *to be filled in*",
        "| mean MCC | tasks | full | 1-shot |",
        "| **macro** | 2 | 0.450 | 0.450 |",
        f"| {FIRST.category} | 1 | 0.250 | 0.250 |",
        f"| {LAST.category} | 1 | 0.650 | 0.650 |",
        "- **Submitted by:** *to be filled in*",
    ):
        assert line in card.text.splitlines(), line


def test_scores_of_other_protocols_make_no_results():
    assert eval_results(table({"solver": "converged"})) == []
    with_none = yaml.safe_load(front_matter("m", table({"solver": "ridge"})).strip("-\n"))
    assert "model-index" not in with_none


@pytest.mark.parametrize("name", ["a: b", "- x", "'", "#", "Ü"])
def test_any_name_is_read_again(name):
    index = yaml.safe_load(front_matter(name, scores()).strip("-\n"))["model-index"]
    assert model_index_to_eval_results(index)[0] == name


def test_what_a_reader_must_know_stands_above_a_model_index():
    text = model_index("m", scores(), ["its tokenizer\ndrops N"])
    assert text.splitlines()[0] == "# its tokenizer drops N"
    assert yaml.safe_load(text) == yaml.safe_load(model_index("m", scores()))
