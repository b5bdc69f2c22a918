"""The converged solvers beside scikit-learn's newton-cholesky in float64, and one another."""

import pytest
from shared_data import need

from benchmarks.probe_optimum import MADE, REAL, STRENGTHS, solve

QUICK = ("two rows",)


def check(problem):
    outcomes = solve(problem)
    assert [outcome.C for outcome in outcomes] == [*STRENGTHS, *STRENGTHS]
    for outcome in outcomes:
        assert outcome.met, outcome
    for outcome in outcomes[: len(STRENGTHS)]:
        assert outcome.converged
    return outcomes


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in MADE],
)
def test_hard_problems_end_at_the_optimum_or_say_that_they_do_not(name):
    check(MADE[name]())


def test_products_of_float32_do_on_an_easy_problem():
    outcomes = check(MADE["20 classes"]())
    assert all(outcome.converged for outcome in outcomes)


@pytest.mark.slow
def test_a_real_task_ends_at_the_optimum():
    check(REAL["DNase I, 4-mers"](need("tasks")))
