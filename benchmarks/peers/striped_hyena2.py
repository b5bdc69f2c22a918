"""StripedHyena 2 in PyTorch."""

# pyright: reportMissingImports=false

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.peers.parts import apply, causal_convolution, fft_convolution, to_torch


def build(
    config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> Callable[[Tensor, Tensor | None], Tensor]:
    """Returns `forward(ids [B, L], mask) -> [B, L, D]`; the mask is not used."""
    weights, heads, epsilon = to_torch(tensors), config["num_attention_heads"], config["eps"]
    scaling = (
        config["rotary_emb_scaling_factor"] if config.get("use_interpolated_rotary_pos_emb") else 1
    )

    def norm(name: str, x: Tensor) -> Tensor:
        return x / ((x * x).mean(-1, keepdim=True).sqrt() + epsilon) * weights[f"{name}.scale"]

    def rotate(x: Tensor, frequency: Tensor) -> Tensor:
        angle = (torch.arange(x.shape[1])[:, None] / scaling * frequency)[:, None]
        a, b = x.chunk(2, -1)
        return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)

    def attend(layer: str, x: Tensor) -> Tensor:
        here = f"{layer}.inner_mha_cls"
        y = apply(weights, f"{here}.Wqkv", x)
        query, key, value = y.view(*y.shape[:2], heads, 3, -1).unbind(3)
        query, key = (rotate(part, weights[f"{here}.rotary_emb.inv_freq"]) for part in (query, key))
        query, key, value = (part.transpose(1, 2) for part in (query, key, value))
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return apply(weights, f"{here}.out_proj", mixed.transpose(1, 2).flatten(2))

    def convolve(layer: str, x: Tensor) -> Tensor:
        here = f"{layer}.filter"
        projected = apply(weights, f"{layer}.projections", x)
        y = causal_convolution(projected, weights[f"{here}.short_filter_weight"], None)
        gate, inner, value = y.unflatten(2, (-1, 3)).unbind(3)
        value = value * inner
        if f"{here}.h" not in weights:
            time = torch.arange(x.shape[1])
            modes = (weights[f"{here}.log_poles"] * time).exp()
            filters = (weights[f"{here}.residues"][..., None] * modes).sum(1)
        else:
            stored = weights[f"{here}.h"].repeat_interleave(
                x.shape[2] // len(weights[f"{here}.h"]), 0
            )
            if stored.shape[2] < 128:
                y = causal_convolution(value, stored, None)
                return apply(weights, f"{layer}.out_filter_dense", y * gate)
            filters = stored[:, 0, : x.shape[1]]
        y = fft_convolution(value, filters.T) + value * weights[f"{here}.D"]
        return apply(weights, f"{layer}.out_filter_dense", y * gate)

    @torch.inference_mode()
    def forward(ids: Tensor, mask: Tensor | None = None) -> Tensor:
        del mask
        x = weights["embedding_layer.weight"][ids]
        for i in range(config["num_layers"]):
            layer = f"blocks.{i}"
            mix = attend if i in config["attn_layer_idxs"] else convolve
            x = x + mix(layer, norm(f"{layer}.pre_norm", x))
            y = norm(f"{layer}.post_norm", x)
            gate = apply(weights, f"{layer}.mlp.l1", y)
            if i == 0 or not config["evo2_style_activations"]:
                gate = functional.gelu(gate)
            x = x + apply(weights, f"{layer}.mlp.l3", gate * apply(weights, f"{layer}.mlp.l2", y))
        return norm("norm", x)

    return forward
