"""MosaicBERT in PyTorch: padding is taken out of all but the attention, as its authors do."""

# pyright: reportMissingImports=false

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.peers.parts import apply, to_torch


def _slopes(heads: int) -> Tensor:
    """ALiBi's slopes; a head count that is no power of two takes every other one of twice it."""
    power = 1 << (heads.bit_length() - 1)
    own = 2.0 ** (-8 * torch.arange(1, power + 1) / power)
    finer = 2.0 ** (-4 * torch.arange(1, 2 * power + 1) / power)
    return torch.cat([own, finer[::2][: heads - power]])


def build(
    config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> Callable[[Tensor, Tensor | None], Tensor]:
    """Returns `forward(ids [B, L], mask) -> [B, L, D]`; rows of padding are 0."""
    weights = {re.sub(r"^bert\.", "", name): t for name, t in to_torch(tensors).items()}
    heads, epsilon = config["num_attention_heads"], config["layer_norm_eps"]
    width, slopes = config["hidden_size"], _slopes(heads)
    positions = weights.get("embeddings.position_embeddings.weight")

    def norm(name: str, x: Tensor) -> Tensor:
        return functional.layer_norm(
            x, (width,), weights[f"{name}.weight"], weights[f"{name}.bias"], epsilon
        )

    @torch.inference_mode()
    def forward(ids: Tensor, mask: Tensor | None = None) -> Tensor:
        batch, length = ids.shape
        real = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask
        whole = bool(real.all())
        kept = slice(None) if whole else real.flatten().nonzero()[:, 0]
        scores = None
        if positions is None:
            place = torch.arange(length)
            scores = -slopes[:, None, None] * (place[:, None] - place).abs()
        if not whole:
            hidden = torch.zeros(real.shape).masked_fill(~real, -torch.inf)[:, None, None]
            scores = hidden if scores is None else scores + hidden

        def padded(x: Tensor) -> Tensor:
            if whole:
                return x.view(batch, length, -1)
            rows = x.new_zeros(batch * length, x.shape[-1])
            rows[kept] = x
            return rows.view(batch, length, -1)

        def attend(layer: str, x: Tensor) -> Tensor:
            qkv = padded(apply(weights, f"{layer}.self.Wqkv", x))
            query, key, value = qkv.view(batch, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(query, key, value, scores)
            mixed = mixed.transpose(1, 2).reshape(batch * length, width)[kept]
            return apply(weights, f"{layer}.output.dense", mixed)

        x = weights["embeddings.word_embeddings.weight"][ids]
        x = x + weights["embeddings.token_type_embeddings.weight"][0]
        if positions is not None:
            x = x + positions[:length]
        x = norm("embeddings.LayerNorm", x.view(batch * length, width)[kept])
        for i in range(config["num_hidden_layers"]):
            layer = f"encoder.layer.{i}"
            x = norm(f"{layer}.attention.output.LayerNorm", x + attend(f"{layer}.attention", x))
            gate, value = apply(weights, f"{layer}.mlp.gated_layers", x).chunk(2, -1)
            y = apply(weights, f"{layer}.mlp.wo", functional.gelu(gate) * value)
            x = norm(f"{layer}.mlp.layernorm", x + y)
        return padded(x)

    return forward
