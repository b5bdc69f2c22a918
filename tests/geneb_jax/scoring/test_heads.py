import runpy
from pathlib import Path

import pytest
from score_rows import table

from geneb_jax.config import OutputSettings, ProbeSettings, default_config, parse_config
from geneb_jax.scoring.heads import (
    asked_heads,
    departures,
    hold_all_heads,
    not_presented,
    regime_name,
)


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


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, []),
        (
            {"C": (0.1, 1.0), "class_weight": ("balanced", "none"), "probes": ("mlp", "logistic")},
            [],
        ),
        ({"seeds": (1,), "regimes": (5,), "cross_validate": True}, []),
        ({"C": (0.1, 10.0)}, ["config.C=0.1,10.0"]),
        ({"probes": ("ridge", "mlp")}, ["config.probes=ridge,mlp"]),
        ({"class_weight": ("balanced",)}, ["config.class_weight=balanced"]),
        ({"solver": "optax"}, ["config.solver=optax"]),
    ],
)
def test_fields_by_which_no_head_follows_the_protocol_are_named(fields, named):
    assert departures(ProbeSettings(**fields)) == named


def test_the_tuned_config_says_what_it_leaves_out():
    path = Path(__file__).parents[3] / "configs" / "tuned.py"
    settings = parse_config(runpy.run_path(str(path))["get_config"]())
    said = not_presented(settings.probes, settings.output)
    assert said is not None
    assert "(config.solver=converged, config.standardised=True, config.selection=folds)" in said
    assert not_presented(settings.probes, OutputSettings(report=False)) is None
    assert not_presented(parse_config(default_config()).probes, settings.output) is None


def test_scores_on_folds_of_train_are_part_of_what_is_asked():
    rows = table({"seed": 13})
    asked = {"regimes": (None,), "seeds": (13,)}
    assert hold_all_heads(rows, ProbeSettings(**asked))
    folds = ProbeSettings(**asked, cross_validate=True)
    assert not hold_all_heads(rows, folds)
    assert hold_all_heads(rows.assign(train_MCC=0.4), folds)
