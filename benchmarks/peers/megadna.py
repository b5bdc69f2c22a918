"""megaDNA in PyTorch, level by level over whole patches, as MEGABYTE-pytorch computes it."""

# pyright: reportMissingImports=false

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.peers.parts import Weights, apply, layer_norm, to_torch

_HEADS = 8


def _rms(scale: Tensor, x: Tensor) -> Tensor:
    root = torch.linalg.vector_norm(x, dim=-1, keepdim=True) * x.shape[-1] ** -0.5
    return x / root.clamp(min=1e-8) * scale


def _shift(x: Tensor) -> Tensor:
    kept, moved = x.chunk(2, dim=-1)
    return torch.cat([kept, functional.pad(moved, (0, 0, 1, -1))], dim=-1)


def _attend(weights: Weights, name: str, x: Tensor) -> Tensor:
    y = _rms(weights[f"{name}.norm.g"], x)
    query = apply(weights, f"{name}.to_q", y).unflatten(-1, (_HEADS, -1)).transpose(1, 2)
    key, value = apply(weights, f"{name}.to_kv", y)[:, None].chunk(2, dim=-1)
    heads = functional.scaled_dot_product_attention(
        query, key.expand_as(query), value.expand_as(query), is_causal=True
    )
    return apply(weights, f"{name}.to_out", heads.transpose(1, 2).flatten(2))


def _decode(weights: Weights, name: str, depth: int, x: Tensor) -> Tensor:
    for i in range(depth):
        attention, feed_forward = f"{name}.layers.{i}.0", f"{name}.layers.{i}.1"
        x = x + _attend(weights, attention, _shift(x))
        y = apply(weights, f"{feed_forward}.1", _rms(weights[f"{feed_forward}.0.g"], _shift(x)))
        x = x + apply(weights, f"{feed_forward}.4", functional.gelu(y))
    return _rms(weights[f"{name}.norm.g"], x)


def build(
    config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> Callable[[Tensor, Tensor | None], Tensor]:
    """Returns `forward(ids [B, L], mask) -> [B, L, D]`; the mask changes nothing."""
    weights = to_torch(tensors)
    lengths, depths = config["max_seq_len"], config["depth"]
    last = len(depths) - 1

    def tokens(level: int, ids: Tensor) -> Tensor:
        name = f"token_embs.{last - level}"
        if level == last:
            return weights[f"{name}.weight"][ids]
        x = weights[f"{name}.0.weight"][ids].flatten(-2)
        x = apply(weights, f"{name}.3", layer_norm(weights, f"{name}.2", x))
        return layer_norm(weights, f"{name}.4", x)

    @torch.inference_mode()
    def forward(ids: Tensor, mask: Tensor | None = None) -> Tensor:
        del mask
        batch, length = ids.shape
        whole = math.prod(lengths[1:])
        ids = functional.pad(ids, (0, -length % whole))
        x, above = ids, None
        for level, depth in enumerate(depths):
            size = math.prod(lengths[level + 1 :])
            siblings = ids.shape[1] // whole if level == 0 else lengths[level]
            patches = ids if level == last else ids.unflatten(-1, (-1, size))
            x = tokens(level, patches)
            x = x.reshape(-1, siblings, x.shape[-1])
            x = x if above is None else x + above
            start = weights[f"start_tokens.{level}"].expand(len(x), 1, -1)
            x = _decode(weights, f"transformers.{level}", depth, torch.cat([start, x], dim=1))
            if level < last:
                above = apply(weights, f"to_next_transformer_projections.{level}.1", x[:, :-1])
                above = above.reshape(-1, lengths[level + 1], above.shape[-1] // lengths[level + 1])
        return x[:, 1:].reshape(batch, -1, x.shape[-1])[:, :length]

    return forward
