"""What is said of an architecture, of the catalog's models, of folders and of random weights."""

import json
import shutil

import pytest
from golden_ports import MORE

from model_ports import catalog
from model_ports.known_defects import NOTES, known_defects
from model_ports.loading.describe import describe
from model_ports.loading.local_catalog import model_text, read_model


@pytest.mark.parametrize(
    ("model_id", "words"),
    [
        (
            "NTv3_100M_post",
            ["filled with N", "two kinds of upsampling", "conditioned on"],
        ),
        ("NTv3_8M_pre", ["filled with N", "two kinds of upsampling"]),
        ("gLM2_650M", ["upper-case letters are amino acids"]),
        ("gpn-brassicales", ["no mask", "average a window at the centre"]),
        ("GENERanno-eukaryote-0.5b-base", ["published tokenizer was not seen"]),
        ("DNA_bert_3", ["padding is attended to", "read as upper case"]),
    ],
)
def test_a_folder_is_told_what_the_catalog_says_of_its_architecture(model_id, words, tmp_path):
    folder = shutil.copytree(
        MORE / model_id, tmp_path / "mine", ignore=shutil.ignore_patterns("meta.json")
    )
    found = describe(folder, "mine").known_defects
    assert len(found) == len(words)
    assert all(word in text for word, text in zip(words, found, strict=True))
    assert set(found) <= set(catalog.get(model_id).known_defects)


def test_every_note_is_said_of_a_model_of_the_catalog():
    said = {text for model in catalog.more().values() for text in model.known_defects}
    assert {note.text for note in NOTES} <= said
    assert not any(
        known_defects(entry.family, entry.config, entry.tokenizer)
        for entry in catalog.entries().values()
    )


def test_of_random_weights_only_what_holds_for_all_is_said():
    evo, glm2 = catalog.get("evo2_7b"), catalog.get("gLM2_650M")
    assert known_defects(evo.family, evo.config, evo.tokenizer, trained=False) == ()
    assert known_defects(glm2.family, glm2.config, glm2.tokenizer, trained=False) == (
        glm2.known_defects
    )


def test_a_catalog_file_that_repeats_a_note_says_it_once(tmp_path):
    entry = describe(MORE / "gLM2_650M", "mine")
    content = json.loads(model_text(entry, str(MORE / "gLM2_650M")))
    assert content["known_defects"] == list(entry.known_defects)
    content["known_defects"].append("mine alone")
    (tmp_path / "mine.json").write_text(json.dumps(content))
    assert read_model(tmp_path / "mine.json").entry.known_defects == (
        *entry.known_defects,
        "mine alone",
    )
