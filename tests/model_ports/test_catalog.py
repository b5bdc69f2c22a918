import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        ("BioFM-265M", "float32", "float32"),
        (NT, "model", "float32"),
        (NT, "bfloat16", "bfloat16"),
    ],
)
def test_a_models_own_precision_is_the_catalogs(name, asked, dtype):
    assert catalog.dtype_of(catalog.get(name), asked) == dtype


def test_non_commercial_licences_are_marked():
    shown = {entry.id: entry.licence_shown for entry in catalog.entries().values()}
    assert shown["BioFM-265M"] == "cc-by-nc-4.0 (non-commercial)"
    assert shown["nucleotide-transformer-2.5b-multi-species"].endswith("(non-commercial)")
    assert shown["METAGENE-1"] == "apache-2.0"
    assert shown["space"] == "not stated"


def test_a_model_is_found_by_each_of_its_names(caplog):
    nt = "nucleotide-transformer-v2-50m-multi-species"
    assert catalog.resolve(nt) == nt
    assert not caplog.records
    names = ["NT-v2-50M-MS", "nt-v2-50m-ms", f"InstaDeepAI/{nt}", f"instadeepai/{nt}", nt.upper()]
    for name in names:
        assert catalog.resolve(name) == nt
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"'{name}' is the model '{nt}'" for name in names]
    assert catalog.resolve("DNABERT-2-117M") == "dnabert2-no-flashattention"


def test_no_name_is_of_two_models():
    for entry in catalog.entries().values():
        for name in (entry.id, entry.paper_name, entry.source["repo"] or entry.id):
            assert catalog.resolve(name) == entry.id


def test_an_unknown_name_is_answered_with_the_nearest_of_all():
    with pytest.raises(catalog.CatalogError, match="did you mean NT-v2-50M-MS or"):
        catalog.resolve("NT-v2-50M")
    with pytest.raises(catalog.CatalogError, match="did you mean kmer-4"):
        catalog.resolve("kmer4", ("kmer-4",))
    with pytest.raises(catalog.CatalogError) as error:
        catalog.resolve("x" * 5000)
    assert str(error.value) == f"model '{'x' * 100}' is not in the catalog"


def described(like, pooling="mean", kind=catalog.FOLDER, **sizes):
    entry = catalog.get(like)
    source = {"kind": kind, "repo": None, "revision": None, "url": None}
    presets = {"corrected": {**entry.presets["corrected"], "pooling": pooling}}
    config = {**entry.config, **sizes}
    return dataclasses.replace(entry, id="mine", source=source, presets=presets, config=config)


def test_a_model_that_was_trained_on_is_told_that_its_base_is_pooled_otherwise():
    (said,) = catalog.pooled_otherwise(described("DNABERT-S"))
    assert "pooled by 'mean'" in said and "DNABERT-S by 'first'" in said
    # DNABERT-2 has DNABERT-S's sizes, and is pooled by the mean.
    assert catalog.pooled_otherwise(described("dnabert2-no-flashattention")) == (said,)
    (said,) = catalog.pooled_otherwise(described("DNABERT-S", "first"))
    assert "dnabert2-no-flashattention by 'mean'" in said
    (said,) = catalog.pooled_otherwise(described("BioFM-265M", kind=catalog.REPOSITORY))
    assert "BioFM-265M by 'penultimate'" in said


def test_models_of_other_sizes_and_of_the_catalog_are_told_nothing():
    assert catalog.pooled_otherwise(described("DNABERT-S", hidden_size=48)) == ()
    assert catalog.pooled_otherwise(described("GROVER")) == ()
    assert all(catalog.pooled_otherwise(entry) == () for entry in catalog.entries().values())


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("GROVER", {"GROVER"}),
        ("dnabert 2", {"dnabert2-no-flashattention"}),
        ("ＮＴ‐v2‐50M‐MS", {"nucleotide-transformer-v2-50m-multi-species"}),  # wide letters
        ("PoetschLab/GROVER", {"GROVER"}),
        ("GROVER 2", set()),
        ("", set()),
        ("---", set()),
    ],
)
def test_names_are_alike_by_letters_and_digits(name, ids):
    assert catalog.named_alike(name) == ids


