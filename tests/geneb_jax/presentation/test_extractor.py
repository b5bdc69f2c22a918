import sys
import types

import numpy as np
import pytest

import geneb_jax
from geneb_jax.presentation.extractor import (
    KINDS,
    class_name,
    extractor,
    kind_of,
    module_name,
    tokenizer_text,
)
from model_ports.tokenizers import KINDS as TOKENIZERS

FACTS = {"Pooling": "mean", "Weights / URL": "", "Quoted": 'three """ and \\ in a fact'}


def made(monkeypatch, kind, model="kmer-3", options=None, model_id="a-model.3b"):
    """Makes the extractor as GENEB's harness does: its module stands in a package with `base`."""
    code = extractor(
        model,
        model_id,
        kind,
        options or {},
        display='A "model"',
        params=3,
        facts=FACTS,
        version="0.1.0",
    )
    package, base = types.ModuleType("extractors"), types.ModuleType("extractors.base")
    base.BaseEmbeddingExtractor = type("BaseEmbeddingExtractor", (), {})  # pyright: ignore
    monkeypatch.setitem(sys.modules, "extractors", package)
    monkeypatch.setitem(sys.modules, "extractors.base", base)
    names = {"__name__": "extractors.a_model_3b", "__package__": "extractors"}
    exec(compile(code, "a_model_3b.py", "exec"), names)
    found = names[class_name(model_id)]
    assert issubclass(found, base.BaseEmbeddingExtractor)  # pyright: ignore
    return found(name_model="org/name", device="cpu")


def test_it_gives_what_geneb_jax_embeds(monkeypatch):
    sequences = ["ACGTACGTAA", "TTTTGGGGCC", "acgnacgt"]
    found = made(monkeypatch, "catalog").extract_embeddings(sequences, batch_size=2)
    assert found.shape == (3, 64) and found.dtype == np.float32
    np.testing.assert_array_equal(found, geneb_jax.embed("kmer-3", sequences))


@pytest.mark.parametrize(
    ("kind", "model", "options"),
    [
        ("catalog", "m", {}),
        ("folder", "m", {"checkpoints_dir": "org/name"}),
        ("described", "m=hf:org/name", {}),
        ("catalog folder", "m", {"catalog": "org/name"}),
    ],
)
def test_every_kind_is_found_by_its_address(monkeypatch, kind, model, options):
    called = []
    monkeypatch.setattr(geneb_jax, "embed", lambda *a, **k: called.append((a, k)), raising=False)
    stated = {"preset": "corrected", "dtype": "bfloat16"}
    made(monkeypatch, kind, "m", stated).extract_embeddings(["A"], 8)
    assert called == [((model, ["A"]), options | stated)]
    assert kind in KINDS


def test_random_weights_are_drawn_again(monkeypatch):
    called = []
    monkeypatch.setattr(geneb_jax, "embed", lambda *a, **k: called.append(a), raising=False)
    made(monkeypatch, "described", "m:random:3").extract_embeddings(["A"], 8)
    assert called == [("m=hf:org/name:random:3", ["A"])]


def test_embeddings_from_elsewhere_leave_the_code_to_their_author(monkeypatch):
    found = made(monkeypatch, "unknown")
    with pytest.raises(NotImplementedError, match="kmer-3 was scored from embeddings"):
        found.extract_embeddings(["A"])


def test_it_says_how_the_harness_runs_it():
    code = extractor(
        "m", "m-1", "described", {}, display="A model", params=3, facts={}, version="1"
    )
    assert '\nMODEL = "m"\n' in code
    said = " ".join(code.replace("\\", " ").split())
    assert (
        "harness/run_GENEB.py --extractor M1Extractor --module m_1 --name_model CHECKPOINT "
        "--model_id m-1 --display 'A model' --params 3 --data_dir GENEB_data"
    ) in said


def test_kinds_follow_from_what_run_json_says():
    port = {"model": "m", "weights": "sha256:1"}
    assert kind_of(port, {}, listed=True, local=False) == "catalog"
    assert kind_of(port, {}, listed=True, local=True) == "folder"
    described = port | {"described": {"family": "bert"}}
    assert kind_of(described, {"catalog": ""}, listed=False, local=False) == "described"
    assert kind_of(described, {"catalog": "mine"}, listed=False, local=False) == "catalog folder"
    assert kind_of(described, {}, listed=True, local=False) == "catalog"
    for key in ("folder", "function"):
        assert kind_of({"model": "m", key: {}}, {}, listed=False, local=False) == "unknown"


@pytest.mark.parametrize("name", ["a-model.3b", "3b-model", "...", "x_Y", "class", "Ünicode-1"])
def test_names_are_names_of_python(name):
    assert class_name(name).isidentifier() and class_name(name).endswith("Extractor")
    assert module_name(name).isidentifier()
    assert module_name(name) == module_name(name).lower()


def test_tokenizers_are_said_in_words():
    for name in TOKENIZERS:
        text = tokenizer_text({"kind": name, "k": 6})
        assert text not in ("", name) and "{" not in text
    assert tokenizer_text({"kind": "kmer", "k": 3, "layout": "eos-bos-last"}) == (
        "3-mers that do not overlap"
    )
    assert tokenizer_text({}) == ""
