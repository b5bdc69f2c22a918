"""Whose fixture a folder is: of models that the catalog knows whole, in part, or not at all."""

import json
import shutil

import pytest
from golden_ports import MORE

from model_ports import catalog
from model_ports.verification.verify import entry_of, verify


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
        pytest.param("splicebert-1024nt", "splicebert-510nt", marks=pytest.mark.slow),
    ],
)
def test_a_fixture_of_another_size_passes(tmp_path, fixture, name):
    folder = renamed(tmp_path, fixture, name)
    verdict = verify(folder)
    assert verdict.passed, verdict
    assert (verdict.model_id, entry_of(folder).id) == (name, name)


def test_a_fixture_that_says_nothing_of_its_model_is_refused(tmp_path):
    folder = renamed(tmp_path, "megaDNA_phage_145M", "mega-of-nobody")
    with pytest.raises(catalog.CatalogError) as error:
        entry_of(folder)
    assert "model 'mega-of-nobody' is not in the catalog" in str(error.value)
    assert "config.json states no model_type" in str(error.value)
