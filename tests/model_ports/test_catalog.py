import pytest

from model_ports import catalog
from model_ports.pooling import POOLINGS

NT = "nucleotide-transformer-v2-50m-multi-species"


def test_forty_models_with_what_a_run_needs():
    entries = catalog.entries()
    assert len(entries) == 40
    for entry in entries.values():
        assert entry.params > 1e6
        assert entry.width > 0
        assert entry.config
        assert set(entry.labels) == {"architecture", "tokenization", "params", "pretraining"}
        preset = entry.preset("corrected")
        assert preset.pooling in POOLINGS
        assert preset.batching in catalog.BATCHINGS
        assert preset.batching != "input-order"
        if entry.source["kind"] == "huggingface":
            assert len(entry.source["revision"]) == 40


def test_published_presets_differ_with_a_reason_or_not_at_all():
    for entry in catalog.entries().values():
        fields = entry.presets["published"]
        if "unavailable" in fields:
            with pytest.raises(catalog.CatalogError, match=entry.id):
                entry.preset("published")
        elif "same_as_corrected" in fields:
            assert fields["same_as_corrected"]
            assert entry.preset("published") == entry.preset("corrected")
        else:
            assert entry.preset("published").reason
            assert entry.preset("published") != entry.preset("corrected")


def test_unknown_model_is_answered_with_the_nearest():
    with pytest.raises(catalog.CatalogError, match="did you mean GROVER"):
        catalog.get("GROVR")


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
    assert catalog.dtype_of(name, asked) == dtype


def test_non_commercial_licences_are_marked():
    shown = {entry.id: entry.licence_shown for entry in catalog.entries().values()}
    assert shown["BioFM-265M"] == "cc-by-nc-4.0 (non-commercial)"
    assert shown["nucleotide-transformer-2.5b-multi-species"].endswith("(non-commercial)")
    assert shown["METAGENE-1"] == "apache-2.0"
    assert shown["space"] == "not stated"
