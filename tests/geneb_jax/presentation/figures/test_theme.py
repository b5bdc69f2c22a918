import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from geneb_jax.presentation.figures import theme


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(-0.031, 2, "−0.03"), (-0.001, 2, "0.00"), (0.5, 2, "0.50"), (-3.4, 0, "−3"), (-0.2, 0, "0")],
)
def test_numbers_have_minus_signs_and_zero_has_none(value, decimals, text):
    assert theme.number(value, decimals) == text


def test_names_are_short_and_stay_apart():
    ids = [
        "nucleotide-transformer-v2-50m-multi-species:random:tiny",
        "caduceus-ph_seqlen-1k_d_model-256_n_layer-4_lr-8e-3",
        "kmer-4",
        "embeddings:/a/very/long/path/to/a/folder/of/embeddings/one",
        f"{'x' * 40}1{'y' * 40}",
        f"{'x' * 40}2{'y' * 40}",
    ]
    names = theme.short_names(ids)
    assert list(names) == ids
    assert names[ids[0]] == "NT-v2-50M-MS:random:tiny"
    assert names[ids[1]] == "Caduceus-PH-1k"
    assert names["kmer-4"] == "kmer-4"
    assert len(names[ids[3]]) <= 34
    assert names[ids[3]].endswith("embeddings/one")
    assert names[ids[4]] == ids[4]  # cut in the middle, it would be the other one
    assert len(set(names.values())) == len(ids)


def test_sizes_stand_on_the_axis_as_plain_text():
    with plt.rc_context(theme.STYLE):
        figure, axis = plt.subplots()
        axis.plot([2e6, 7e9], [0, 1])
        theme.size_axis(axis)
        figure.draw_without_rendering()
        texts = {label.get_text() for label in axis.get_xticklabels()}
        assert {"10M", "100M", "1B"} <= texts
        assert not any("$" in text for text in texts)
        plt.close(figure)


def test_a_heat_map_writes_what_is_known_in_a_colour_that_is_seen():
    with plt.rc_context(theme.STYLE):
        figure, axis = plt.subplots()
        theme.heat_map(axis, pd.DataFrame({"a": [0.05, -0.02], "b": [0.95, np.nan]}), 0, 1)
        texts = {text.get_text(): text.get_color() for text in axis.texts}
        assert texts == {"0.05": "white", "0.95": "black", "−0.02": "white"}
        plt.close(figure)


def test_forty_groups_look_different():
    styles = [tuple(theme.style(number).values()) for number in range(40)]
    assert len(set(styles)) == 40
    for before, after in itertools.pairwise(styles):
        assert before[0] != after[0]
        assert before[1] != after[1]


def test_what_sets_no_colour_gets_the_palette_of_the_theme():
    with plt.rc_context(theme.STYLE):
        figure, axis = plt.subplots()
        lines = [axis.plot([0, 1])[0] for _ in theme.COLOURS]
    plt.close(figure)
    assert tuple(line.get_color() for line in lines) == theme.COLOURS
