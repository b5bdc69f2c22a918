"""Llama, Mistral and GENERanno in PyTorch: transformers' LlamaModel, which computes all.

GENERanno's tokens see each other: a mask of all pairs replaces the causal one.
"""

# pyright: reportMissingImports=false

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaModel

from benchmarks.peers.parts import fill


def build(
    config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> Callable[[Tensor, Tensor | None], Tensor]:
    """Returns `forward(ids [B, L], mask) -> [B, L, D]`."""
    fields = {name: value for name, value in config.items() if name != "model_type"}
    model: Any = LlamaModel(LlamaConfig(**{**fields, "attn_implementation": "sdpa"}))
    fill(model, tensors, "model.")
    encoder = config["model_type"] == "generanno"

    @torch.inference_mode()
    def forward(ids: Tensor, mask: Tensor | None = None) -> Tensor:
        if encoder:
            seen = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask
            mask = seen[:, None, None].expand(-1, 1, ids.shape[1], -1)
        return model(ids, mask, use_cache=False).last_hidden_state

    return forward
