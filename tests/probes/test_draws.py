import numpy as np
import pytest
from sklearn.utils.class_weight import compute_sample_weight

from probes.draws import Draw, padded_rows, row_weights, stacked
from probes.rows import TaskRows
from probes.sampling import few_shot_rows


@pytest.mark.parametrize("classes", [[0, 1, 1, 1, 0], [2, 2, 2, 0, 4, 4]])
def test_row_weights_are_scikit_learns(classes):
    classes = np.array(classes)
    assert row_weights(classes, "none").tolist() == [1] * len(classes)
    expected = compute_sample_weight("balanced", classes)
    np.testing.assert_allclose(row_weights(classes, "balanced"), expected, rtol=1e-12)


def few_shot(rows, width, class_count, shots, seed):
    rng = np.random.default_rng(seed)
    classes = np.arange(rows) % class_count
    train = TaskRows(rng.normal(size=(rows, width)).astype(np.float32), classes, class_count)
    draws = [Draw(few_shot_rows(classes, shots, s), s, False, "none") for s in (1, 2)]
    return train, draws


def test_draws_of_several_tasks_are_one_batch_padded_to_the_most_rows():
    tasks = [few_shot(30, 4, 3, 1, 0), few_shot(30, 4, 3, 5, 1)]
    small, large = (padded_rows(*task) for task in tasks)
    batch = stacked([small, large])
    assert batch.x.shape == (4, 16, 4) and batch.y.shape == (4, 16, 3)
    assert batch.weight.sum(1).tolist() == [3, 3, 15, 15] and batch.seeds.tolist() == [1, 2, 1, 2]
    train, (first, _) = tasks[0]
    np.testing.assert_array_equal(batch.x[0, :3], train.x[first.rows])
    assert not batch.x[:2, 8:].any() and not batch.weight[:2, 3:].any()
    np.testing.assert_array_equal(batch.x[2:], large.x)
    np.testing.assert_array_equal(batch.y[2:], large.y)


@pytest.mark.parametrize("other", [few_shot(30, 5, 3, 1, 0), few_shot(30, 4, 2, 1, 0)])
def test_tasks_of_other_sizes_are_no_batch(other):
    with pytest.raises(ValueError, match="one width and one number of classes"):
        stacked([padded_rows(*few_shot(30, 4, 3, 1, 0)), padded_rows(*other)])


def test_whole_draws_are_no_batch():
    train, _ = few_shot(30, 4, 3, 1, 0)
    whole = padded_rows(train, [Draw(np.arange(30), 0, True, "none")])
    with pytest.raises(ValueError, match="stack few-shot draws"):
        stacked([whole, whole])
