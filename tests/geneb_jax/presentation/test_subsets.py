from importlib import resources

import numpy as np
import pandas as pd
import pytest

from geneb_jax.benchmark import LITE
from geneb_jax.presentation.published import published_results
from geneb_jax.presentation.subsets import (
    SIZES,
    lite_table,
    subset_agreement,
    subset_lines,
    subset_table,
)
from geneb_jax.uncertainty.fewer_tasks import Agreement

AGREEMENT = {
    "chosen": Agreement(np.array(SIZES), np.linspace(0.5, 1, 39), np.linspace(0.4, 1, 39)),
    "random": Agreement(np.array(SIZES), np.full(39, 0.7), np.full(39, 0.6)),
}


def test_the_table_has_a_row_a_size():
    table = subset_table(AGREEMENT)
    assert table["tasks"].tolist() == list(SIZES)
    assert table["random, lower decile"].unique().tolist() == [0.6]


def test_sentences_name_sizes_and_what_lite_costs():
    first, _, last = subset_lines(published_results(), AGREEMENT)
    assert "chosen 37, random more than 40" in first
    assert (
        "16 tasks, 31% of the tokens of all tasks, 26% to 27% where" in last
        and "0.995 over 40 models" in last
    )


def test_the_cost_of_lite_is_the_sum_over_its_tasks():
    folder = resources.files("geneb_jax") / "data"
    sizes, tokens = (
        pd.read_csv(folder / name).set_index("task")
        for name in ("task_sizes.csv", "task_tokens.csv")
    )
    of_task = tokens["6-mers"] * (sizes["train"] + sizes["test"])
    cut = tokens["6-mers"].clip(upper=512) * (sizes["train"] + sizes["test"])
    there, lite = tokens["counted"] > 0, list(LITE)
    row = lite_table().set_index("tokenizer").loc["6-mers"]
    expected = [
        of_task.sum() / 1e6,
        of_task[lite].sum() / 1e6,
        of_task[lite].sum() / of_task.sum(),
        cut[lite].sum() / cut.sum(),
    ]
    np.testing.assert_allclose(row.iloc[:4].astype(float), expected, rtol=1e-12)
    np.testing.assert_allclose(row["counted"], of_task[there].sum() / of_task.sum(), rtol=1e-12)
    assert 0 < row["counted in lite"] < 1


def test_few_models_cannot_judge():
    results = published_results()
    few = results[results["model"].isin(results["model"].unique()[:10])]
    with pytest.raises(ValueError, match="10 models on 100 tasks are too few"):
        subset_agreement(few)
