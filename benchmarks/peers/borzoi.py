"""Borzoi and Flashzoi in PyTorch, on the whole padded input."""

# pyright: reportMissingImports=false

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.peers.parts import apply, to_torch

_EPSILON = 1e-3


def build(  # noqa: PLR0915 (one closure a part of the model)
    config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> Callable[[Tensor, Tensor | None], Tensor]:
    """Returns `forward(base codes [B, L], mask) -> [B, bins, C]`; the mask is not used."""
    weights, heads, flashed = to_torch(tensors), config["heads"], config.get("flashed", False)
    turned = config.get("fixture_only_widths", {}).get("rotary_dim", 128)

    def gelu(x: Tensor) -> Tensor:
        return functional.gelu(x, approximate="tanh")

    def convolve(name: str, x: Tensor, groups: int = 1) -> Tensor:
        kernel = weights[f"{name}.weight"]
        bias, padding = weights.get(f"{name}.bias"), kernel.shape[-1] // 2
        return functional.conv1d(x, kernel, bias, padding=padding, groups=groups)

    def block(name: str, x: Tensor) -> Tensor:
        mean, variance, scale, bias = (
            weights[f"{name}.norm.{part}"]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        x = functional.batch_norm(x, mean, variance, scale, bias, eps=_EPSILON)
        return convolve(f"{name}.conv_layer", gelu(x))

    def pool(x: Tensor) -> Tensor:
        return functional.max_pool1d(x, 2)

    def layer_norm(name: str, x: Tensor) -> Tensor:
        scale, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return functional.layer_norm(x, x.shape[-1:], scale, bias, _EPSILON)

    def positions(length: int) -> Tensor:
        distance = torch.arange(-length + 1, length, dtype=torch.float64)[:, None]
        reach = 4097.0 ** (torch.arange(1, 17, dtype=torch.float64) / 16) - 1
        centre = (reach > distance.abs()).double()
        return torch.cat([centre, distance.sign() * centre], -1).float()

    def relative_attention(name: str, x: Tensor) -> Tensor:
        query, key, value = (
            apply(weights, f"{name}.to_{part}", x).unflatten(-1, (heads, -1)).transpose(1, 2)
            for part in "qkv"
        )
        query = query * config["attn_dim_key"] ** -0.5
        length = x.shape[1]
        relative = apply(weights, f"{name}.to_rel_k", positions(length)).unflatten(-1, (heads, -1))
        logits = (query + weights[f"{name}.rel_content_bias"]) @ key.transpose(2, 3)
        by_distance = (query + weights[f"{name}.rel_pos_bias"]) @ relative.permute(1, 2, 0)
        shifted = functional.pad(by_distance, (1, 0)).reshape(*logits.shape[:2], 2 * length, length)
        logits += shifted[:, :, 1:].reshape(*logits.shape[:3], 2 * length - 1)[..., :length]
        mixed = logits.softmax(-1) @ value
        return apply(weights, f"{name}.to_out", mixed.transpose(1, 2).flatten(2))

    def rotate(x: Tensor) -> Tensor:
        half = turned // 2
        angles = torch.arange(x.shape[2])[:, None] * 20000.0 ** (-torch.arange(half) / half)
        cos, sin = angles.cos(), angles.sin()
        a, b, rest = x.split([half, half, x.shape[-1] - turned], -1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin, rest], -1)

    def flash_attention(name: str, x: Tensor) -> Tensor:
        qkv = apply(weights, f"{name}.mha.Wqkv", x).unflatten(-1, (2 * heads, -1)).transpose(1, 2)
        query, key, value = qkv.split([heads, heads // 2, heads // 2], 1)
        query, key = rotate(query), rotate(key)
        key, value = (part.repeat_interleave(2, 1) for part in (key, value))
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return apply(weights, f"{name}.mha.out_proj", mixed.transpose(1, 2).flatten(2))

    attend = flash_attention if flashed else relative_attention

    def layer(name: str, x: Tensor) -> Tensor:
        x = x + attend(f"{name}.0.fn.1", layer_norm(f"{name}.0.fn.0", x))
        y = functional.relu(apply(weights, f"{name}.1.fn.1", layer_norm(f"{name}.1.fn.0", x)))
        return x + apply(weights, f"{name}.1.fn.4", y)

    def join(number: int, x: Tensor, beside: Tensor) -> Tensor:
        x = block(f"upsampling_unet{number}.0", x).repeat_interleave(2, 2)
        x = x + block(f"horizontal_conv{number}", beside)
        name = f"separable{number}.conv_layer"
        return convolve(f"{name}.1", convolve(f"{name}.0", x, groups=x.shape[1]))

    @torch.inference_mode()
    def forward(ids: Tensor, mask: Tensor | None = None) -> Tensor:
        del mask
        x = functional.one_hot(ids, 5)[..., :4].float().transpose(1, 2)
        x = convolve("conv_dna.conv_layer", x)
        for i in range(5):
            x = block(f"res_tower.{2 * i}", pool(x))
        tower, deeper = x, block("unet1.1", pool(x))
        x = pool(deeper).transpose(1, 2)
        for i in range(config["depth"]):
            x = layer(f"transformer.{i}", x)
        x = join(0, join(1, x.transpose(1, 2), deeper), tower)
        trim = -((config.get("bins_to_return", 6144) - x.shape[2]) // 2)
        x = x[:, :, trim : x.shape[2] - trim]
        return gelu(block("final_joined_convs.0", x)).transpose(1, 2)

    return forward
