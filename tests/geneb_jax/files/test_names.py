import pytest

from geneb_jax.files.names import file_name


@pytest.mark.parametrize(
    ("name", "file"),
    [("a/b:c", "a_b_c"), ("../x", "x"), ("kmer-4", "kmer-4"), ("...", "unnamed")],
)
def test_file_names_are_harmless(name, file):
    assert file_name(name) == file
