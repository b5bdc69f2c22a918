"""Whose fixture a folder is: of models that the catalog knows whole, in part, or not at all."""

import json
import shutil

import pytest
from golden_ports import MORE

from model_ports import catalog
from model_ports.loading.tensors import CheckpointError
from model_ports.verification.verify import entry_of, verify, verify_keys


def renamed(tmp_path, fixture, name):
    """A fixture under another model's name."""
    folder = shutil.copytree(MORE / fixture, tmp_path / "fixture")
    meta = json.loads((folder / "meta.json").read_text())
    meta.pop("hf_repo", None)
    (folder / "meta.json").write_text(json.dumps(meta | {"geneb_model_id": name}))
    return folder


@pytest.mark.parametrize(
    ("fixture", "name"),
    [
        ("gLM2_650M", "gLM2_150M"),  # known whole
        ("megaDNA_phage_145M", "megaDNA_phage_277M"),  # known in part
        ("gpn-brassicales", "gpn-of-nobody"),  # told by its model_type
        pytest.param("evo2_1b_base", "evo2_40b", marks=pytest.mark.slow),
        pytest.param("flashzoi-replicate-0", "flashzoi-replicate-3", marks=pytest.mark.slow),
        pytest.param("NTv3_8M_pre", "NTv3_650M_pre", marks=pytest.mark.slow),
        pytest.param("NTv3_100M_post", "NTv3_650M_post", marks=pytest.mark.slow),
        pytest.param("splicebert-1024nt", "splicebert-510nt", marks=pytest.mark.slow),
    ],
)
def test_a_fixture_of_another_size_passes(tmp_path, fixture, name):
    folder = renamed(tmp_path, fixture, name)
    verdict = verify(folder)
    assert verdict.passed, verdict
    assert (verdict.model_id, entry_of(folder).id) == (name, name)


def test_what_nobody_has_seen_of_the_full_size_is_that_of_the_fixture(tmp_path):
    folder = renamed(tmp_path, "NTv3_100M_post", "NTv3_650M_post")
    full = json.loads((folder / "full_config.json").read_text())
    assert not {"conditions_vocab_size", "species_to_token_id"} & full.keys()
    keys = json.loads((folder / "full_keys.json").read_text())
    assert keys["tensors"]["core.cond_tables.0.weight"] == ["V", 16]
    assert verify_keys(folder) == ""
    # What is stated is never taken from elsewhere, nor is what has a default.
    keys["tensors"]["core.cond_tables.0.weight"] = [30, 16]
    (folder / "full_keys.json").write_text(json.dumps(keys))
    assert "species.embedding" in (verify_keys(folder) or "")
    # The catalog states the width of this model, and the fixture's is another one.
    del full["embed_dim"]
    (folder / "full_config.json").write_text(json.dumps({**full, "conditions_vocab_size": [30]}))
    with pytest.raises(CheckpointError, match="key_size is 64; it must be embed_dim / heads, 128"):
        verify_keys(folder)


def test_a_fixture_that_says_nothing_of_its_model_is_refused(tmp_path):
    folder = renamed(tmp_path, "megaDNA_phage_145M", "mega-of-nobody")
    with pytest.raises(catalog.CatalogError) as error:
        entry_of(folder)
    assert "model 'mega-of-nobody' is not in the catalog" in str(error.value)
    assert "config.json states no model_type" in str(error.value)


def stripped(content, dotted):
    """Removes what a dotted name stands for from an object of JSON."""
    *parents, last = dotted.split(".")
    for name in parents:
        content = content[name]
    del content[last]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("meta.json", "geneb_model_id"),
        ("meta.json", "check"),
        ("meta.json", "check.rtol"),
        ("meta.json", "check.pooled_atol"),
        ("meta.json", "check.published"),
        ("meta.json", "check.corrected.hidden"),
        ("cases.json", "sequences"),
    ],
)
def test_what_a_fixture_lacks_is_named_with_its_file(tmp_path, file, name):
    folder = renamed(tmp_path, "gLM2_650M", "gLM2_650M")
    content = json.loads((folder / file).read_text())
    stripped(content, name)
    (folder / file).write_text(json.dumps(content))
    with pytest.raises(CheckpointError) as error:
        verify(folder)
    assert str(error.value).startswith(f"{folder / file}: '{name}' is missing; docs/adding-a-model")


def test_an_array_that_a_fixture_lacks_is_named(tmp_path):
    folder = renamed(tmp_path, "gLM2_650M", "gLM2_650M")
    content = json.loads((folder / "meta.json").read_text())
    content["check"]["corrected"]["pooled"] = "mean_of_nobody"
    (folder / "meta.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"golden\.npz: 'mean_of_nobody' is missing"):
        verify(folder)


def test_a_preset_that_is_not_computed_needs_its_reason(tmp_path):
    folder = renamed(tmp_path, "gLM2_650M", "gLM2_650M")
    content = json.loads((folder / "meta.json").read_text())
    content["check"] |= {"published": None}
    for fields in (content, content["check"]):
        fields.pop("published_reason", None)
    (folder / "meta.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"'check\.published_reason' is missing"):
        verify(folder)


def test_other_inputs_may_be_left_out(tmp_path):
    folder = renamed(tmp_path, "gLM2_650M", "gLM2_650M")
    content = json.loads((folder / "meta.json").read_text())
    content["check"].pop("other_inputs", None)
    (folder / "meta.json").write_text(json.dumps(content))
    assert verify(folder).passed