@pytest.mark.parametrize(
    ("url", "ids"),
    [
        ("https://huggingface.co/PoetschLab/GROVER", {"GROVER"}),
        ("HTTP://www.huggingface.co//poetschlab/grover/tree/main?x=1", {"GROVER"}),
        ("https://hf.co/PoetschLab%2FGROVER", {"GROVER"}),
        ("https://huggingface.co/PoetschLab/GROVER@6b22", {"GROVER"}),
        ("https://huggingface.co/PoetschLab/GROVER2", set()),
        ("https://huggingface.co/PoetschLab", set()),
        ("https://dataverse.harvard.edu/dataset.xhtml?persistentId=doi%3A10.7910%2FDVN%2FHDT0RN&x",
         {"JanusDNA_72_w", "JanusDNA_72_wo"}),
        ("", set()),
        ("local weights", set()),
    ],
)  # fmt: skip
def test_addresses_are_those_of_the_weights(url, ids):
    assert catalog.at_address(url) == ids


@given(st.text(max_size=30))
def test_any_text_may_be_asked_for(text):
    for found in (catalog.named_alike(text), catalog.at_address(text)):
        assert all(catalog.known(each) or each in catalog.more() for each in found)


def test_what_proves_a_model_says_that_its_family_is_not_there_yet():
    lines = {
        ("glm2", "fixture"): "fixture",
        ("glm2", None): "family",
        ("toy", "fixture"): "not yet",
    }
    for (family, proof), word in lines.items():
        fields = {"family": family} | ({"proof": proof} if proof else {})
        assert catalog.More(Path("model.json"), fields, None).proven_by == word


STATED = {
    "id": "mine", "paper_name": "Mine", "family": "gpt2",
    "source": {"kind": "url", "repo": None, "revision": None, "url": "https://example.org"},
}  # fmt: skip
WHOLE = STATED | {
    "tokenizer": {"kind": "character"}, "config": {}, "width": 512, "params": 2110464,
    "presets": {"corrected": {"max_tokens": 8, "pooling": "mean", "batching": "causal"}},
}  # fmt: skip


def read_more(tmp_path, stated):
    (tmp_path / "mine.json").write_text(json.dumps(stated))
    return catalog.read_more(tmp_path / "mine.json")


def test_all_but_four_fields_of_a_further_model_can_be_left_out(tmp_path):
    assert read_more(tmp_path, STATED).entry is None
    assert read_more(tmp_path, STATED).lacking == (
        "tokenizer", "config", "width", "params", "presets"
    )  # fmt: skip
    found = read_more(tmp_path, WHOLE)
    assert found.entry is not None and not found.lacking
    assert found.entry.labels == {
        "architecture": "gpt2", "tokenization": "character", "params": "2.11M",
        "pretraining": "not stated",
    }  # fmt: skip
    assert found.entry.licence_shown == "not stated"
    assert found.entry.preset("published") == found.entry.preset("corrected")
    some = read_more(tmp_path, WHOLE | {"labels": {"pretraining": "maize"}})
    assert some.entry and some.entry.labels == found.entry.labels | {"pretraining": "maize"}
    for name in WHOLE.keys() - STATED.keys():
        less = {field: value for field, value in WHOLE.items() if field != name}
        assert read_more(tmp_path, less).lacking == (name,)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        *(({name: None}, f"model 'mine': {name} is missing; state it") for name in STATED),
        ({"source": {"kind": "url", "repo": None}}, "source.revision is missing; state it"),
        ({"widht": 512}, "model 'mine': widht is not known; remove it"),
        ({"presets": {"corrected": {"pool": "max"}}}, "presets.corrected.pool is not known"),
        ({"presets": {"corrected": "mean"}}, "model 'mine': presets.corrected is no object"),
        ({"labels": "T-enc"}, "model 'mine': labels is no object of JSON"),
        ({"params": "2M"}, "model 'mine': params is no whole number"),
    ],
)
def test_a_file_that_says_too_little_is_named_with_the_model_and_the_field(tmp_path, change, words):
    stated = {name: value for name, value in (WHOLE | change).items() if value is not None}
    with pytest.raises(catalog.CatalogError) as error:
        read_more(tmp_path, stated)
    assert str(error.value).startswith(f"{tmp_path / 'mine.json'}: model 'mine': ")
    assert words in str(error.value)
    (tmp_path / "mine.json").write_text("{")
    with pytest.raises(catalog.CatalogError, match=f"{tmp_path / 'mine.json'}: not JSON"):
        catalog.read_more(tmp_path / "mine.json")


def test_a_model_that_leaves_something_to_its_checkpoint_is_not_said_to_be_unknown():
    (name, found) = next((name, m) for name, m in catalog.more().items() if m.entry is None)
    with pytest.raises(catalog.CatalogError) as error:
        catalog.get(name)
    assert str(error.value) == (
        f"model '{name}': {found.path} leaves {', '.join(found.lacking)} to the checkpoint; state "
        "them there to have the model without it"
    )
