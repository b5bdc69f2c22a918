import numpy as np
import pandas as pd

from geneb_jax.presentation.published import paper
from geneb_jax.presentation.statements import claim_texts, statement_unit, statistic_texts


def test_counts_are_what_the_paper_prints_without_decimals():
    """Whole numbers of the paper are counts but for differences of mean ranks and of scores."""
    for name, value in paper()["statistics"].items():
        assert (statement_unit(name) == "count") == float(value).is_integer(), name
    for name in paper()["probe_stability"]:
        assert statement_unit(name) == "score", name
    units = {
        "multi-species minus human, wins of six": "count",
        "multi-species minus human, Promoters, wins": "count",
        "multi-species minus human, mean of six pairs": "score",
        "multi-species minus human, overall": "score",
        "rho(size, macro), all models": "score",
        "median relative 10-shot drop": "share",
        "relative 10-shot drop of BioFM-265M minus the largest of the others": "share",
        "drop full to 1-shot, Evo-1-131k": "score",
        "specialisation, PlantCaduceus on lncRNA": "rank",
    }
    assert {name: statement_unit(name) for name in units} == units


def test_statements_are_written_in_their_units():
    claims = pd.DataFrame(
        {
            "statement": ["small-beats-large pairs, all models", "rho(size, macro)", "relative x"],
            "paper": [74, 0.565, np.nan],
            "ours": [74.0, -0.5647, 0.013],
            "low": [70.0, 0.519, -0.068],
            "high": [84.5, 0.5762, 0.103],
            "models low": [15.0, np.nan, np.nan],
            "models high": [147.0, np.nan, np.nan],
            "null": [np.nan, 0.0, 0.0],
            "by chance": [76.5, np.nan, np.nan],
            "word": ["estimate", "stands", "weak"],
        }
    )
    assert claim_texts(claims).drop(columns="statement").to_numpy().tolist() == [
        ["74", "74", "70.0 to 84.5", "15 to 147", "", "76.5", "estimate"],
        ["0.565", "−0.565", "0.519 to 0.576", "", "0", "", "stands"],
        ["", "1 %", "−7 % to 10 %", "", "0", "", "weak"],
    ]
    without = {
        "without leaky": 73,
        "without leaky low": 70.0,
        "without leaky high": 80.0,
        "without leaky word": ["weak", "", "gone"],
    }
    again = claim_texts(claims.assign(**without))
    assert list(again)[-4:] == [
        "holds",
        "without leaky tasks",
        "its interval",
        "holds without them",
    ]
    assert again.iloc[0].tolist()[-4:] == ["estimate", "73", "70 to 80", "weak"]


def test_only_computed_statistics_are_written_and_notes_where_there_are_any():
    statistics = pd.DataFrame(
        {
            "statistic": ["hard tasks (mean MCC < 0.35)", "mean macro MCC, full", "rho"],
            "paper": [28.0, 0.488, 0.5],
            "ours": [27.0, 0.4884, np.nan],
            "difference": [-1.0, 0.0004, np.nan],
            "note": ["", "", ""],
        }
    )
    texts = statistic_texts(statistics)
    assert texts.to_numpy().tolist() == [
        ["hard tasks (mean MCC < 0.35)", "28", "27", "−1"],
        ["mean macro MCC, full", "0.488", "0.488", "0.000"],
    ]
    assert statistic_texts(statistics.assign(note="why")).iloc[0]["note"] == "why"
