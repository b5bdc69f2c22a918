"""gLM2 in PyTorch."""

# pyright: reportMissingImports=false

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.peers.parts import apply, rms_norm, to_torch


def build(
    config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> Callable[[Tensor, Tensor | None], Tensor]:
    """Returns `forward(ids [B, L], mask) -> [B, L, D]`; padding is not seen."""
    weights, heads = to_torch(tensors), config["heads"]
    half = config["dim"] // heads // 2
    frequencies = 10000.0 ** (-torch.arange(half) / half)

    def rotate(x: Tensor) -> Tensor:
        angles = torch.arange(x.shape[2])[:, None] * frequencies
        cos, sin = angles.cos(), angles.sin()
        a, b = x.chunk(2, -1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def norm(name: str, x: Tensor) -> Tensor:
        return rms_norm(x, weights[f"{name}.weight"], config["norm_eps"])

    @torch.inference_mode()
    def forward(ids: Tensor, mask: Tensor | None = None) -> Tensor:
        seen = None if mask is None else mask[:, None, None]
        x = weights["glm2.tok_embeddings.weight"][ids]
        for i in range(config["depth"]):
            layer = f"glm2.encoder.layers.{i}"
            qkv = apply(weights, f"{layer}.attention.wqkv", norm(f"{layer}.attention_norm", x))
            parts = qkv.reshape(*ids.shape, 3, heads, -1).permute(2, 0, 3, 1, 4)
            q, k, v = rotate(parts[0]), rotate(parts[1]), parts[2]
            y = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
            y = y.transpose(1, 2).flatten(2)
            x = x + apply(weights, f"{layer}.attention.wo", y)
            y, inner = norm(f"{layer}.ffn_norm", x), f"{layer}.feed_forward"
            gate = functional.silu(apply(weights, f"{inner}.w1", y))
            x = x + apply(weights, f"{inner}.w2", gate * apply(weights, f"{inner}.w3", y))
        return x

    return forward
