import numpy as np
import pytest
from probe_problems import SEEDS, problem, reference
from sklearn.metrics import matthews_corrcoef

from probes import Probe, evaluate_task, logistic, logistic_compiled
from probes.sampling import stratified_folds


@pytest.mark.parametrize(
    ("kind", "selection"),
    [
        ("logistic", "folds"),
        ("logistic", "carve"),
        ("ridge", "folds"),
        ("ridge", "carve"),
    ],
)
def test_selection_never_sees_test_labels(kind, selection):
    x, y, x_test, y_test = problem(classes=3)
    probe = Probe(kind, strengths=(1e-4, 1.0, 100.0), standardised=True,
                  class_weights=("none", "balanced"), selection=selection)  # fmt: skip
    options = {"probes": [probe], "shots": [None, 20, 1], "seeds": SEEDS}
    heads = evaluate_task(x, y, x_test, y_test, **options)
    assert {(h.shots, h.seed) for h in heads} == {(k, s) for k in (None, 20, 1) for s in SEEDS}
    assert len(heads) == 6
    shuffled = np.random.default_rng(1).permutation(y_test)
    again = {(h.shots, h.seed): h for h in evaluate_task(x, y, x_test, shuffled, **options)}
    for head in heads:
        other = again[head.shots, head.seed]
        assert (head.C, head.class_weight) == (other.C, other.class_weight)
        np.testing.assert_array_equal(head.scores, other.scores)
    assert {(h.C, h.class_weight) for h in heads if h.shots == 1} == {(1.0, "none")}


# Folds that are fitted in one program: none, all, or two and then two and then one.
@pytest.mark.parametrize(
    "together",
    [None, pytest.param(5, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)],
)
def test_selection_takes_the_best_of_the_grid_on_held_out_rows(together, monkeypatch):
    monkeypatch.setattr(logistic, "is_compiled", lambda train, draws: together is not None)
    monkeypatch.setattr(
        logistic_compiled, "_draws_together", lambda rows, _: min(together, len(rows.weight))
    )
    x, y, x_test, y_test = problem(classes=2)
    grid = (1e-5, 1.0, 100.0)
    probe = Probe(solver="converged", strengths=grid, selection="folds")
    (head,) = evaluate_task(x, y, x_test, y_test, probes=[probe], shots=[None], seeds=(13,))
    fold = stratified_folds(np.unique(y, return_inverse=True)[1], 5, 13)
    means = [
        np.mean([
            matthews_corrcoef(y[fold == i],
                              reference(x[fold != i], y[fold != i], C=C,
                                        solver="newton-cholesky").predict(x[fold == i]))
            for i in range(5)
        ])
        for C in grid
    ]  # fmt: skip
    assert grid[int(np.argmax(means))] == head.C
    model = reference(x, y, C=head.C, solver="newton-cholesky", tol=1e-10)
    np.testing.assert_allclose(head.scores, model.decision_function(x_test), atol=1e-3, rtol=1e-3)


def test_train_scores_are_those_of_folds():
    x, y, x_test, y_test = problem(classes=2)
    probe = Probe("ridge", strengths=(0.1, 1.0), cross_validated=True)
    heads = evaluate_task(x, y, x_test, y_test, probes=[probe], shots=[None, 1], seeds=[3, 4])
    fold = stratified_folds(y, 5, 3)
    for head in heads:
        if head.shots == 1:  # a class of one row has no folds
            assert head.train_MCC is not None and np.isnan(head.train_MCC)
            continue
        plain = Probe("ridge", strengths=(head.C,))
        options = {"probes": [plain], "shots": [None], "seeds": [3]}
        found = [
            evaluate_task(x[fold != k], y[fold != k], x[fold == k], y[fold == k], **options)[0].MCC
            for k in range(5)
        ]
        assert head.train_MCC == pytest.approx(np.mean(found), abs=1e-9)
    assert {head.C for head in heads if head.shots is None} == {0.1, 1.0}
    plain = evaluate_task(x, y, x_test, y_test, probes=[Probe("ridge")], shots=[None], seeds=[3])
    assert plain[0].train_MCC is None
