import errno
import os

import pytest

from geneb_jax.config import default_config, parse_config
from geneb_jax.full_disk import saying_what_is_kept


def raised(tmp_path, error):
    """The notes of an error of a run without models."""
    config = default_config()
    config.models = "kmer-1"
    with (
        pytest.raises(type(error)) as found,
        saying_what_is_kept(config, parse_config(config), [], {}, tmp_path / "run"),
    ):
        raise error
    assert found.value is error
    return getattr(error, "__notes__", [])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_says_what_to_type(tmp_path, number):
    notes = raised(tmp_path, OSError(number, os.strerror(number), "a/b"))
    assert notes[0].startswith("kept: scores of 0 of 0 pairs")
    command = f"geneb-jax run --config=full --workdir={tmp_path / 'run'} --config.models=kmer-1"
    assert notes[1].endswith(f": {command}")


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "no"), ValueError("no")])
def test_other_errors_stay_as_they_are(tmp_path, error):
    assert raised(tmp_path, error) == []


def test_scores_that_were_not_written_are_not_to_be_shown(tmp_path):
    table = str(tmp_path / "run" / "scores.csv")
    for path, shown in ((table, False), (str(tmp_path / "run" / "run.json"), True)):
        notes = raised(tmp_path, OSError(errno.ENOSPC, "full", path))
        assert any("geneb-jax tables --scores=" in note for note in notes) == shown
