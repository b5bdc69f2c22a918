from score_rows import table

from geneb_jax.config import ProbeSettings
from geneb_jax.scoring.heads import asked_heads, hold_all_heads, regime_name


def test_regimes_are_named_by_their_shots():
    assert [regime_name(shots) for shots in (None, 10)] == ["full", "10shot"]


def test_heads_that_are_asked_for():
    rows = table(
        {"C": 1.0},
        {"C": 0.01},
        {"standardised": True},
        {"regime": "5shot"},
        {"probe": "ridge", "solver": "closed form"},
        {"solver": "converged"},
        {"seed": 7},
        {"class_weight": "balanced"},
        {"selection": "folds"},
    )
    assert list(asked_heads(rows, ProbeSettings()).index) == [0]
    assert list(asked_heads(rows, ProbeSettings(C=(0.01, 1.0))).index) == [0, 1]
    kinds = ProbeSettings(probes=("logistic", "ridge"), seeds=(13, 7))
    assert list(asked_heads(rows, kinds).index) == [0, 4, 6]


def test_scores_on_folds_of_train_are_part_of_what_is_asked():
    rows = table({"seed": 13})
    asked = {"regimes": (None,), "seeds": (13,)}
    assert hold_all_heads(rows, ProbeSettings(**asked))
    folds = ProbeSettings(**asked, cross_validate=True)
    assert not hold_all_heads(rows, folds)
    assert hold_all_heads(rows.assign(train_MCC=0.4), folds)
