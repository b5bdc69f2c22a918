import jax
import numpy as np
import pytest
from golden_ports import GOLDEN, change_tensors, golden_port

from model_ports.loading.planned import plan_checkpoint, text_reader
from model_ports.loading.ports import load_port
from model_ports.loading.tensors import CheckpointError
from model_ports.running.records import refused, tokenize

NAME = "GENERator-eukaryote-1.2b-base"


def test_a_wrong_dtype_is_found_before_loading(source):
    name = "model.layers.1.mlp.up_proj.weight"
    change_tensors(source, lambda t: t.update({name: t[name].astype(np.int32)}))
    with pytest.raises(CheckpointError, match="is I32"):
        plan_checkpoint(NAME, source)


def test_a_checkpoints_text_files_are_enough():
    reader = text_reader("gena-lm-bert-base", GOLDEN / "gena-lm-bert-base")
    assert reader.config.max_tokens == 24
    ((index, reason),) = refused(reader, ["ACGT", "ACGGTCAATCG" * 30])
    assert index == 1
    assert "but the model has 24 positions; cut it" in reason
    np.testing.assert_array_equal(
        tokenize(reader, ["ACGT"])[0], reader.tokenizer.encode(["ACGT"], None)[0]
    )


def test_a_planned_checkpoint_loads_without_opening_its_folder_again(source):
    planned = plan_checkpoint(NAME, source)
    for name in ("config.json", "tokenizer_config.json", "vocab.txt"):
        (source / name).unlink()
    port = load_port(planned)
    expected = jax.tree.leaves(golden_port(NAME).state)
    for found, leaf in zip(jax.tree.leaves(port.state), expected, strict=True):
        np.testing.assert_array_equal(found, leaf)
    assert port.weights_id == golden_port(NAME).weights_id
    np.testing.assert_array_equal(*(tokenize(p, ["ACGTACGTAC"])[0] for p in (planned, port)))
