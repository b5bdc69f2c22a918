"""Names beside the points of a figure, where they touch nothing."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

# Where a name may stand beside its point: directions, the best first, at growing distances.
_DIRECTIONS = (
    (-1, 0.4), (-1, 1), (1, 0.4), (1, -0.6), (0, 1), (-1, -0.6), (0, -1.2), (1, 1), (0.7, -1.4),
    (-0.7, -1.4),
)  # fmt: skip
_DISTANCES = (4.0, 9.0, 16.0, 25.0)  # points of type
_RADIUS = 3.0  # of a mark, in points of type
_TIE: dict[str, Any] = {"arrowstyle": "-", "color": "0.5", "lw": 0.4, "shrinkA": 0, "shrinkB": 2}


def name_points(axis: Axes, names: Sequence[str], points: Sequence[tuple[float, float]]) -> None:
    """Writes names beside points so that they touch no axis, point, line or other name.

    A name that has to go farther is tied to its point by a thin line that crosses no point or name,
    and one that finds no room is left out. The figure's layout is fixed by this, as it is measured.

    Args:
        axis: Holds the points; its scales are final.
        names: The most important first.
        points: Of the names, in data coordinates.
    """
    figure = axis.get_figure()
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    scale = figure.dpi / 72  # pixels in a point of type
    marks = np.concatenate(
        [axis.transData.transform(np.asarray(c.get_offsets(), float)) for c in axis.collections]
    )
    taken = [_around(x, y, _RADIUS * scale) for x, y in marks.tolist()]
    for line in axis.lines:
        path = axis.transData.transform(np.asarray(line.get_xydata(), float))
        for a, b in itertools.pairwise(path):
            taken += [_around(x, y, scale) for x, y in _between(a, b, scale)]
    written: list[Bbox] = []
    inside = axis.get_window_extent().padded(-scale)
    for name, point in zip(names, points, strict=True):
        start = axis.transData.transform(point)
        others = marks[np.hypot(*(marks - start).T) > scale]
        for distance, (right, up) in itertools.product(_DISTANCES, _DIRECTIONS):
            offset = np.array([right * distance, up * distance])
            tied = distance > _DISTANCES[0]
            tie = _between(start, start + offset * scale, scale)
            crosses = any(box.contains(x, y) for x, y in tie for box in written)
            if tied and (crosses or _passes(others, tie, _RADIUS * scale)):
                continue
            side = int(np.sign(right))
            label = axis.annotate(
                name,
                point,
                (offset[0], offset[1]),
                textcoords="offset points",
                fontsize=6,
                va="center",
                ha={-1: "right", 0: "center", 1: "left"}[side],
                arrowprops={**_TIE, "relpos": ((1 - side) / 2, 0.5)} if tied else None,
            )
            label.get_window_extent()  # moves it from its point to where it stands
            box = Text.get_window_extent(label)  # without the line to the point
            within = inside.x0 < box.x0 and box.x1 < inside.x1
            within = within and inside.y0 < box.y0 and box.y1 < inside.y1
            if within and not any(map(box.overlaps, taken)):
                taken.append(box)
                written.append(box)
                break
            label.remove()


def _around(x: float, y: float, radius: float) -> Bbox:
    return Bbox([[x - radius, y - radius], [x + radius, y + radius]])


def _between(a: np.ndarray, b: np.ndarray, step: float) -> np.ndarray:
    """Points from a to b, a step apart: float64 [n, 2]."""
    steps = max(int(np.hypot(*(b - a)) / step), 1)
    return a + np.linspace(0, 1, steps + 1)[:, None] * (b - a)


def _passes(marks: np.ndarray, path: np.ndarray, radius: float) -> bool:
    """Whether a path, float64 [n, 2], comes within a radius of a mark."""
    gaps = np.linalg.norm(path[:, None] - marks[None], axis=-1)
    return bool((gaps < radius).any())
