import numpy as np

from geneb_jax.presentation.figures.intervals import macro_and_rank
from geneb_jax.presentation.figures.save import save_figures
from geneb_jax.presentation.intervals import interval_tables
from geneb_jax.presentation.published import model_labels, published_results


def test_intervals_are_drawn_where_two_models_have_them(tmp_path):
    published = published_results()
    some = published[published["model"].isin(["LucaOne", "SPACE", "GROVER"])]
    some = some[some["regime"] == "full"]
    tables = interval_tables(some)
    one = some[(some["model"] == "SPACE") & (some["task"] == some["task"].iloc[0])]
    drawn = save_figures(one, model_labels(), tmp_path, tables=tables)
    assert drawn[0] == "intervals" and (tmp_path / "intervals.png").stat().st_size > 1000
    macro = tables["intervals_macro"]
    figure = macro_and_rank(tables)
    assert figure is not None
    axis, of_ranks = figure.axes
    rows = macro.set_index("model").loc[["GROVER", "SPACE", "LucaOne"]]
    assert [text.get_text() for text in axis.get_yticklabels()] == rows.index.tolist()
    (bars,) = axis.collections
    ends = sorted((*bar[:, 0], bar[0, 1]) for bar in bars.get_segments())
    expected = sorted(zip(rows["low"], rows["high"], range(3), strict=True))
    np.testing.assert_allclose(ends, expected)
    ticks = dict(zip(*of_ranks.lines[0].get_data()[::-1], strict=True))
    assert ticks == dict(zip(range(3), rows["rank"], strict=True))
    alone = {"intervals_macro": macro[macro["model"] == "SPACE"]}
    assert macro_and_rank(alone) is None and macro_and_rank({}) is None
    assert "intervals" not in save_figures(one, model_labels(), tmp_path)
    assert not (tmp_path / "intervals.png").exists()
