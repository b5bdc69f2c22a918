import functools

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import matthews_corrcoef

from benchmarks import coverage
from benchmarks.coverage import (
    METHODS,
    QUESTIONS,
    bca_ends,
    binary_cells,
    cells_of,
    equal_pair,
    exact,
    exact_cases,
    fisher_ends,
    five_heads,
    held,
    likelihood_ends,
    macro_of_rows_case,
    macro_of_seeds_case,
    mcc_of_cells,
    our_ends,
    pairs_cases,
    rows_case,
    seeds_case,
    tables_of,
    tasks_case,
    truths_of,
)
from geneb_jax.benchmark import GENEB
from geneb_jax.uncertainty.comparing import category_means
from probes.metrics import mcc


@pytest.mark.parametrize("shares", [[0.2, 0.8], [0.2, 0.3, 0.5]])
def test_simulated_classifiers_have_their_mcc(shares):
    cells = cells_of(np.array(shares), 0.7)
    assert cells.sum() == pytest.approx(1) and cells.sum(1) == pytest.approx(shares)
    assert mcc(cells) == pytest.approx(0.7)


def test_classifiers_of_two_classes_have_their_mcc_and_shares():
    cells = binary_cells(0.2, 0.3, 0.6)
    assert cells[:2].sum() == pytest.approx(0.2) and cells[::2].sum() == pytest.approx(0.3)
    assert mcc_of_cells(cells) == pytest.approx(0.6) == mcc(cells.reshape(2, 2))
    assert binary_cells(0.1, 0.5, 0.9).min() < 0  # no such classifier


def test_tables_are_all_that_there_are():
    tables = tables_of(6)
    assert len({tuple(table) for table in tables}) == len(tables) == 84 - 2 * 7
    assert (tables.sum(1) == 6).all() and (tables[:, :2].sum(1) % 6 > 0).all()
    labels, heads = np.repeat([0, 0, 1, 1], tables[20]), np.repeat([0, 1, 0, 1], tables[20])
    assert mcc_of_cells(tables[20]) == pytest.approx(matthews_corrcoef(labels, heads))


def test_exact_shares_are_those_of_simulated_splits():
    tables = tables_of(8)
    score = mcc_of_cells(tables)
    ends = score - 0.3, score + 0.3
    share, detail = exact(ends, tables, [(0.5, 0.4)], np.array([0.6]))
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(8, binary_cells(0.5, 0.4, 0.6), 20_000)
    drawn = drawn[drawn[:, :2].sum(1) % 8 > 0]
    assert share == pytest.approx((abs(mcc_of_cells(drawn) - 0.6) <= 0.3).mean(), abs=0.015)
    assert "width 0.600; exact" in detail
    ((_, fixed),) = truths_of(tables, (0.5, 0.4), np.array([0.6]), fixed=True)
    assert fixed.sum() == pytest.approx(1) and (tables[fixed > 0, :2].sum(1) == 4).all()


def test_other_intervals_are_what_they_are_called(monkeypatch):
    monkeypatch.setattr(coverage, "_REPLICATES", 4000)
    tables = np.array([[30, 10, 5, 35]])
    rng = np.random.default_rng(0)
    true, head = (np.repeat(labels, tables[0]) for labels in ([0, 0, 1, 1], [0, 1, 0, 1]))

    def correlation(rows, axis):  # which MCC of two classes is
        both = (true[rows] * head[rows]).mean(axis) - true[rows].mean(axis) * head[rows].mean(axis)
        return both / (true[rows].std(axis) * head[rows].std(axis))

    found = stats.bootstrap((np.arange(80),), correlation, n_resamples=4000).confidence_interval
    assert np.ravel(bca_ends(tables, rng)) == pytest.approx(list(found), abs=0.025)
    # The delta method: arctanh(MCC) with the variance of resampled cells.
    cells = (tables[0] + 0.5) / 82
    drawn = mcc_of_cells(rng.multinomial(8_000_000, cells, 4000))
    half = 1.959964 * drawn.std() * np.sqrt(100_000) / (1 - mcc_of_cells(cells) ** 2)
    expected = np.tanh(np.arctanh(mcc_of_cells(cells)) + np.array([-half, half]))
    assert np.ravel(fisher_ends(tables, rng)) == pytest.approx(expected, abs=0.01)
    low, high = likelihood_ends(tables, rng)
    assert low[0] < mcc_of_cells(tables)[0] < high[0]
    assert 0.8 < (high[0] - low[0]) / (found.high - found.low) < 1.2


def test_shares_count_the_intervals_that_hold_the_truth():
    def draw(rng):
        value = rng.random()
        near = np.array(value - 0.1), np.array(value + 0.1)
        return 0.5, {"near": near, "all": (np.zeros(1), np.ones(1))}

    found = held(draw, 2000, 0)
    assert found["near"].item() == pytest.approx(0.2, abs=0.03) and found["all"].item() == 1


