import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from golden_ports import GOLDEN, golden_port, golden_records

from model_ports import catalog
from model_ports.families.llama import _within
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.running.embedder import forward
from model_ports.running.records import collate, tokenize

MISTRAL = "GenomeOcean-500M"


def windowed(folder, window):
    """The fixture of a Mistral with a sliding window, in a folder."""
    shutil.copytree(GOLDEN / MISTRAL, folder, dirs_exist_ok=True)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sliding_window": window}))
    return load_port(plan_checkpoint(catalog.get(MISTRAL), folder))


def states(port, record):
    """The hidden states of a record, of all layers, [layers + 1, L, D], and its ids."""
    (ids,) = tokenize(port, [record])
    inputs = collate(port, [ids], len(ids) + 3)  # some padding behind it
    taps = (*range(port.config.layers), -1)
    found = forward(port, port.state, inputs, taps).states
    return np.stack([np.asarray(found[tap])[0, : len(ids)] for tap in taps]), ids


def longest():
    return max(golden_records(MISTRAL), key=lambda r: len(tokenize(golden_port(MISTRAL), [r])[0]))


def test_a_window_as_long_as_the_record_changes_nothing(tmp_path):
    record = longest()
    expected, ids = states(golden_port(MISTRAL), record)
    found, _ = states(windowed(tmp_path, len(ids)), record)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    shorter, _ = states(windowed(tmp_path, len(ids) - 1), record)
    assert np.abs(shorter[-1, -1] - expected[-1, -1]).max() > 1e-3
    np.testing.assert_allclose(shorter[:, :-1], expected[:, :-1], rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("window", [1, 2, 5])
def test_a_window_is_that_of_transformers(tmp_path, window):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    port = windowed(tmp_path, window)
    found, ids = states(port, longest())
    assert len(ids) > 8
    original = transformers.MistralModel.from_pretrained(
        tmp_path, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    assert original.config.sliding_window == window
    with torch.no_grad():
        output = original(torch.tensor(ids)[None], output_hidden_states=True)
    expected = np.stack([state[0].numpy() for state in output.hidden_states])
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


def test_the_window_counts_the_token_itself():
    assert _within(4, None) is None
    assert _within(4, 4) is None
    seen = jnp.tril(jnp.ones((4, 4), bool)) & _within(4, 2)
    np.testing.assert_array_equal(
        seen, [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    )  # fmt: skip
