import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation.figures import theme
from geneb_jax.presentation.figures.audit import draw
from geneb_jax.presentation.figures.save import CAPTIONS, save_figures
from geneb_jax.presentation.published import model_labels, published_results

TABLE = pd.DataFrame(
    {
        "task": [GENEB.tasks[0].id, "mine", GENEB.tasks[1].id],
        "best_rule": ["length", "opposite_twin", "composition"],
        "best_rule_MCC": [0.0, 0.9, 0.45],
        "published_median": [0.4, np.nan, 0.4],
        "verdict": ["passed", "leaky", "caution"],
        "copies": [0, 50, 5], "near": [0, 0, 5], "twins": [0, 10, 0], "n_test": [10, 100, 20],
    }
)  # fmt: skip


def texts_inside(figure: Figure) -> list[bool]:
    """Whether each rule's name lies within the axes of the marks."""
    figure.draw_without_rendering()
    axis = figure.axes[0]
    box = axis.get_window_extent()
    extents = [text.get_window_extent() for text in axis.texts]
    return [box.x0 < each.x0 and each.x1 < box.x1 for each in extents]


def test_rules_stand_by_the_distance_to_the_median_and_touch_no_axis():
    with plt.rc_context(theme.STYLE):
        figure = draw(TABLE)
        left, right = figure.axes
        assert figure.get_figwidth() == theme.PAGE
        names = [label.get_text() for label in left.get_yticklabels()]
        assert names == [GENEB.tasks[0].label, GENEB.tasks[1].label, "mine"]
        assert [text.get_text() for text in left.texts] == [
            "length",
            "composition",
            "opposite twin",
        ]
        assert texts_inside(figure) == [True] * 3
        # Of ten, twenty and a hundred test records.
        widths = [[round(bar.get_width(), 3) for bar in bars] for bars in right.containers]
        assert widths == [[0, 0.25, 0.5], [0, 0.25, 0], [0, 0, 0.1]]
        plt.close(figure)


def test_it_stands_among_the_figures_of_a_run_with_a_caption(tmp_path):
    published = published_results()
    some = published[published["model"].isin(["LucaOne"]) & (published["regime"] == "1shot")]
    assert save_figures(some, model_labels(), tmp_path, tables={"audit": TABLE}) == ["audit"]
    assert (tmp_path / "audit.svg").stat().st_size > 1000
    assert "**audit**: What answers" in (tmp_path / "captions.md").read_text()
    assert "audit" in CAPTIONS
    save_figures(some, model_labels(), tmp_path)
    assert not (tmp_path / "audit.png").exists()