def test_every_question_is_simulated(monkeypatch):
    monkeypatch.setattr(coverage, "exact_cases", lambda rows, methods: iter(()))
    monkeypatch.setattr(coverage, "_REPLICATES", 20)
    found = [each for cases in QUESTIONS.values() for each in cases(1)]
    assert {each.question for each in found} == set(QUESTIONS)
    assert len({(each.question, each.case, each.method) for each in found}) == len(found) > 200


def test_intervals_over_few_records_cover(monkeypatch):
    monkeypatch.setattr(coverage, "_REPLICATES", 1000)
    methods = ["ours", "half a count a cell", "resampled, half a count"]
    found = list(exact_cases(12, methods))
    assert set(methods) <= {each.method for each in found} and set(methods) <= set(METHODS)
    of_range = {each.method: each.share for each in found if "MCC 0.3 to" in each.case}
    assert 0.93 < of_range["ours"] < 0.97 and of_range["resampled, half a count"] < 0.9
    alone = [each for each in found if each.case.endswith("predicted for 1")]
    ours, nothing = alone
    assert ours.share > 0.93 and nothing.share < 0.8


@pytest.mark.slow
def test_intervals_over_records_cover(monkeypatch):
    monkeypatch.setattr(coverage, "_REPLICATES", 2000)
    tables = tables_of(19)
    ends = our_ends(tables, np.random.default_rng(3))
    for shares in (0.5, 0.5), (0.2, 0.2), (0.2, 0.3):
        share, _ = exact(ends, tables, [shares], np.linspace(0, 0.98, 50))
        assert 0.94 < share < 0.965
        for point in (0.3, 0.5, 0.7):
            share, _ = exact(ends, tables, [shares], np.array([point]))
            assert 0.92 < share < 0.98


@pytest.mark.slow
@pytest.mark.parametrize(("classes", "rows"), [(2, 200), (2, 9000), (3, 30), (9, 90)])
def test_intervals_of_many_classes_cover(classes, rows):
    found = held(functools.partial(rows_case, rows, classes, (0.85, 0.98)), 400, 7)
    assert 0.92 < found["ours"].item() < 0.98
    assert classes == 2 or found["half a count a cell"].item() < 0.9


def test_intervals_of_means_over_seeds_cover(monkeypatch):
    monkeypatch.setattr(coverage, "_REPLICATES", 200)
    found = held(functools.partial(seeds_case, 19, 2, 0.3, 0.0), 300, 7)
    assert 0.91 < found["ours"].item() < 0.975
    _, ends = seeds_case(19, 2, 0.3, 0.0, np.random.default_rng(1))
    (low, high), (lower, higher) = ends["ours"], ends["a whole prior each"]
    assert high - low < higher - lower
    for alike in (0.0, 1.0):  # heads have their MCC
        case = functools.partial(seeds_case, 4000, 3, 0.5, alike)
        assert held(case, 20, 3)["ours"].item() > 0.8


def test_heads_err_alike_as_far_as_is_asked_for():
    for alike, low, high in ((0.0, 0.4, 0.6), (0.5, 0.575, 0.675), (1.0, 1.0, 1.0)):
        _, heads = five_heads(2000, 2, 0.0, alike, np.random.default_rng(4))
        same = (heads[0] == heads[1]).mean()
        assert low <= same <= high


def test_macro_intervals_of_means_over_seeds_cover(monkeypatch):
    monkeypatch.setattr(coverage, "_REPLICATES", 200)
    found = held(functools.partial(macro_of_seeds_case, 19, 0.6, 0.5), 60, 7)
    assert found["ours"].item() > 0.85


@pytest.mark.slow
@pytest.mark.parametrize("mcc", [0.3, 0.5])
def test_intervals_of_means_over_many_small_tasks_cover(mcc, monkeypatch):
    monkeypatch.setattr(coverage, "_REPLICATES", 300)
    categories = [task.category for task in GENEB.tasks]
    case = functools.partial(macro_of_rows_case, 19, categories, mcc, (0.2, 0.2))
    found = held(case, 120, 7)
    # 0.94 and 0.84 to 0.85 of a thousand; both are of the same simulations.
    assert 0.88 < found["ours"].item() < 1
    assert found["ours"].item() - found["whole priors, moved"].item() > 0.03


@pytest.mark.slow
def test_intervals_over_tasks_cover():
    found = held(functools.partial(tasks_case, "normal", 0.4), 300, 7)
    ours, alone = found["ours"], found["each category alone"]
    assert 0.91 < ours[-1] < 0.985 and 0.92 < ours.mean() < 0.98
    assert alone.min() == 0 and alone[-1] < 0.85  # categories of one task; macro


def test_equal_pairs_have_one_macro_score():
    scores, categories = equal_pair(1.2, np.random.default_rng(0))
    means = category_means(scores, categories)
    assert scores.shape == (2, 100) and means.shape == (2, 13)
    assert abs(means[0] - means[1]).max() > 0.05


@pytest.mark.slow
def test_sign_flips_leave_equal_pairs_alone_and_wilcoxons_test_does_not():
    found = {each.method: each.share for each in pairs_cases(1.2, 300)}
    assert found["ours"] > 0.94 and found["Wilcoxon"] < 0.85
