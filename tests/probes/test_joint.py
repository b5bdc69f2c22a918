import inspect
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from probe_problems import SEEDS, problem, reference
from scipy.sparse import csr_array, csr_matrix
from sklearn import exceptions
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import matthews_corrcoef, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from probes import METRICS, JointLogistic, NotFittedError, Probe, evaluate_task
from probes.sampling import few_shot_rows, stratified_folds


@pytest.mark.parametrize("classes", [2, 3])
def test_the_heads_are_those_of_evaluate_task(classes):
    x, y, x_test, y_test = problem(classes=classes)
    joint = JointLogistic([0.1, 1.0], shots=[None, 5], seeds=SEEDS).fit(x, y)
    heads = evaluate_task(
        x, y, x_test, y_test, probes=[Probe(strengths=(0.1, 1.0))], shots=[None, 5], seeds=SEEDS
    )
    by_head = {(head.shots, head.shots and head.seed, head.C): head for head in heads}
    table = joint.evaluate(x_test, y_test).astype({"shots": object, "seed": object})
    predicted = joint.predict_all(x_test)
    assert len(table) == len(joint.scores_) == len(by_head)
    for i, (_, row) in enumerate(table.iterrows()):
        shots, seed = (None if pd.isna(row[name]) else row[name] for name in ("shots", "seed"))
        head = by_head[shots, seed, row["C"]]
        np.testing.assert_array_equal(predicted[i], head.predictions)
        for metric in METRICS:
            np.testing.assert_equal(row[metric], getattr(head, metric))


@pytest.mark.parametrize("classes", [2, 3])
def test_one_head_is_scikit_learns(classes):
    x, y, x_test, y_test = problem(classes=classes)
    names = np.array(["enhancer", "none", "promoter"])
    labels = names[np.searchsorted(np.unique(y), y)]
    joint = JointLogistic(solver="converged").fit(x.tolist(), labels)
    x, x_test = x.astype(np.float64), x_test.astype(np.float64)
    model = LogisticRegression(tol=1e-10, max_iter=10_000).fit(x, labels)
    assert joint.classes_.tolist() == model.classes_.tolist()
    assert joint.n_features_in_ == x.shape[1]
    np.testing.assert_allclose(joint.coef_[0], model.coef_, atol=1e-4)
    np.testing.assert_allclose(joint.intercept_[0], model.intercept_, atol=1e-4)
    expected = model.decision_function(x_test)
    np.testing.assert_allclose(joint.decision_function(x_test), expected, atol=1e-3)
    np.testing.assert_allclose(joint.predict_proba(x_test), model.predict_proba(x_test), atol=1e-4)
    np.testing.assert_array_equal(joint.predict(x_test), model.predict(x_test))
    true = names[np.searchsorted(np.unique(y), y_test)]
    assert joint.score(x_test, true) == model.score(x_test, true)


def test_what_rounding_to_float32_loses_is_said(recwarn):
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    spread = y + rng.uniform(0, 0.5, 40)
    # Near 1e8 float32 has steps of 8.
    x = np.stack([spread, 1e8 + spread, np.full(40, 0.1)], axis=1)
    JointLogistic().fit(x, y)
    (said,) = [str(each.message) for each in recwarn]
    assert said.startswith("X is rounded to float32, which moves values of 1 of 3 columns by more")
    assert "than 3% of their spread, of column 1 by up to " in said
    assert "subtract the mean of each column from X, or standardise it, before the fit" in said
    recwarn.clear()
    for harmless in (
        x.astype(np.float32),  # was rounded before
        x - x.mean(axis=0),
        x[:, [0, 2]],
        np.stack([2**22 + y, 3 * y], axis=1),  # integers that float32 holds
    ):
        JointLogistic().fit(harmless, y)
    assert not recwarn


@pytest.mark.parametrize("ratio", [2.0**17, 2.0**23])
def test_rounding_is_said_from_an_offset_of_about_a_million_spreads(recwarn, ratio):
    y = np.arange(60) % 2
    x = ratio + np.random.default_rng(1).uniform(0, 1, (60, 1))
    JointLogistic().fit(x, y)
    assert bool(recwarn) == (ratio > 2**20)


