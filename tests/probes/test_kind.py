import sys
from types import ModuleType

import numpy as np
import pytest

from probes import KINDS, Probe, evaluate_task, solver_name
from probes import kind as kinds
from probes.kind import FittedHeads, Kind, find_kind
from probes.linear import decision_values


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_says_what_it_offers(name):
    kind = find_kind(name)
    assert isinstance(kind, Kind)
    assert solver_name(Probe(name, "converged")) == (kind.solver or "converged")


def fit_shares(train, draws, strengths, probe):
    """Heads without weights, whose intercepts are the classes' shares of the rows."""
    shape = len(strengths), len(draws)
    head = np.zeros((*shape, train.x.shape[1] + 1, train.class_count))
    for r, draw in enumerate(draws):
        counts = np.bincount(train.classes[draw.rows], minlength=train.class_count)
        head[:, r, -1] = counts / counts.sum()
    zero = np.zeros(shape)
    return FittedHeads(head, zero.astype(int), zero, zero, zero == 0)


def test_a_new_kind_is_a_module_and_a_row_of_the_table(monkeypatch):
    module = ModuleType("shares")
    module.KIND = Kind(fit_shares, decision_values, solver="count")
    monkeypatch.setitem(sys.modules, "shares", module)
    monkeypatch.setattr(kinds, "KINDS", {**KINDS, "shares": "shares"})
    x = np.zeros((10, 3), np.float32)
    y = np.repeat([4, 5, 6], [2, 5, 3])
    heads = evaluate_task(x, y, x, y, probes=[Probe("shares")], shots=[None, 2], seeds=(13,))
    for head, shares in zip(heads, ((0.2, 0.5, 0.3), (1 / 3,) * 3), strict=True):
        assert head.solver == "count"
        np.testing.assert_allclose(head.scores, np.tile(shares, (10, 1)), rtol=1e-6)
    assert set(heads[0].predictions.tolist()) == {5}
