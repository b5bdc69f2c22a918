import os

import matplotlib.pyplot as plt
import pytest

from geneb_jax.files import atomic
from geneb_jax.files.atomic import WriteError
from geneb_jax.presentation.figures.files import save_figure


def drawn():
    figure, axis = plt.subplots(figsize=(2, 1))
    axis.plot([0, 1])
    return figure


def test_a_figure_is_the_same_bytes_in_the_size_that_was_asked(tmp_path):
    before = plt.get_fignums()
    with plt.rc_context({"svg.hashsalt": "geneb"}):
        for name in ("a", "b"):
            save_figure(drawn(), tmp_path / "figures" / name, dpi=50)
    folder = tmp_path / "figures"
    assert sorted(path.name for path in folder.iterdir()) == ["a.png", "a.svg", "b.png", "b.svg"]
    for ending in ("png", "svg"):
        assert (folder / f"a.{ending}").read_bytes() == (folder / f"b.{ending}").read_bytes()
    assert plt.imread(folder / "a.png").shape[:2] == (50, 100)
    assert plt.get_fignums() == before


def test_a_full_disk_is_said_with_the_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(WriteError, match=r"No space left on device: .*/scores\.svg"):
        save_figure(drawn(), tmp_path / "scores", dpi=50)
    assert not list(tmp_path.iterdir())
    plt.close("all")
