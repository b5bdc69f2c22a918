"""eccDNAMamba: the rows of the token table that checkpoints have."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from golden_ports import GOLDEN, change_tensors, golden_port, golden_records

from model_ports import catalog
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.loading.tensors import CheckpointError
from model_ports.running.embedder import embedder
from model_ports.running.records import collate, padded_length, tokenize

NAME = "eccdnamamba_weights"


def with_rows(folder: Path, rows: int) -> Path:
    """The fixture with a vocabulary of 72 ids instead of 64, and a table of `rows` rows."""
    shutil.copytree(GOLDEN / NAME, folder)
    fields = json.loads((folder / "config.json").read_text())
    assert (fields["vocab_size"], fields["pad_vocab_size_multiple"]) == (64, 16)
    (folder / "config.json").write_text(json.dumps(fields | {"vocab_size": 72}))

    def change(tensors):
        table = tensors["token_embedding.weight"]
        more = np.full((rows, table.shape[1]), 7, np.float32)
        more[: len(table)] = table
        tensors["token_embedding.weight"] = more

    change_tensors(folder, change)
    return folder


@pytest.mark.parametrize("rows", [72, 80])
def test_a_table_with_and_without_padding_gives_the_same_embedding(tmp_path, rows):
    port = load_port(plan_checkpoint(catalog.get(NAME), with_rows(tmp_path / "folder", rows)))
    assert port.config.vocab_size == 72  # larger ids are refused, whatever the table holds there
    (ids,) = tokenize(port, golden_records(NAME)[:1])
    inputs = collate(port, [ids], padded_length(port, len(ids)))
    expected = golden_port(NAME)
    np.testing.assert_array_equal(
        embedder(port)(port.state, inputs), embedder(expected)(expected.state, inputs)
    )


@pytest.mark.parametrize("rows", [71, 81, 96])
def test_a_table_of_other_rows_is_refused(tmp_path, rows):
    words = rf"tensor 'token_embedding\.weight' \[{rows}, 16\] does not fit"
    with pytest.raises(CheckpointError, match=words):
        plan_checkpoint(catalog.get(NAME), with_rows(tmp_path / "folder", rows))
