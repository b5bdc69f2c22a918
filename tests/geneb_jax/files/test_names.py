import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geneb_jax.files.names import clashes, file_name


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("a/b:c", "a_b_c-"),
        ("../x", "x-"),
        ("...", "unnamed-"),
        ("名前", "unnamed-"),
        ("ü", "unnamed-"),
    ],
)
def test_file_names_are_harmless(name, start):
    assert re.fullmatch(re.escape(start) + "[0-9a-f]{8}", file_name(name))


@pytest.mark.parametrize("name", ["kmer-4", "iDHS-EL_DNase_I", "a.b"])
def test_plain_names_stay(name):
    assert file_name(name) == name


def test_a_variants_colons_become_underscores():
    assert file_name("GROVER:random:tiny") == "GROVER_random_tiny"


@given(st.text(), st.text())
def test_other_names_are_other_files(one, other):
    files = {file_name(one), file_name(other)}
    assert len(files) == len({one.replace(":", "_"), other.replace(":", "_")})
    for name in files:
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,109}", name)
        assert name not in (".", "..")


def test_names_that_would_share_a_file_are_named():
    assert clashes(["a", "b", "a:b", "a_b", "A"]) == [("a:b", "a_b"), ("a", "A")]
    assert clashes(["my task", "my_task", "名前", "ü"]) == []
