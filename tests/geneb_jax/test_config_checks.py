import pytest

from geneb_jax.config_checks import explicit_process, processes


def test_processes_are_found_by_jax_or_named():
    assert processes("auto") == "auto"
    assert explicit_process("1/2@10.0.0.1:7000") == ("10.0.0.1:7000", 2, 1)


@pytest.mark.parametrize("text", ["2", "2/2@10.0.0.1:7000", "0/2@10.0.0.1", "1@10.0.0.1:7000"])
def test_processes_that_are_not_valid_are_named(text):
    with pytest.raises(ValueError, match=f"'{text}' is not valid; say auto, or I/N@HOST:PORT"):
        processes(text)
