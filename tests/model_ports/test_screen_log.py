import logging as stdlib_logging
import re

import pytest
from absl import logging

from model_ports.screen_log import show_log


@pytest.mark.parametrize("level", [stdlib_logging.INFO, stdlib_logging.WARNING])
def test_lines_have_the_time_and_no_level(capsys, level):
    show_log(level)
    show_log(level)
    logging.info("some")
    logging.warning("other")
    expected = ["some", "other"] if level == stdlib_logging.INFO else ["other"]
    found = capsys.readouterr().err.splitlines()
    assert [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in found] == expected
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in found)


def test_of_orbax_errors_alone_are_shown(capsys):
    show_log()
    for level in (stdlib_logging.WARNING, stdlib_logging.ERROR):
        name = stdlib_logging.getLevelName(level)
        record = logging.get_absl_logger().makeRecord(
            "absl", level, "site-packages/orbax/checkpoint.py", 1, f"orbax, {name}", (), None
        )
        logging.get_absl_logger().handle(record)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(" orbax, ERROR")
