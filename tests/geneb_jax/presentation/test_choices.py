import pytest
from score_rows import table

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation.choices import choices_tables

TASKS = [GENEB.tasks[0], GENEB.tasks[1], GENEB.tasks[30]]  # two histone tasks and a promoter
MODELS = ("grover", "gena-lm-bert-base")


def rows(model, scores, **fields):
    """A row a task."""
    return [
        {"model": model, "task": task.id, "category": task.category, "MCC": mcc, **fields}
        for task, mcc in zip(TASKS, scores, strict=True)
    ]


@pytest.fixture
def probes():
    """Two baselines under two C and standardised; C = 10 turns their order round."""
    return table(
        *rows("kmer-3", [0.2, 0.4, 0.5]), *rows("kmer-4", [0.3, 0.3, 0.3]),
        *rows("kmer-3", [0.2, 0.4, 0.1], C=10.0), *rows("kmer-4", [0.4, 0.4, 0.5], C=10.0),
        *rows("kmer-3", [0.3, 0.5, 0.5], standardised=True),
    )  # fmt: skip


def test_a_choice_is_compared_on_what_both_have(probes):
    found = choices_tables(probes)
    moves = found["choices"].set_index("choice")
    # Macro of kmer-3: (0.3 + 0.5) / 2 = 0.4, then (0.3 + 0.1) / 2; of kmer-4 0.3, then 0.45.
    strength = moves.loc["C = 10"]
    assert strength["mean change"] == pytest.approx((-0.2 + 0.15) / 2)
    assert strength["mean |change|"] == pytest.approx(0.175)
    assert (strength["of"], strength["largest change"]) == ("kmer-3", pytest.approx(-0.2))
    assert strength["rank correlation"] == -1 and strength["change rank"] == 2
    assert strength["who"] == "kmer-3 1 to 2; kmer-4 2 to 1"
    scaled = moves.loc["standardised features"]
    assert scaled["models"] == 1 and scaled["mean change"] == pytest.approx(0.05)
    board = found["choices_leaderboard"].set_index(["choice", "model"])
    assert board.loc[("C = 10", "kmer-4"), "macro"] == pytest.approx(0.45)
    assert board.loc[("C = 10", "kmer-4"), ["rank", "rank, protocol"]].tolist() == [1, 2]
    assert "choices_layers" not in found


def test_means_over_both_strands_are_compared_with_the_model_itself():
    scores = table(
        *rows("kmer-3", [0.2, 0.4, 0.5]), *rows("kmer-4", [0.3, 0.3, 0.3]),
        *rows("kmer-3:both", [0.2, 0.4, 0.1]), *rows("kmer-4:both", [0.4, 0.4, 0.5]),
        *rows("kmer-2:both", [0.9, 0.9, 0.9]),
    )  # fmt: skip
    (moved,) = choices_tables(scores)["choices"].to_dict("records")
    assert moved["choice"] == "embeddings averaged over both strands"
    # As C = 10 above; kmer-2 was not evaluated on the given strand alone.
    assert moved["mean change"] == pytest.approx((-0.2 + 0.15) / 2) and moved["models"] == 2
    assert moved["who"] == "kmer-3 1 to 2; kmer-4 2 to 1"


def test_a_task_that_a_model_lacks_counts_for_none(probes):
    gone = (probes["model"] == "kmer-4") & (probes["C"] == 10) & (probes["task"] == TASKS[2].id)
    strength = choices_tables(probes[~gone])["choices"].set_index("choice").loc["C = 10"]
    assert strength["mean change"] == pytest.approx((0 + 0.1) / 2)


def views(**train):
    """One model with three hidden states; the train scores choose 1, the test scores 2."""
    test = {"-1": [0.1, 0.1, 0.1], "1": [0.2, 0.2, 0.3], "2": [0.5, 0.5, 0.5]}
    fields = {"preset": "corrected", "pooling": "mean"}
    return [
        row | ({"train_MCC": train[f"tap{tap}"][i]} if train else {})
        for tap, scores in test.items()
        for i, row in enumerate(rows("mine", scores, tap=tap, **fields))
    ]


def test_layers_are_chosen_on_train_alone():
    train = {"tap-1": [0.3, 0.3, 0.3], "tap1": [0.9, 0.1, 0.4], "tap2": [0.2, 0.2, 0.2]}
    found = choices_tables(table(*views(**train)))
    moves = found["choices"].set_index("choice")["mean change"]
    # Macro on train: 0.3, (0.5 + 0.4) / 2 = 0.45, 0.2. By task: states 1, -1 and 1.
    each = "layer and pooling of each model"
    assert moves[f"{each} chosen on train"] == pytest.approx(0.15)
    by_task = (0.2 + 0.1) / 2 / 2 + 0.3 / 2 - 0.1
    assert moves[f"{each} and task chosen on train"] == pytest.approx(by_task)
    assert moves[
        "layer and pooling of each model best on test (a bound, no choice)"
    ] == pytest.approx(0.4)
    layers = found["choices_layers"].iloc[0]
    assert (layers["chosen on train"], layers["best on test"]) == ("1 mean", "2 mean")
    assert layers["chosen on train, MCC"] == pytest.approx(0.25)
    assert layers["chosen on train, train MCC"] == pytest.approx(0.45)
    assert layers["protocol, MCC"] == pytest.approx(0.1)


def test_without_train_scores_only_the_bound_is_known():
    found = choices_tables(table(*views()))
    assert found["choices"]["choice"].tolist() == [
        "layer and pooling of each model best on test (a bound, no choice)"
    ]
    assert "chosen on train" not in found["choices_layers"]


def test_both_presets_are_compared_where_a_model_has_both():
    fields = {"tap": "-1", "pooling": "mean"}
    scores = table(
        *rows("mine", [0.1, 0.1, 0.1], preset="corrected", **fields),
        *rows("mine", [0.3, 0.1, 0.2], preset="published", **fields),
        *rows("kmer-4", [0.1, 0.1, 0.1]),
    )  # fmt: skip
    move = choices_tables(scores)["choices"].iloc[0]
    assert (move["choice"], move["models"]) == ("published extraction", 1)
    assert move["mean change"] == pytest.approx((0.2 + 0.2) / 2 - 0.1)


def test_one_choice_of_everything_has_no_table():
    assert choices_tables(table(*rows("kmer-4", [0.1, 0.1, 0.1]))) == {}