def test_heads_are_of_features_that_are_rounded_to_float32():
    x, y, x_test, _ = problem()
    x = x + np.random.default_rng(0).normal(0, 1e-3, x.shape)  # numbers that float32 has not
    rounded = x.astype(np.float32)
    assert (rounded != x).any()
    joint = JointLogistic().fit(x, y)
    np.testing.assert_array_equal(joint.coef_, JointLogistic().fit(rounded, y).coef_)
    expected = LogisticRegression().fit(rounded.astype(np.float64), y)
    np.testing.assert_allclose(
        joint.decision_function(x_test), expected.decision_function(x_test), rtol=1e-4, atol=1e-5
    )


def test_held_out_scores_are_of_rows_that_the_fit_did_not_see():
    x, y, _, _ = problem(n=160)
    joint = JointLogistic(shots=[None, 5], seeds=(13, 17), random_state=3).fit(x, y)
    fold = stratified_folds(y, 5, 3)
    mcc, auroc = [], []
    for f in range(5):
        model = reference(x[fold != f], y[fold != f])
        mcc.append(matthews_corrcoef(y[fold == f], model.predict(x[fold == f])))
        auroc.append(roc_auc_score(y[fold == f], model.decision_function(x[fold == f])))
    full = joint.scores_.iloc[0]
    assert full["held_out"] == len(x)
    assert full["MCC"] == pytest.approx(np.mean(mcc))
    assert full["AUROC"] == pytest.approx(np.mean(auroc), abs=1e-3)
    for i, seed in ((1, 13), (2, 17)):
        drawn = few_shot_rows(y, 5, seed)
        rest = np.setdiff1d(np.arange(len(x)), drawn)
        model = reference(x[drawn], y[drawn])
        row = joint.scores_.iloc[i]
        assert (row["shots"], row["seed"], row["held_out"]) == (5, seed, len(rest))
        assert row["MCC"] == pytest.approx(matthews_corrcoef(y[rest], model.predict(x[rest])))


def test_the_head_that_predicts_has_the_best_c_of_the_most_rows():
    x, y, x_test, _ = problem(n=160)
    joint = JointLogistic([1e-6, 1.0, 100.0], shots=[5, None], seeds=(13, 17)).fit(x, y)
    full = joint.scores_[joint.scores_["shots"].isna()]
    assert joint.best_index_ == full["MCC"].idxmax()
    np.testing.assert_array_equal(
        joint.predict(x_test), joint.predict_all(x_test)[joint.best_index_]
    )
    few = JointLogistic([1e-6, 1.0], shots=[1, 5], seeds=(13, 17)).fit(x, y)
    best = few.scores_.iloc[few.best_index_]
    mean = few.scores_[few.scores_["shots"] == 5].groupby("C")["MCC"].mean()
    assert (best["shots"], best["seed"], best["C"]) == (5, 13, mean.idxmax())


def test_without_a_row_to_hold_out_scores_are_empty_and_c_is_the_closest_to_1():
    x = np.array([[0.0, 1.0], [2.0, 0.0], [0.1, 1.0]])
    joint = JointLogistic([100.0, 2.0, 0.01]).fit(x, ["a", "b", "a"])
    assert joint.scores_["MCC"].isna().all()
    assert joint.scores_["held_out"].tolist() == [0, 0, 0]
    assert joint.scores_.loc[joint.best_index_, "C"] == 2.0
    assert joint.predict([[0.0, 1.0], [2.0, 0.0]]).tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("predict", 1), ("predict_all", 1), ("predict_proba", 1), ("decision_function", 1),
        ("score", 2), ("evaluate", 2),
    ],
)  # fmt: skip
def test_what_is_asked_before_a_fit_fails_as_in_scikit_learn(method, arguments):
    given = ([[0.0], [1.0]], [0, 1])[:arguments]
    with pytest.raises(NotFittedError, match=r"not fitted yet; call fit\(X, y\) first") as caught:
        getattr(JointLogistic(), method)(*given)
    assert NotFittedError.__bases__ == exceptions.NotFittedError.__bases__
    for kind in (ValueError, AttributeError):
        assert isinstance(caught.value, kind)
    with pytest.raises(exceptions.NotFittedError):
        check_is_fitted(JointLogistic())  # by scikit-learn's own check


