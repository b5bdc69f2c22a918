"""The Nucleotide Transformers and Agro-NT in PyTorch: transformers' ESM.

The v2 models' gated feed-forward, which transformers lacks, takes the place of its own.
"""

# pyright: reportMissingImports=false

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import EsmConfig, EsmModel

from benchmarks.peers.parts import fill


class Gated(nn.Module):
    """SiLU of the first half of the features times the second half."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.dense = nn.Linear(width, 2 * inner, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps [B, L, D] to [B, L, inner]."""
        gate, value = self.dense(x).chunk(2, dim=-1)
        return functional.silu(gate) * value


def build(
    config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> Callable[[Tensor, Tensor | None], Tensor]:
    """Returns `forward(ids [B, L], mask) -> [B, L, D]`."""
    own = EsmConfig(**{**config, "attn_implementation": "sdpa"})
    width, inner = own.hidden_size, own.intermediate_size
    model: Any = EsmModel(own, add_pooling_layer=False)
    model.contact_head = nn.Identity()
    if "add_bias_fnn" in config:
        for layer in model.encoder.layer:
            layer.intermediate = Gated(width, inner)
            layer.output.dense = nn.Linear(inner, width, bias=False)
    fill(model, tensors, "esm.")

    @torch.inference_mode()
    def forward(ids: Tensor, mask: Tensor | None = None) -> Tensor:
        return model(ids, mask).last_hidden_state

    return forward
