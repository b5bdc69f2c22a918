"""A figure as files."""

import io
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from geneb_jax.files.atomic import write_whole


def save_figure(figure: Figure, path: Path, dpi: int) -> list[Path]:
    """Writes a figure as .svg and .png, and closes it.

    Args:
        figure: What was drawn; the same figure gives the same bytes.
        path: The files without their endings.
        dpi: Pixels an inch of the .png, and of images in the .svg.

    Returns:
        The paths of the files.

    Raises:
        WriteError: A file cannot be written.
    """
    # The layout is found once: otherwise each form draws everything once more to find it.
    if layout := figure.get_layout_engine():
        layout.execute(figure)
        figure.set_layout_engine(None)
    # Without the date, which Matplotlib writes into the .svg unless it is told otherwise.
    forms = {".svg": {"dpi": dpi, "metadata": {"Date": None}}, ".png": {"dpi": dpi}}
    paths = []
    for ending, options in forms.items():
        drawn = io.BytesIO()
        figure.savefig(drawn, format=ending[1:], **options)
        paths.append(path.with_name(path.name + ending))
        write_whole(paths[-1], drawn.getvalue())
    plt.close(figure)
    return paths
