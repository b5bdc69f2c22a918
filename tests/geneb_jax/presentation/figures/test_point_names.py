import itertools

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.text import Annotation, Text

from geneb_jax.presentation.figures.point_names import name_points
from geneb_jax.presentation.figures.theme import STYLE


def named(points, crowd=()):
    figure, axis = plt.subplots(figsize=(4, 3), layout="constrained")
    every = np.array([*points, *crowd], float)
    axis.scatter(*every.T, s=16)
    axis.set_xscale("log")
    axis.margins(0.1)
    name_points(axis, [f"a name {i}" for i in range(len(points))], points)
    labels = [child for child in axis.get_children() if isinstance(child, Annotation)]
    figure.draw_without_rendering()
    return figure, axis, labels


def test_names_touch_neither_each_other_nor_points_nor_axes():
    with plt.rc_context(STYLE):
        generator = np.random.default_rng(0)
        points = [(10 ** generator.uniform(6, 9), generator.uniform(0, 1)) for _ in range(12)]
        crowd = [(10 ** generator.uniform(6, 9), generator.uniform(0, 1)) for _ in range(30)]
        figure, axis, labels = named(points, crowd)
        assert len(labels) >= 10
        boxes = [Text.get_window_extent(label) for label in labels]
        assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
        inside = axis.get_window_extent()
        for box in boxes:
            assert inside.x0 < box.x0 < box.x1 < inside.x1
            assert inside.y0 < box.y0 < box.y1 < inside.y1
            for x, y in axis.transData.transform([*points, *crowd]):
                assert not box.contains(x, y)
        plt.close(figure)


def test_a_name_without_room_is_left_out_after_the_more_important_ones():
    with plt.rc_context(STYLE):
        figure, _, labels = named([(1e7, 0.5)] * 60)
        texts = [label.get_text() for label in labels]
        assert 1 <= len(texts) < 60
        assert texts[0] == "a name 0"
        plt.close(figure)
