import jax
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from benchmarks import few_shot
from benchmarks.probes import FEW, SEEDS, STRENGTHS
from geneb_jax.tasks.sizes import TaskSize

SIZES = [
    TaskSize("a", 300, 20, 2),
    TaskSize("b", 60, 20, 3),
    TaskSize("c", 200, 20, 2),
    TaskSize("d", 9, 20, 2),  # fewer than 10 of some class
]


@pytest.fixture(scope="module")
def tasks():
    return few_shot.tasks_by_classes(SIZES, 32)


def test_tasks_are_those_of_a_number_of_classes_with_all_few_shot_draws(tasks):
    assert {classes: len(found) for classes, found in tasks.items()} == {2: 3, 3: 1}
    for classes, found in tasks.items():
        for train, draws in found:
            assert len(draws) == len(FEW) * len(SEEDS) and train.class_count == classes
            assert max(len(draw.rows) for draw in draws) <= max(FEW) * classes
            assert len(draws[-1].rows) == classes and not draws[-1].whole


@pytest.fixture(scope="module")
def fitted(tasks):
    return {
        classes: (few_shot.fit_by_scipy(own), few_shot.fit_compiled(own))
        for classes, own in tasks.items()
    }


@pytest.mark.parametrize("classes", [2, 3])
def test_both_engines_find_the_same_heads_in_as_many_iterations(tasks, fitted, classes):
    own, (scipy, compiled) = tasks[classes], fitted[classes]
    draws = sum(len(task.draws) for task in own)
    columns = 1 if classes == 2 else classes
    assert compiled.head.shape == (len(STRENGTHS), draws, 33, columns)
    np.testing.assert_array_equal(compiled.iterations, scipy.iterations)
    np.testing.assert_allclose(compiled.head, scipy.head, atol=1e-4 * np.abs(scipy.head).max())
    np.testing.assert_allclose(compiled.objective, scipy.objective, rtol=1e-7)
    # The last draw of the last task, as scikit-learn fits it.
    train, (*_, draw) = own[-1]
    x, y = train.x[draw.rows].astype(np.float64), train.classes[draw.rows]
    head = LogisticRegression(C=STRENGTHS[-1], max_iter=1000).fit(x, y)
    assert scipy.iterations[-1, -1] == head.n_iter_[0]
    np.testing.assert_allclose(compiled.head[-1, -1, :-1].T, head.coef_, atol=1e-4)


def test_rows_say_where_the_engines_differ(fitted):
    scipy, _ = fitted[3]
    iterations, head = scipy.iterations.copy(), scipy.head.copy()
    iterations[0, 0] += 1
    head[1, 2, 3, 0] += 0.5 * np.abs(head[1, 2]).max()
    found = few_shot.differences(scipy._replace(iterations=iterations, head=head), scipy)
    assert found["equal_iterations"] == iterations.size - 1
    assert found["head_change"] == pytest.approx(0.5)


@pytest.mark.slow
def test_a_row_an_engine_and_their_sums(tasks):
    rows = [row for classes, own in tasks.items() for row in few_shot.measure(classes, own)]
    assert [(row["classes"], row["engine"]) for row in rows] == [
        (2, "SciPy"), (2, "compiled"), (3, "SciPy"), (3, "compiled"),
    ]  # fmt: skip
    assert all(row["device"] == jax.devices()[0].device_kind for row in rows)
    scipy, compiled = (few_shot.total(rows, engine) for engine in few_shot.ENGINES)
    assert scipy["fits"] == compiled["fits"] == compiled["equal_iterations"] == 4 * 10 * 5
    assert compiled["first_wall"] == rows[1]["first_wall"] + rows[3]["first_wall"]
    assert compiled["head_change"] == max(rows[1]["head_change"], rows[3]["head_change"])
    assert "head_change" not in scipy
