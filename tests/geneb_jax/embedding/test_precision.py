import pytest

from geneb_jax.embedding.precision import dtype_of

NT = "nucleotide-transformer-v2-50m-multi-species"


@pytest.mark.parametrize(
    ("name", "asked", "dtype"),
    [
        ("BioFM-265M", "model", "bfloat16"),
        ("GenomeOcean-4B:random:tiny", "model", "bfloat16"),
        ("BioFM-265M", "float32", "float32"),
        (NT, "model", "float32"),
        (NT, "bfloat16", "bfloat16"),
        ("kmer-4", "model", "float32"),
    ],
)
def test_a_models_own_precision_is_the_catalogs(name, asked, dtype):
    assert dtype_of(name, asked) == dtype
