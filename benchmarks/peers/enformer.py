"""Enformer and SPACE in PyTorch, on the whole padded input."""

# pyright: reportMissingImports=false

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.peers.parts import apply, to_torch


def build(  # noqa: PLR0915 (one closure a part of the model)
    config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> Callable[[Tensor, Tensor | None], Tensor]:
    """Returns `forward(base codes [B, L], mask) -> [B, N, 2 D]`; the mask is not used."""
    weights, space = to_torch(tensors), config["model_type"] == "space"
    root, width, heads = "model." if space else "", config["dim"], config["heads"]

    def batch_norm(name: str, x: Tensor) -> Tensor:
        mean, variance, scale, bias = (
            weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(x, mean, variance, scale, bias)

    def convolve(name: str, x: Tensor) -> Tensor:
        kernel = weights[f"{name}.weight"]
        return functional.conv1d(x, kernel, weights[f"{name}.bias"], padding=kernel.shape[-1] // 2)

    def block(name: str, x: Tensor) -> Tensor:
        x = batch_norm(f"{name}.0", x)
        return convolve(f"{name}.2", x * torch.sigmoid(1.702 * x))

    def pool(name: str, x: Tensor) -> Tensor:
        logits = functional.conv1d(x, weights[f"{name}.to_attn_logits.weight"][:, :, 0])
        pairs, logits = x.unflatten(-1, (-1, 2)), logits.unflatten(-1, (-1, 2))
        return (pairs * logits.softmax(-1)).sum(-1)

    def layer_norm(name: str, x: Tensor) -> Tensor:
        return functional.layer_norm(
            x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"]
        )

    def positions(length: int) -> Tensor:
        each = width // heads // 6
        distance = torch.arange(-length + 1, length, dtype=torch.float32)
        size = distance.abs()[:, None]
        half_life = 2 ** torch.linspace(3.0, math.log2(length), each)
        exponential = torch.exp(-math.log(2.0) / half_life * size)
        centre = (2 ** torch.arange(1, each + 1).float() - 1 > size).float()
        mean, spread = torch.linspace(length / each, length, each), length / (2 * each)
        concentration, rate = (mean / spread) ** 2, mean / spread**2
        density = torch.xlogy(concentration - 1, size) - rate * size
        density = torch.exp(density - torch.lgamma(concentration) + concentration * rate.log())
        density = density + 1e-8
        found = [exponential, centre, density / density.amax(-1, keepdim=True)]
        features = torch.cat(found, -1)
        return torch.cat([features, distance.sign()[:, None] * features], -1)

    def attend(name: str, x: Tensor, features: Tensor) -> Tensor:
        query, key, value = (
            apply(weights, f"{name}.to_{part}", x).unflatten(-1, (heads, -1)).transpose(1, 2)
            for part in "qkv"
        )
        query = query * config["attn_dim_key"] ** -0.5
        relative = apply(weights, f"{name}.to_rel_k", features).unflatten(-1, (heads, -1))
        logits = (query + weights[f"{name}.rel_content_bias"]) @ key.transpose(2, 3)
        by_distance = (query + weights[f"{name}.rel_pos_bias"]) @ relative.permute(1, 2, 0)
        length = x.shape[1]
        shifted = functional.pad(by_distance, (1, 0)).reshape(*logits.shape[:2], 2 * length, length)
        shifted = shifted[:, :, 1:].reshape(*logits.shape[:3], 2 * length - 1)[..., :length]
        mixed = (logits + shifted).softmax(-1) @ value
        return apply(weights, f"{name}.to_out", mixed.transpose(1, 2).flatten(2))

    def experts(name: str, x: Tensor) -> Tensor:
        flat = x.reshape(-1, width)
        gates = functional.leaky_relu(apply(weights, f"{name}.gates.human.0", flat))
        largest, index = gates.topk(config["topk"])
        share, y, out = largest.softmax(-1), layer_norm(f"{name}.layer_norm", flat), flat.clone()
        for expert in range(config["species_num_experts"]):
            rows, place = (index == expert).nonzero(as_tuple=True)
            up, up_bias, down, down_bias = (
                weights[f"{name}.{part}"][expert]
                for part in ("input.weight", "input.bias", "output.weight", "output.bias")
            )
            inner = functional.relu(y[rows] @ up + up_bias.reshape(-1))
            out[rows] += share[rows, place, None] * (inner @ down + down_bias.reshape(-1))
        return out.reshape(x.shape)

    def feed_forward(layer: str, x: Tensor) -> Tensor:
        if space:
            return experts(f"{layer}.feed_forward", x)
        y = functional.relu(apply(weights, f"{layer}.1.fn.1", layer_norm(f"{layer}.1.fn.0", x)))
        return x + apply(weights, f"{layer}.1.fn.4", y)

    @torch.inference_mode()
    def forward(ids: Tensor, mask: Tensor | None = None) -> Tensor:
        del mask
        x = functional.one_hot(ids, 5)[..., :4].float().transpose(1, 2)
        x = convolve(f"{root}stem.0", x)
        x = pool(f"{root}stem.2", x + block(f"{root}stem.1.fn", x))
        for i in range(config["num_downsamples"] - 1):
            stage = f"{root}conv_tower.{i}"
            x = block(f"{stage}.0", x)
            x = pool(f"{stage}.2", x + block(f"{stage}.1.fn", x))
        x = x.transpose(1, 2)
        bins = x.shape[1]
        if space:
            species = weights["model.transformer.species_embedding.human"].reshape(1, 1, -1)
            x = torch.cat([x, species.expand(len(x), 1, -1)], 1)
        features = positions(x.shape[1])
        for i in range(config["depth"]):
            layer = f"{root}transformer.{'transformer.' if space else ''}{i}"
            name = f"{layer}.attention.fn" if space else f"{layer}.0.fn"
            x = x + attend(f"{name}.1", layer_norm(f"{name}.0", x), features)
            x = feed_forward(layer, x)
        trim = (bins - config["target_length"]) // 2
        x = block(f"{root}final_pointwise.1", x[:, trim : bins - trim].transpose(1, 2))
        return (x * torch.sigmoid(1.702 * x)).transpose(1, 2)

    return forward
