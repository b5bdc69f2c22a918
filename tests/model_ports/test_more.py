"""Models beyond the paper's 40: against fixtures where there are some, else what can be known."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from golden_ports import FOLDERS, GOLDEN, MORE, MORE_FIXTURES, golden_layers

from model_ports import catalog
from model_ports.loading.local_catalog import read_model
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import load_port, random_port
from model_ports.loading.tensors import CheckpointError
from model_ports.running.embedder import embedder
from model_ports.running.records import collate, padded_length, tokenize
from model_ports.running.unseen import unseen
from model_ports.running.windows import average_windows, cut_into_windows
from model_ports.tokenizers import build_tokenizer
from model_ports.verification.verify import verify

SPLICE = "splicebert-1024nt"
HERE = Path(__file__).parent

# The tests of the arrays that `verify` and `test_every_layer_...` do not know, by fixture.
TESTS = {
    "DNA_bert_3": ("families/test_bert.py",),
    "DNA_bert_6": ("families/test_bert.py",),
    "GENERanno-eukaryote-0.5b-base": ("families/test_llama.py",),
    "NTv3_100M_post": ("families/test_ntv3.py",),
    "NTv3_8M_pre": ("families/test_ntv3.py",),
    "PlantCAD2-Small-l24-d0768": ("families/test_caduceus.py",),
    "borzoi-replicate-0": ("families/test_borzoi.py",),
    "evo2_1b_base": ("families/test_striped_hyena2.py",),
    "flashzoi-replicate-0": ("families/test_borzoi.py",),
    "gLM2_650M": ("families/test_glm2.py",),
    "gpn-animal-promoter": ("families/test_gpn.py",),
    "gpn-brassicales": ("families/test_gpn.py",),
    "megaDNA_phage_145M": ("families/test_megadna.py",),
    SPLICE: ("families/test_bert.py", "test_more.py"),
}


@pytest.mark.parametrize("name", MORE_FIXTURES)
def test_a_fixture_passes(name):
    verdict = verify(MORE / name)
    assert verdict.passed, verdict


@pytest.mark.parametrize("name", MORE_FIXTURES)
def test_every_array_of_a_fixture_is_compared(name):
    check = json.loads((MORE / name / "meta.json").read_text())["check"]
    presets = [check[preset] for preset in ("corrected", "published") if check[preset]]
    known = {value for fields in presets for value in fields.values() if isinstance(value, str)}
    with np.load(MORE / name / "golden.npz") as golden:
        left = set(golden.files) - known - set(check.get("other_inputs", ()))
    left -= {"all_hidden"} if golden_layers(name) else set()
    for module in TESTS.get(name, ()):
        for text in re.findall(r'"(\w[\w{}]*)"', (HERE / module).read_text()):
            array = re.sub(r"\{\w+\}", r"\\d+", text)  # the number in an f-string
            left = {each for each in left if not re.fullmatch(array, each)}
    assert not left, f"no test reads these arrays of {name}: name one in TESTS, or leave them out"


def test_proof_is_claimed_of_fixtures_alone():
    proven = {name for name, model in catalog.more().items() if "proof" in model.fields}
    assert proven == set(MORE_FIXTURES)


def test_no_name_is_of_two_models():
    for name, model in catalog.more().items():
        assert name not in catalog.entries()
        repo = model.fields["source"]["repo"]
        for spelled in (name, model.fields["paper_name"], repo or name):
            assert catalog.resolve(spelled) == name
        assert catalog.is_ported(model.fields["family"])


@pytest.mark.slow
def test_a_whole_entry_makes_an_untrained_control():
    whole = [model.entry for model in catalog.more().values() if model.entry]
    assert {entry.id for entry in whole} >= set(MORE_FIXTURES)
    for entry in whole:
        assert entry.preset("published") == entry.preset("corrected")
    for entry in {entry.family: entry for entry in whole if entry.id in FOLDERS}.values():
        port = random_port(entry, FOLDERS[entry.id], tiny=True)
        (ids,) = tokenize(port, ["ACGTTGCAAC"])
        length = padded_length(port, len(ids))
        vectors = embedder(port)(port.state, collate(port, [ids], length))
        assert np.isfinite(np.asarray(vectors)).all()


def test_windows_of_splicebert_are_those_of_its_submission():
    cases = json.loads((MORE / SPLICE / "cases.json").read_text())
    golden = np.load(MORE / SPLICE / "golden.npz")
    port = load_port(plan_checkpoint(catalog.get(SPLICE), MORE / SPLICE))
    # The catalog's, of 1024 letters every 512, fitted to the fixture's positions.
    stated = port.entry.preset("corrected")
    assert (stated.window, stated.stride) == (1024, 512)
    assert (port.preset.window, port.preset.stride) == (cases["window"], cases["stride"])
    records = cases["long_sequences"]
    cut = cut_into_windows(port, records)
    assert cut.counts == np.bincount(golden["long_window_record"]).tolist()
    starts = [
        records[r].find(w) for r, w in zip(golden["long_window_record"], cut.windows, strict=True)
    ]
    assert starts == golden["long_window_start"].tolist()
    encoded = tokenize(port, cut.windows)
    for row, ids in zip(golden["long_input_ids"], encoded, strict=True):
        np.testing.assert_array_equal(row[: len(ids)], ids)
    inputs = collate(port, encoded, max(map(len, encoded)))
    vectors = np.asarray(embedder(port)(port.state, inputs))
    np.testing.assert_allclose(vectors, golden["long_window_pooled"], atol=2e-5)
    found = average_windows(port, vectors, cut)
    np.testing.assert_allclose(found, golden["long_pooled"], atol=2e-5)
    assert unseen(port, records) == []


def test_letters_of_splicebert():
    cases = json.loads((MORE / SPLICE / "cases.json").read_text())
    tokenizer = build_tokenizer(MORE / SPLICE, catalog.get(SPLICE).tokenizer)
    for case in cases["tokenizer_cases"]:
        (ids,) = tokenizer.encode([case["text"]], None)
        assert ids.tolist() == case["ids"], case["text"]


def test_a_partial_entry_is_read_with_its_checkpoint(tmp_path):
    name = "hyenadna-tiny-1k-seqlen-hf"
    content = json.loads((GOLDEN / "hyenadna-medium-160k-seqlen-hf" / "config.json").read_text())
    folder = tmp_path / name
    folder.mkdir()
    for path in (GOLDEN / "hyenadna-medium-160k-seqlen-hf").iterdir():
        if path.name != "meta.json":
            (folder / path.name).write_bytes(path.read_bytes())
    path = catalog.more()[name].path
    with pytest.raises(CheckpointError, match="but the model 'hyenadna-tiny-1k-seqlen-hf' has"):
        read_model(path, tmp_path)  # of other sizes
    stated = json.loads(path.read_text())
    stated["config"] = {key: content[key] for key in stated["config"]}
    (tmp_path / "mine.json").write_text(json.dumps(stated))
    entry, address = read_model(tmp_path / "mine.json", tmp_path)
    assert address.folder == folder
    assert entry.preset("corrected").max_tokens == 1026
    assert entry.preset("corrected").batching == "causal"
    assert entry.source["repo"] == "LongSafari/hyenadna-tiny-1k-seqlen-hf"


def test_the_other_generanno_is_read_with_its_checkpoint(tmp_path):
    name = "GENERanno-prokaryote-0.5b-base"
    unwanted = shutil.ignore_patterns("meta.json")
    shutil.copytree(MORE / "GENERanno-eukaryote-0.5b-base", tmp_path / name, ignore=unwanted)
    entry, address = read_model(catalog.more()[name].path, tmp_path)
    assert address.folder == tmp_path / name
    assert (entry.width, entry.preset("corrected").max_tokens) == (24, 8192)
    planned = plan_checkpoint(entry, tmp_path / name)
    assert not planned.config.causal
    (ids,) = tokenize(planned, ["ACGTn"])
    assert ids.tolist() == [1, 32, 33, 34, 40, 37, 1]
