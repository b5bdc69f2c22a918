import pytest
from absl import logging

from geneb_jax.failures import file_only
from geneb_jax.log_file import LOG, log_kept_for


def lines(workdir):
    return [line.split(" ", 2)[2] for line in (workdir / LOG).read_text().splitlines()]


def test_lines_from_before_a_workdir_was_begun_are_kept(tmp_path):
    with log_kept_for(tmp_path) as keep:
        logging.warning("first")
        assert not list(tmp_path.iterdir())
        keep()
        logging.error("second")
        file_only.debug("third")
        assert lines(tmp_path) == ["WARNING first", "ERROR second", "DEBUG third"]
    logging.warning("nobody's")
    with pytest.raises(KeyboardInterrupt), log_kept_for(tmp_path) as keep:
        keep()
        raise KeyboardInterrupt("by SIGTERM")
    assert lines(tmp_path)[3:] == ["ERROR ended: by SIGTERM"]


def test_a_warning_is_said_once_in_a_run(tmp_path, caplog):
    for _ in range(2):
        with log_kept_for(tmp_path) as keep:
            keep()
            for name in ("a", "b", "a"):
                logging.warning("%s is damaged", name)
                logging.error("%s fails", name)
    words = ["WARNING a is damaged", "ERROR a fails", "WARNING b is damaged", "ERROR b fails",
             "ERROR a fails"]  # fmt: skip
    assert lines(tmp_path) == words * 2
    assert caplog.messages == [word.partition(" ")[2] for word in words * 2]
    logging.warning("a is damaged")
    assert len(caplog.messages) == 11


def test_nothing_is_written_where_nothing_was_started(tmp_path):
    with pytest.raises(ValueError), log_kept_for(tmp_path):
        logging.warning("first")
        raise ValueError
    assert not list(tmp_path.iterdir())


def test_a_line_that_cannot_be_written_is_let_go(tmp_path, capsys):
    (tmp_path / LOG).symlink_to("/dev/full")
    with log_kept_for(tmp_path) as keep:
        keep()
        file_only.debug("lost")
    assert not capsys.readouterr().err