def test_it_stands_in_pipelines_and_searches_of_scikit_learn():
    x, y, _, _ = problem(n=120)
    pipeline = make_pipeline(StandardScaler(), JointLogistic(seeds=3))
    reference_pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    ours = cross_val_score(pipeline, x, y, cv=3)
    np.testing.assert_allclose(ours, cross_val_score(reference_pipeline, x, y, cv=3), atol=0.03)
    search = GridSearchCV(JointLogistic(), {"C": [0.01, 1.0]}, cv=3).fit(x, y)
    assert search.best_params_["C"] in (0.01, 1.0)
    copy: Any = clone(JointLogistic([0.5], shots=[3], class_weight="balanced"))
    assert copy.get_params()["class_weight"] == "balanced"
    assert "shots=[3]" in repr(copy)


def test_balanced_and_standardised_heads_are_those_of_the_probe():
    x, y, x_test, y_test = problem(n=120)
    joint = JointLogistic(class_weight="balanced", standardised=True, seeds=1).fit(x, y)
    probe = Probe(class_weights=("balanced",), standardised=True)
    (head,) = evaluate_task(x, y, x_test, y_test, probes=[probe], shots=[None], seeds=(1,))
    np.testing.assert_array_equal(joint.predict(x_test), head.predictions)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"C": [0.0]}, r"C=\[0.0\]: valid are numbers above 0"),
        ({"C": []}, "give one or several, each once"),
        ({"C": [1.0, 1.0]}, "give one or several, each once"),
        ({"C": "0.1"}, "C='0.1': valid are numbers above 0"),
        ({"C": [True]}, r"C=\[True\]: valid are numbers above 0"),
        ({"shots": 0}, "shots=0: valid are whole numbers from 1 on, and None for all rows"),
        ({"shots": "full"}, "shots='full': valid are .* None for all rows"),
        ({"shots": [2.5]}, r"shots=\[2.5\]: valid are whole numbers"),
        ({"seeds": -1}, "seeds=-1: valid are whole numbers from 0"),
        ({"seeds": [float("inf")]}, "valid are whole numbers from 0"),
        ({"random_state": None}, "random_state=None: valid are whole numbers from 0"),
        ({"standardised": "no"}, "standardised='no': valid are True, False"),
        ({"solver": "newton"}, "solver='newton': valid are 'geneb'"),
        ({"class_weight": "balance"}, "class_weight='balance': valid are None and 'balanced'"),
    ],
)
def test_parameters_that_are_not_valid_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        JointLogistic().set_params(**parameters).fit([[0.0], [1.0]], [0, 1])


def test_arrays_that_do_not_fit_are_named():
    x, y = np.zeros((4, 2)), [0, 1, 0, 1]
    joint = JointLogistic()
    with pytest.raises(ValueError, match=r"X has the shape \[4\]"):
        joint.fit(x[:, 0], y)
    with pytest.raises(ValueError, match=r"y has the shape \[3\]; X has 4 rows"):
        joint.fit(x, y[:3])
    with pytest.raises(ValueError, match=r"X\[2\] holds values that are not finite"):
        joint.fit([[0], [1], [np.nan], [1]], y)
    with pytest.raises(ValueError, match="the class 1 alone"):
        joint.fit(x, [1, 1, 1, 1])
    joint.fit(x, y)
    with pytest.raises(ValueError, match="X has 3 features, but the heads were fitted on 2"):
        joint.predict(np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"labels that the fit did not see: \[7\]"):
        joint.evaluate(x, [0, 1, 7, 1])
    with pytest.raises(ValueError, match="'gamma' is not known"):
        joint.set_params(gamma=1)


