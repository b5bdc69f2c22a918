"""Tensors under the names that other programs give them: understood, or refused by name."""

import json
import shutil
from pathlib import Path

import hypothesis.strategies as st
import jax
import numpy as np
import pytest
from golden_ports import FIXTURES, GOLDEN, change_tensors, golden_port, golden_records
from hypothesis import example, given, settings
from safetensors.numpy import load_file, save_file
from shared_data import need

from model_ports import catalog
from model_ports.contract.family import family
from model_ports.contract.weights import Ignored, Weight
from model_ports.loading.convert import convert
from model_ports.loading.names import read_names
from model_ports.loading.planned import family_config, plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.loading.tensors import CheckpointError, read_config
from model_ports.running.embedder import embedder
from model_ports.running.records import collate, padded_length, tokenize

RULES = (
    Weight("base.embed.weight", "tokens"),
    Weight("base.layer.{}.norm.weight", "scale"),
    Weight("base.layer.{}.norm.bias", "shift"),
    Ignored(r"base\.steps|trained\..*", "not used"),
)
NAMES = (
    "base.embed.weight", "base.layer.0.norm.weight", "base.layer.0.norm.bias",
    "base.layer.1.norm.weight", "base.layer.1.norm.bias",
)  # fmt: skip


def spelled(*changes):
    """The names with each pair of texts replaced."""
    names = list(NAMES)
    for old, new in changes:
        names = [name.replace(old, new) for name in names]
    return names


def test_the_rules_spelling_needs_no_words():
    found = read_names(RULES, [*NAMES, "base.steps", "trained.long"])
    assert found.needed == {name: name for name in NAMES}
    assert (found.heads, found.unknown, found.notes) == ([], [], [])


@pytest.mark.parametrize(
    ("changes", "notes"),
    [
        ([("base.", "module.base.")],
         "5 tensors are renamed ('module.base.embed.weight' to 'base.embed.weight'): "
         "the prefix 'module.' is left out"),
        ([("base.", "module._orig_mod.")],
         "5 tensors are renamed ('module._orig_mod.embed.weight' to 'base.embed.weight'): "
         "the prefix 'module._orig_mod.' is read as 'base.'"),
        ([("norm.bias", "norm.beta"), ("base.", "net.")],
         "5 tensors are renamed ('net.embed.weight' to 'base.embed.weight'): "
         "'beta' is read as 'bias'; the prefix 'net.' is read as 'base.'"),
    ],
)  # fmt: skip
def test_other_spellings_are_understood_and_said(changes, notes):
    names = spelled(*changes)
    found = read_names(RULES, names)
    assert found.needed == dict(zip(NAMES, names, strict=True))
    assert (list(found.notes), found.unknown) == ([notes], [])


@pytest.mark.parametrize(
    "changes",
    [
        [("base.", "")],  # the base model saves itself
        [("norm.weight", "norm.gamma"), ("norm.bias", "norm.beta")],  # as ESM and BERT are saved
        [("norm.bias", "norm.beta"), ("base.", "")],
    ],
)
def test_spellings_that_transformers_writes_are_no_news(changes):
    names = spelled(*changes)
    found = read_names(RULES, names)
    assert found.needed == dict(zip(NAMES, names, strict=True))
    assert (list(found.notes), found.unknown) == ([], [])


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("embed.weight", "'base.embed.weight' and 'embed.weight' are both 'base.embed.weight'"),
        ("base.base.embed.weight",
         "'base.embed.weight' and 'base.base.embed.weight' are both 'base.embed.weight'"),
        ("base.layer.1.norm.gamma",
         "'base.layer.1.norm.weight' and 'base.layer.1.norm.gamma' are both"),
    ],
)  # fmt: skip
def test_a_tensor_that_has_two_names_is_refused(extra, words):
    with pytest.raises(CheckpointError, match=words):
        read_names(RULES, [*NAMES, extra])


