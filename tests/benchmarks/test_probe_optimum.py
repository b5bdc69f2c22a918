"""The converged solver in float64 beside scikit-learn's newton-cholesky in float64."""

import pytest
from shared_data import need

from benchmarks.probe_optimum import AGREEMENT, EXCESS, MADE, REAL, STRENGTHS, solve


def check(problem):
    outcomes = solve(problem)
    assert [outcome.C for outcome in outcomes] == list(STRENGTHS)
    for outcome in outcomes:
        assert outcome.converged
        assert outcome.excess <= EXCESS
        assert outcome.agreement >= AGREEMENT


@pytest.mark.parametrize("name", MADE)
def test_hard_problems_end_at_the_optimum(name):
    check(MADE[name]())


@pytest.mark.slow
def test_a_real_task_ends_at_the_optimum():
    check(REAL["DNase I, 4-mers"](need("tasks")))
