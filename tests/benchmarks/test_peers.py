"""The PyTorch peers compute what the original code computed."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from benchmarks.long_families import peer
from model_ports import catalog
from model_ports.pooling import POOLINGS

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
PEERS = {path.stem for path in (ROOT / "benchmarks" / "peers").glob("[!_]*.py")} - {"parts"}
IDS = [entry.id for entry in catalog.entries().values() if entry.family in PEERS]
MASKED = [m for m in IDS if catalog.get(m).family in ("esm", "llama", "mosaic_bert")]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # tiny models: waiting for the others costs more than they do
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("model_id", IDS)
def test_peer_agrees_with_the_original_code(model_id):
    folder = GOLDEN / model_id
    config = json.loads((folder / "config.json").read_text())
    check = json.loads((folder / "meta.json").read_text())["check"]
    names = check["corrected"]
    forward = peer(model_id).build(config, load_file(folder / "model.safetensors"))
    with np.load(folder / "golden.npz") as arrays:
        ids = arrays[names["input"]]
        if ids.ndim == 3:  # one-hot bases
            ids = np.where(ids.any(2), ids.argmax(2), 4)
        mask = None if names["mask"] is None else arrays[names["mask"]].astype(bool)
        hidden = None if names["hidden"] is None else arrays[names["hidden"]]
        pooled = arrays[names["pooled"]]
    atol = 10 * check["hidden_atol"]
    for row, record in enumerate(ids):
        seen = np.ones(len(record), bool) if mask is None else mask[row]
        # A model whose input has one length sees its padding; the others are given the record.
        fixed = catalog.get(model_id).preset("corrected").batching == "fixed"
        kept = np.ones_like(seen) if fixed else seen
        given = None if mask is None else torch.from_numpy(seen[kept][None])
        found = forward(torch.from_numpy(record[kept][None].astype(np.int64)), given).numpy()[0]
        if mask is not None:
            found = found[seen[kept]]
        pool = POOLINGS[catalog.get(model_id).preset("corrected").pooling]
        vector = pool(found[None], np.ones((1, len(found)), bool))[0]
        np.testing.assert_allclose(vector, pooled[row], atol=atol, rtol=1e-4)
        if hidden is not None:
            wanted = hidden[row] if mask is None else hidden[row][seen]
            np.testing.assert_allclose(found, wanted, atol=atol, rtol=1e-4)


@pytest.mark.parametrize("model_id", MASKED)
def test_peer_agrees_on_a_padded_batch(model_id):
    folder = GOLDEN / model_id
    config = json.loads((folder / "config.json").read_text())
    check = json.loads((folder / "meta.json").read_text())["check"]
    names = check["corrected"]
    forward = peer(model_id).build(config, load_file(folder / "model.safetensors"))
    with np.load(folder / "golden.npz") as arrays:
        ids, mask = arrays[names["input"]].astype(np.int64), arrays[names["mask"]].astype(bool)
        wanted = arrays[names["hidden"]][mask]
    assert not mask.all()
    found = forward(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()[mask]
    np.testing.assert_allclose(found, wanted, atol=10 * check["hidden_atol"], rtol=1e-4)