@pytest.mark.parametrize(
    "name",
    [
        "module.base.embed.weight",  # of this tensor alone
        "base.embed.gamma",  # no norm
        "base.layer.0.norm.Weight",
        "base.layer.0.norm.weight.0",
        "base.layer.0.classifier.weight",  # a head stands on top of a model
        "ema.base.embed.weight",
        "classifier_extra.weight",
    ],
)
def test_what_is_none_of_these_stays_unknown(name):
    found = read_names(RULES, [*NAMES, name])
    assert found.unknown == [name]
    assert set(found.needed) == set(NAMES)


def test_heads_are_left_out_and_said():
    heads = ["classifier.dense.weight", "score.weight", "base.pooler.dense.bias"]
    found = read_names(RULES, [*NAMES, *heads])
    assert found.heads == heads
    assert list(found.notes) == [
        "heads are left out, no hidden state needs them: "
        "classifier.dense.weight, score.weight, base.pooler.dense.bias"
    ]
    found = read_names(RULES, [*(f"net.{n}" for n in NAMES), *(f"net.{n}" for n in heads), "score"])
    assert found.heads == [*(f"net.{n}" for n in heads), "score"]
    many = [f"classifier.{i}.weight" for i in range(9)]
    (note,) = read_names(RULES, [*NAMES, *many]).notes
    assert note.endswith("classifier.5.weight and 3 more")


@pytest.mark.parametrize(
    "name", ["base_model.model.base.layer.0.lora_A.default.weight", "base.embed.base_layer.weight"]
)
def test_tensors_of_an_adapter_are_refused(name):
    with pytest.raises(CheckpointError, match=r"is of a PEFT adapter: merge it first"):
        read_names(RULES, [*NAMES, name])


TWICE = (
    *RULES,
    Ignored(r"(.*)\.copy\.(\d+)\.norm\.(.*)", "a second name", same=r"\1.layer.\2.norm.\3"),
    Ignored(r"copy_of_steps", "a second name of what is not needed", same=r"base.steps"),
)


def test_tensors_of_two_names_are_paired_or_stand_for_each_other():
    second = "base.copy.1.norm.bias"
    found = read_names(TWICE, [second, *NAMES, "copy_of_steps"])
    assert found.needed == {name: name for name in NAMES}
    assert found.equal == [("base.layer.1.norm.bias", second)]
    assert (found.unknown, found.notes) == ([], [])
    found = read_names(TWICE, [*NAMES[:-1], "copy.1.norm.bias"])
    assert found.needed["base.layer.1.norm.bias"] == "copy.1.norm.bias"
    assert found.equal == []
    (note,) = found.notes
    assert "'copy.1.norm.bias' to 'base.layer.1.norm.bias'" in note


def base_prefix(model_id):
    """What all the names of a fixture's needed tensors begin with, and their names."""
    entry = catalog.get(model_id)
    config, _ = family_config(entry, read_config(GOLDEN / model_id))
    rules = family(entry.family).weights(config)
    names = list(load_file(GOLDEN / model_id / "model.safetensors"))
    needed = list(read_names(rules, names).needed.values())
    parts = zip(*(name.split(".")[:-1] for name in needed), strict=False)
    common = []
    for each in parts:
        if len(set(each)) > 1:
            break
        common.append(each[0])
    return rules, names, needed, common


@pytest.mark.parametrize("model_id", FIXTURES)
def test_every_model_is_read_with_and_without_its_prefix(model_id):
    rules, names, needed, common = base_prefix(model_id)
    assert read_names(rules, names).notes == []
    prefixes = ["".join(f"{part}." for part in common[:i]) for i in range(len(common) + 1)]
    for prefix in prefixes:
        without = [name.removeprefix(prefix) for name in needed]
        assert list(read_names(rules, without).needed) == needed
    for wrapper in ("module.", "_orig_mod.", "base_model.model.", "bert.", "a.b.c."):
        found = read_names(rules, [wrapper + name for name in names])
        assert list(found.needed) == needed
        assert (found.unknown, found.heads) == ([], [])
        tuned = read_names(rules, [*(wrapper + name for name in needed), "classifier.weight"])
        assert list(tuned.needed) == needed
        assert tuned.heads == ["classifier.weight"]


