"""StripedHyena in PyTorch."""

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
        config["rotary_emb_scaling_factor"] if config["use_interpolated_rotary_pos_emb"] else 1
    )

    def norm(name: str, x: Tensor) -> Tensor:
        return x / ((x * x).mean(-1, keepdim=True).sqrt() + epsilon) * weights[f"{name}.scale"]

    def rotate(x: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        frequency = config["rotary_emb_base"] ** -(torch.arange(half) / half) / scaling
        angle = (torch.arange(x.shape[1])[:, None] * frequency)[:, None]
        a, b = x.chunk(2, -1)
        return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)

    def attend(layer: str, x: Tensor) -> Tensor:
        y = apply(weights, f"{layer}.inner_mha_cls.Wqkv", x)
        query, key, value = y.view(*y.shape[:2], 3, heads, -1).unbind(2)
        query, key, value = (part.transpose(1, 2) for part in (rotate(query), rotate(key), value))
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return apply(weights, f"{layer}.inner_mha_cls.out_proj", mixed.transpose(1, 2).flatten(2))

    def convolve(layer: str, x: Tensor) -> Tensor:
        here = f"{layer}.filter"
        y = causal_convolution(
            apply(weights, f"{layer}.projections", x),
            weights[f"{here}.short_filter_weight"],
            weights[f"{here}.short_filter_bias"],
        )
        y = y.reshape(*y.shape[:2], heads, 3, -1)
        gate, inner, value = (y[:, :, :, i].flatten(2) for i in range(3))
        value = value * inner
        poles, residues = (
            torch.view_as_complex(weights[f"{here}.{part}"][:, :, 0].contiguous())
            for part in ("poles", "residues")
        )
        time = torch.arange(x.shape[1])
        filters = (residues[..., None] * (poles.log()[..., None] * time).exp()).real.sum(1)
        y = fft_convolution(value, filters.T) + value * weights[f"{here}.D"]
        return apply(weights, f"{layer}.out_filter_dense", y * gate)

    @torch.inference_mode()
    def forward(ids: Tensor, mask: Tensor | None = None) -> Tensor:
        del mask
        x = weights["backbone.embedding_layer.weight"][ids]
        for i in range(len(config["hyena_layer_idxs"]) + len(config["attn_layer_idxs"])):
            layer = f"backbone.blocks.{i}"
            mix = attend if i in config["attn_layer_idxs"] else convolve
            x = x + mix(layer, norm(f"{layer}.pre_norm", x))
            y = norm(f"{layer}.post_norm", x)
            y = functional.gelu(apply(weights, f"{layer}.mlp.l1", y)) * apply(
                weights, f"{layer}.mlp.l2", y
            )
            x = x + apply(weights, f"{layer}.mlp.l3", y)
        return norm("backbone.norm", x)

    return forward
