"""Checkpoints that transformers makes and saves, and its hidden states of some records.

They are tiny, and every parameter that is trained is drawn, those of norms and biases too, so that
none is at the value that it has before training.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np

from model_ports import catalog
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.pooling import POOLINGS
from model_ports.port import Port
from model_ports.running.embedder import forward
from model_ports.running.records import collate, tokenize

# The token ids of letters, away from those that configs give to special tokens.
TOKENIZER = {
    "kind": "character",
    "letters": {"A": 5, "C": 6, "G": 7, "T": 8},
    "unknown": 9,
    "pad": 1,
}
VOCABULARY = 11
RECORDS = ("ACGTTAGCCATTGACAGTNACGATTACA", "ACG", "T", "GATTACAGATTACAGGG", "CCCCCCCCCCCC")


def random_model(cls: Any, config: Any, seed: int = 0) -> Any:
    """Returns a PyTorch model of a config, all of its parameters drawn."""
    import torch

    torch.manual_seed(seed)
    config._attn_implementation = "eager"
    model = cls(config).eval()
    with torch.no_grad():
        for parameter in filter(lambda each: each.requires_grad, model.parameters()):
            spread = 0.3 if parameter.dim() == 1 else 0.4
            parameter.add_(torch.randn_like(parameter), alpha=spread)
    return model


def stock_entry(family: str) -> catalog.Entry:
    """Returns a catalog entry of a checkpoint that only its family is known of."""
    return dataclasses.replace(
        catalog.get("GROVER"),
        id="stock",
        family=family,
        tokenizer=TOKENIZER,
        presets={"corrected": {"max_tokens": None, "pooling": "mean", "batching": "masked"}},
        config={},
        unstated={},
    )


def stock_port(family: str, folder: Path, dtype: str = "float32") -> Port:
    """Returns the port of a folder that transformers saved."""
    return load_port(plan_checkpoint(stock_entry(family), folder), dtype)


def stock_states(model: Any, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns transformers' hidden states of all layers, [layers + 1, B, L, D]."""
    import torch

    with torch.no_grad():
        output = model.base_model(
            input_ids=torch.tensor(ids, dtype=torch.long),
            attention_mask=torch.tensor(mask, dtype=torch.long),
            output_hidden_states=True,
        )
    states = [state.numpy() for state in output.hidden_states]
    return np.stack([*states[:-1], output.last_hidden_state.numpy()])


def check_agrees(family: str, model: Any, folder: Path, records: tuple[str, ...] = RECORDS) -> Port:
    """Saves a model and compares the port of the folder with it; returns the port.

    Compared are the hidden states of all layers and the means of the last one over the tokens of
    each record, of a padded batch and of the first record alone.
    """
    model.save_pretrained(folder)
    port = stock_port(family, folder)
    assert port.unknown_fields == ()
    encoded = tokenize(port, records)
    taps = (*range(port.config.layers), -1)
    run = jax.jit(lambda state, inputs: forward(port, state, inputs, taps))
    for rows in (encoded, encoded[:1]):
        inputs = collate(port, rows, max(map(len, rows)) + 2 * (len(rows) > 1))
        found = run(port.state, inputs)
        mask = inputs["attention_mask"]
        expected = stock_states(model, inputs["input_ids"], mask)
        for tap, state in zip(taps, expected, strict=True):
            _check_close(np.asarray(found.states[tap])[mask], state[mask], f"hidden state {tap}")
        weights = mask[..., None].astype(np.float64)
        mean = (expected[-1] * weights).sum(1) / weights.sum(1)
        pooled = POOLINGS["mean"](found.states[-1], found.mask)
        for row, vector in enumerate(np.asarray(pooled)):
            _check_close(vector, mean[row], f"record {row} of {len(rows)}")
    return port


def _check_close(found: np.ndarray, expected: np.ndarray, what: str) -> None:
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * scale, err_msg=what)
