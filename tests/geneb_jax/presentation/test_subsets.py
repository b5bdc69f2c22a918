import numpy as np
import pytest

from geneb_jax.presentation.published import published_results
from geneb_jax.presentation.subsets import SIZES, subset_agreement, subset_lines, subset_table
from geneb_jax.tasks.sizes import published_letters
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
    letters = published_letters()
    assert letters["NT H3"] == (13468 + 1497) * 500
    assert "16 tasks, 30% of the letters" in last and "0.995 over 40 models" in last


def test_few_models_cannot_judge():
    results = published_results()
    few = results[results["model"].isin(results["model"].unique()[:10])]
    with pytest.raises(ValueError, match="10 models on 100 tasks are too few"):
        subset_agreement(few)