def test_columns_in_another_order_are_refused():
    x, y, _, _ = problem(n=60)
    table = pd.DataFrame(x, columns=[f"f{i}" for i in range(x.shape[1])])
    joint = JointLogistic(seeds=1).fit(table, y)
    np.testing.assert_array_equal(joint.predict(table), joint.predict(x))
    with pytest.raises(ValueError, match=r"other columns .* order: \['f23', 'f22', 'f21'\]"):
        joint.predict(table.iloc[:, ::-1])


def test_a_sparse_matrix_is_fitted_with_its_zeros():
    x, y, x_test, _ = problem(n=60)
    x, x_test = np.maximum(x, 0), np.maximum(x_test, 0)
    dense = JointLogistic(seeds=1).fit(x, y)
    joint = JointLogistic(seeds=1).fit(csr_matrix(x), y)
    np.testing.assert_array_equal(joint.coef_, dense.coef_)
    np.testing.assert_array_equal(joint.predict(csr_array(x_test)), dense.predict(x_test))
    with pytest.raises(
        ValueError, match=r"X is sparse of the shape \[2000000, 1000\]; .* 1.1e\+09"
    ):
        joint.fit(csr_matrix((2_000_000, 1000)), y)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([["a"], ["b"]], "X holds values of type <U1; real numbers are needed"),
        ([[1j], [0j]], "X holds values of type complex128"),
        (np.array([[1.0], ["a"]], object), "X holds something else than numbers"),
    ],
)
def test_features_that_are_no_numbers_are_refused(x, message):
    with pytest.raises(ValueError, match=message):
        JointLogistic().fit(x, [0, 1])


@pytest.mark.parametrize("kind", [list, np.array, pd.Series, lambda y: np.array(y, object)])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "b", None], r"y\[2\] is None; leave this row out of X and y"),
        ([0.0, np.nan, 1.0], r"y\[1\] is nan; leave this row out"),
    ],
)
def test_a_missing_label_is_named(kind, labels, message):
    with pytest.raises(ValueError, match=message.replace("None", "(None|nan)")):
        JointLogistic().fit([[0.0], [1.0], [2.0]], kind(labels))


def test_labels_of_several_types_are_refused():
    x = [[0.0], [1.0], [2.0]]
    with pytest.raises(ValueError, match="cannot be sorted, of the types float, str; give texts"):
        JointLogistic().fit(x, ["a", 1.0, "b"])
    with pytest.raises(ValueError, match=r"y\[1\] is nan"):
        JointLogistic().fit(x, ["a", np.nan, "b"])
    joint = JointLogistic().fit(x, ["a", "b", "a"])
    with pytest.raises(ValueError, match="labels that the fit did not see: "):
        joint.evaluate(x, [0, 1, 0])


def test_a_class_with_fewer_rows_than_shots_is_said():
    x, y, _, _ = problem(n=60)
    labels = np.where(y == min(y), "none", "promoter")
    smallest = int(min(np.unique(y, return_counts=True)[1]))
    with pytest.warns(UserWarning, match=rf"shots=1000: class '\w+' of y has {smallest} rows"):
        joint = JointLogistic(shots=[5, 1000], seeds=1).fit(x, labels)
    assert joint.scores_["held_out"].tolist() == [len(y) - 10, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        JointLogistic(shots=[None, smallest], seeds=1).fit(x, labels)


def test_signatures_are_short():
    assert str(inspect.signature(JointLogistic.fit)) == (
        "(self, X: 'Features', y: 'ArrayLike') -> 'JointLogistic'"
    )


def test_numbers_that_are_no_labels_are_refused():
    with pytest.raises(ValueError, match="y holds numbers that are no labels"):
        JointLogistic().fit([[0.0], [1.0]], [0.25, 0.75])
    assert JointLogistic().fit([[0.0], [1.0]], [0.0, 1.0]).classes_.tolist() == [0.0, 1.0]
