import numpy as np
import pytest
from golden_ports import GOLDEN, change_tensors

from model_ports.loading.planned import plan_checkpoint, text_reader
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
