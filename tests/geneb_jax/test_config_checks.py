import pytest

from geneb_jax.config_checks import explicit_process, nearest, processes


def test_processes_are_found_by_jax_or_named():
    assert processes("auto") == "auto"
    assert explicit_process("1/2@10.0.0.1:7000") == ("10.0.0.1:7000", 2, 1)


@pytest.mark.parametrize("text", ["2", "3/2@", "0/2@10.0.0.1", "1@10.0.0.1:7000"])
def test_processes_that_are_not_valid_are_named(text):
    with pytest.raises(ValueError, match=f"'{text}' is not valid; say auto, or I/N@HOST:PORT"):
        processes(text)


def test_processes_are_numbered_from_0():
    with pytest.raises(ValueError, match=r"'2/2@h:1': there is no process 2 of 2; .* begin with 0"):
        processes("2/2@h:1")


@pytest.mark.parametrize("port", [0, 65536, 10**30])
def test_ports_that_are_not_there_are_named(port):
    with pytest.raises(ValueError, match=f"there is no port {port}; name one from 1 to 65535"):
        processes(f"0/2@localhost:{port}")
    assert processes("0/2@localhost:65535")


@pytest.mark.parametrize(
    ("value", "valid", "hint"),
    [
        ("sedes", ["seeds", "taps"], "; did you mean seeds?"),
        ("x", ["seeds", "taps"], "; valid: seeds, taps"),
        ("x", [f"n{i}" for i in range(8)], "; valid: n0, n1, n2, n3, n4, n5, n6, n7"),
        ("x", [f"n{i}" for i in range(11)],
         "; valid: n0, n1, n2, n3, n4, n5, n6, n7 and 3 more; see `geneb-jax run --help`"),
    ],
)  # fmt: skip
def test_a_hint_names_what_is_like_or_the_first_few(value, valid, hint):
    assert nearest(value, valid) == hint
