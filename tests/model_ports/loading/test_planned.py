import shutil

import jax
import numpy as np
import pytest
from golden_ports import GOLDEN, change_tensors, golden_port

from model_ports import catalog
from model_ports.loading.planned import plan_checkpoint, text_reader
from model_ports.loading.ports import load_port
from model_ports.loading.tensors import CheckpointError
from model_ports.running.records import refused, tokenize

NAME = "GENERator-eukaryote-1.2b-base"
ENTRY = catalog.get(NAME)


def test_a_wrong_dtype_is_found_before_loading(source):
    name = "model.layers.1.mlp.up_proj.weight"
    change_tensors(source, lambda t: t.update({name: t[name].astype(np.int32)}))
    with pytest.raises(CheckpointError, match="is I32"):
        plan_checkpoint(ENTRY, source)


def test_names_that_are_refused_are_named_with_their_folder(source):
    name = "model.layers.1.mlp.up_proj"
    added = {f"{name}.lora_A.default.weight": np.zeros((2, 3), np.float32)}
    change_tensors(source, lambda t: t.update(added))
    with pytest.raises(CheckpointError) as error:
        plan_checkpoint(ENTRY, source)
    assert str(error.value).startswith(f"{source}: tensor '{name}.lora_A.default.weight' is of a")
    twice = {"model.embed_tokens.weight", "embed_tokens.weight"}
    change_tensors(
        source,
        lambda t: (
            t.pop(f"{name}.lora_A.default.weight"),
            t.update({each: np.zeros((3, 3), np.float32) for each in twice}),
        ),
    )
    with pytest.raises(CheckpointError, match=r"are both 'model\.embed_tokens\.weight'") as error:
        plan_checkpoint(ENTRY, source)
    assert str(error.value).startswith(f"{source}: tensors '")


def test_a_checkpoints_text_files_are_enough(tmp_path):
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(GOLDEN / "gena-lm-bert-base" / name, tmp_path)
    reader = text_reader(catalog.get("gena-lm-bert-base"), tmp_path)
    assert reader.config.max_tokens == 24
    ((index, reason),) = refused(reader, ["ACGT", "ACGGTCAATCG" * 30])
    assert index == 1
    assert "but the model has 24 positions; cut it" in reason
    np.testing.assert_array_equal(
        tokenize(reader, ["ACGT"])[0], reader.tokenizer.encode(["ACGT"], None)[0]
    )


def test_a_planned_checkpoint_loads_without_opening_its_folder_again(source):
    planned = plan_checkpoint(ENTRY, source)
    for name in ("config.json", "tokenizer_config.json", "vocab.txt"):
        (source / name).unlink()
    port = load_port(planned)
    expected = jax.tree.leaves(golden_port(NAME).state)
    for found, leaf in zip(jax.tree.leaves(port.state), expected, strict=True):
        np.testing.assert_array_equal(found, leaf)
    assert port.weights_id == golden_port(NAME).weights_id
    np.testing.assert_array_equal(*(tokenize(p, ["ACGTACGTAC"])[0] for p in (planned, port)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[]", "holds a list"),
        ("{", "not JSON"),
        ('{"check": 1}', "states no limit of preset 'corrected' as a fixture does"),
        ('{"check": {"corrected": {"a": 1}}}', "states no limit of preset 'corrected'"),
        ('{"check": {"corrected": {"max_tokens": "9"}}}', "max_tokens is '9'"),
        ('{"check": {"corrected": {"max_tokens": 0}}}', "max_tokens is 0"),
    ],
)
def test_a_meta_json_that_is_no_fixtures_is_named(source, content, words):
    (source / "meta.json").write_text(content)
    with pytest.raises(CheckpointError, match=words) as error:
        plan_checkpoint(ENTRY, source)
    assert str(error.value).startswith(str(source / "meta.json"))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("content", ["{}", '{"check": null}', '{"check": {"corrected": null}}'])
def test_a_meta_json_that_states_no_limit_changes_none(source, content):
    (source / "meta.json").write_text(content)
    preset = plan_checkpoint(ENTRY, source).preset
    assert preset == ENTRY.preset("corrected")