# One model a family whose norms have weights and biases under names of their own, and one of RMS.
NAMED_NORMS = ("GROVER", "gena-lm-bert-base", "DNABERT-S", "gpt2_gene_v1", "deepgene",
               "nucleotide-transformer-2.5b-multi-species", "BioFM-265M")  # fmt: skip


def assert_the_same(folder, model_id):
    """The parameters are those of the fixture, and so are the embeddings."""
    found, expected = (
        load_port(plan_checkpoint(catalog.get(model_id), folder)),
        golden_port(model_id),
    )
    for ours, theirs in zip(*map(jax.tree.leaves, (found.state, expected.state)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def copied(model_id, folder, rename):
    """A copy of a fixture with its tensors renamed."""
    folder = Path(shutil.copytree(GOLDEN / model_id, folder))

    def change(tensors):
        renamed = {rename(name): tensor for name, tensor in tensors.items()}
        tensors.clear()
        tensors.update(renamed)

    change_tensors(folder, change)
    return folder


# Of models that use a tensor twice: a second name, and the first one.
SECOND_NAMES = {
    "PlantCaduceus_l32": (
        "caduceus.backbone.layers.1.mixer.submodule.mamba_rev.in_proj.weight",
        "caduceus.backbone.layers.1.mixer.submodule.mamba_fwd.in_proj.weight",
    ),
    "JanusDNA_72_wo": (
        "model.model.layers.0.mamba_module.mamba_rev.out_proj.weight",
        "model.model.layers.0.mamba_module.mamba_fwd.out_proj.weight",
    ),
    "hyenadna-medium-160k-seqlen-hf": (
        "hyena.backbone.layers.0.mixer.filter_fn.implicit_filter.5.freq",
        "hyena.backbone.layers.0.mixer.filter_fn.implicit_filter.1.freq",
    ),
    "enformer-official-rough": (
        "_trunk.4.1.0.fn.1.to_k.weight",
        "transformer.1.0.fn.1.to_k.weight",
    ),
}


@pytest.mark.parametrize("model_id", SECOND_NAMES)
def test_a_tensor_of_two_names_is_read_by_either_and_must_be_one(model_id, tmp_path):
    second, first = SECOND_NAMES[model_id]
    folder = copied(model_id, tmp_path / model_id, lambda name: name)
    change_tensors(folder, lambda tensors: tensors.update({second: tensors[first].copy()}))
    assert_the_same(folder, model_id)
    alone = copied(model_id, tmp_path / "alone", lambda name: second if name == first else name)
    assert_the_same(alone, model_id)
    change_tensors(folder, lambda tensors: tensors.update({second: tensors[first] + 1}))
    with pytest.raises(CheckpointError, match=f"'{second}' is not equal to '{first}'"):
        load_port(plan_checkpoint(catalog.get(model_id), folder))
    with pytest.raises(CheckpointError, match=f"'{second}' is not equal to '{first}'"):
        convert(catalog.get(model_id), folder, tmp_path / "out")


def test_enformer_is_read_from_its_trunk_alone(tmp_path):
    model_id = "enformer-official-rough"
    folder = copied(model_id, tmp_path / model_id, lambda name: name)
    parts = ("stem.", "conv_tower.", "transformer.", "final_pointwise.")
    change_tensors(folder, lambda ts: [ts.pop(name) for name in list(ts) if name.startswith(parts)])
    assert_the_same(folder, model_id)


def old_norm(name):
    for part in ("LayerNorm", "layernorm", "_ln", "ln_1", "ln_2", "ln_f", "layer_norm_after"):
        if f"{part}." in name:
            return name.replace(".weight", ".gamma").replace(".bias", ".beta")
    return name


@pytest.mark.parametrize("model_id", NAMED_NORMS)
def test_gamma_and_beta_give_the_same_embeddings(model_id, tmp_path, caplog):
    folder = copied(model_id, tmp_path / model_id, old_norm)
    assert any(".gamma" in name for name in load_file(folder / "model.safetensors"))
    assert_the_same(folder, model_id)
    assert "renamed" not in caplog.text  # transformers itself writes some models so


TINY = "nucleotide-transformer-v2-50m-3mer-multi-species"
_EDITS = {
    "drop the prefix": lambda name: name.removeprefix("esm."),
    "add a prefix": lambda name: f"module.{name}",
    "repeat the prefix": lambda name: f"esm.{name}",
    "other prefix": lambda name: name.replace("esm.", "bert.", 1),
    "old norms": old_norm,
    "capitals": str.upper,
    "next layer": lambda name: name.replace("layer.1.", "layer.2."),
    "same layer": lambda name: name.replace("layer.1.", "layer.0."),
    "far layer": lambda name: name.replace("layer.1.", "layer.99999999999999999999."),
    "leading zero": lambda name: name.replace("layer.", "layer.0"),
    "other digits": lambda name: name.replace("layer.1.", "layer.١."),
    "another name": lambda name: f"{name}_",
    "head": lambda name: f"classifier.{name}",
    "a number behind": lambda name: f"{name}.0",
}


@settings(max_examples=40, deadline=None)
@given(data=st.data(), edits=st.lists(st.sampled_from(sorted(_EDITS)), min_size=1, max_size=2))
@example(data=None, edits=["drop the prefix"])
@example(data=None, edits=["old norms", "drop the prefix"])
def test_no_renaming_gives_other_embeddings_in_silence(data, edits, tmp_path_factory):
    """Of all the names or of some: the embeddings are the same, or an error says what is wrong."""
    folder = tmp_path_factory.mktemp("renamed")
    tensors = load_file(GOLDEN / TINY / "model.safetensors")
    chosen = set(tensors)
    if data is not None and data.draw(st.booleans()):
        chosen = data.draw(st.sets(st.sampled_from(sorted(tensors)), min_size=1))
    for edit in edits:
        renamed = {}
        for name, tensor in tensors.items():
            renamed[_EDITS[edit](name) if name in chosen else name] = tensor
        chosen = {_EDITS[edit](name) for name in chosen}
        tensors = renamed
    for name in ("config.json", "vocab.txt", "meta.json"):
        shutil.copyfile(GOLDEN / TINY / name, folder / name)
    save_file(tensors, folder / "model.safetensors")
    try:
        assert_the_same(folder, TINY)
    except CheckpointError:
        assert data is not None


CASE = "nucleotide-transformer-v2-50m-multi-species"


def test_a_base_model_that_saved_itself_loads_without_a_word(caplog):
    assert_the_same(need("cases", "ckpt_no_prefix", CASE), CASE)
    assert not caplog.records


def test_a_fine_tuned_model_loads_without_its_head(caplog):
    assert_the_same(need("cases", "ckpt_classifier", CASE), CASE)
    (record,) = caplog.records
    words = "heads are left out, no hidden state needs them: classifier."
    assert words in record.getMessage()


@pytest.mark.slow
def test_transformers_models_saved_without_their_head_load(tmp_path, torch):
    """A base model's `save_pretrained` writes the names without the prefix, others with it."""
    transformers = pytest.importorskip("transformers")
    name = "GROVER"
    fields = json.loads((GOLDEN / name / "config.json").read_text())
    config = transformers.BertConfig(**{k: v for k, v in fields.items() if k != "model_type"})
    torch.manual_seed(0)
    whole = transformers.BertForSequenceClassification(config).eval()
    (record, *_) = golden_records(name)
    for model in (whole, whole.bert):
        folder = tmp_path / type(model).__name__
        model.save_pretrained(folder)
        for file in ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"):
            shutil.copyfile(GOLDEN / name / file, folder / file)
        port = load_port(plan_checkpoint(catalog.get(name), folder))
        (ids,) = tokenize(port, [record])
        (found,) = embedder(port)(port.state, collate(port, [ids], padded_length(port, len(ids))))
        with torch.no_grad():
            hidden = whole.bert(torch.from_numpy(ids.astype(np.int64))[None]).last_hidden_state
        np.testing.assert_allclose(found, hidden[0].mean(0), atol=1e-5)
