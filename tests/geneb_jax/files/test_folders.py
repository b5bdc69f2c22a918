from pathlib import Path

import pytest

from geneb_jax.files.folders import nearest_there, unless_empty


def test_folders_into_which_nothing_came_go_again(tmp_path):
    with pytest.raises(KeyError), unless_empty(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
        raise KeyError
    assert not list(tmp_path.iterdir())
    with unless_empty(tmp_path / "a" / "b"):
        (tmp_path / "a" / "file").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["file"]
    with unless_empty(tmp_path / "a"):
        (tmp_path / "a" / "file").unlink()
    assert (tmp_path / "a").is_dir()  # it was there


def test_the_nearest_folder_is_found(tmp_path, monkeypatch):
    assert nearest_there(tmp_path / "a" / "b") == tmp_path
    assert nearest_there(tmp_path) == tmp_path
    monkeypatch.chdir(tmp_path)
    assert nearest_there(Path("a")) == tmp_path
