"""NTv3 in PyTorch, each record filled with N to a whole number of the transformer's rows."""

# pyright: reportMissingImports=false

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.peers.parts import apply, to_torch

_N = 10


def build(
    config: Mapping[str, Any], tensors: Mapping[str, np.ndarray], species: str = "human"
) -> Callable[[Tensor, Tensor | None], Tensor]:
    """Returns `forward(ids [B, L], mask) -> [B, L, D]`; the mask is not used: no row is padded."""
    weights, heads = to_torch(tensors), config["attention_heads"]
    downsamples = config["num_downsamples"]
    transposed = config["deconv_upsample_type"] == "conv_transpose"
    table = weights.get("core.cond_tables.0.weight")
    condition = None if table is None else table[config["species_to_token_id"][species]]

    def norm(name: str, x: Tensor, epsilon: float = 1e-5) -> Tensor:
        scale, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        x = functional.layer_norm(x, x.shape[-1:], scale, bias, epsilon)
        if condition is None:
            return x
        shift, scale = apply(weights, f"{name}.modulation_layers.0", condition).chunk(2)
        return x * (1 + scale) + shift

    def gate(name: str, x: Tensor) -> Tensor:
        if condition is None:
            return x
        return x * (1 + apply(weights, f"{name}.modulation_layers.0", condition))

    def convolve(name: str, x: Tensor, *, turned: bool = False) -> Tensor:
        kernel = weights[f"{name}.weight"]
        kernel = kernel.transpose(0, 1) if turned else kernel
        y = functional.conv1d(
            x.transpose(1, 2), kernel, weights[f"{name}.bias"], padding=kernel.shape[-1] // 2
        )
        return functional.gelu(y.transpose(1, 2), approximate="tanh")

    def residual(name: str, x: Tensor, *, turned: bool) -> Tensor:
        block = f"{name}.conv_block"
        y = convolve(f"{block}.conv", norm(f"{block}.layer_norm", x), turned=turned)
        return x + gate(name, y)

    def double(x: Tensor) -> Tensor:
        if transposed:
            return torch.stack([torch.zeros_like(x), x], 2).flatten(1, 2)
        return x.repeat_interleave(2, 1)

    def rotate(x: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        angles = torch.arange(x.shape[2])[:, None] * 10000.0 ** (-torch.arange(half) / half)
        cos, sin = angles.cos(), angles.sin()
        a, b = x.chunk(2, -1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def layer(name: str, x: Tensor) -> Tensor:
        y = norm(f"{name}.self_attention_layer_norm", x, config["layer_norm_eps"])
        query, key, value = (
            apply(weights, f"{name}.sa_layer.{part}_head.linear", y)
            .unflatten(-1, (heads, -1))
            .transpose(1, 2)
            for part in ("query", "key", "value")
        )
        y = functional.scaled_dot_product_attention(rotate(query), rotate(key), value)
        x = x + apply(weights, f"{name}.sa_layer.mha_output", y.transpose(1, 2).flatten(2))
        y = norm(f"{name}.final_layer_norm", x, config["layer_norm_eps"])
        a, b = apply(weights, f"{name}.fc1", y).chunk(2, -1)
        return x + gate(name, apply(weights, f"{name}.fc2", functional.silu(a) * b))

    @torch.inference_mode()
    def forward(ids: Tensor, mask: Tensor | None = None) -> Tensor:
        del mask
        length, skips = ids.shape[1], []
        ids = functional.pad(ids, (0, -length % 2**downsamples), value=_N)
        x = convolve("core.stem.conv", weights["core.embed_layer.weight"][ids])
        for i in range(downsamples):
            block = f"core.conv_tower_blocks.{i}"
            skips.append(x)
            x = convolve(f"{block}.conv.conv", norm(f"{block}.conv.layer_norm", x))
            x = residual(f"{block}.res_conv", x, turned=False)
            x = x.unflatten(1, (-1, 2)).mean(2)
        for i in range(config["num_layers"]):
            x = layer(f"core.transformer_blocks.{i}", x)
        for i in range(downsamples):
            block = f"core.deconv_tower_blocks.{i}"
            x = double(norm(f"{block}.conv.layer_norm", x))
            x = convolve(f"{block}.conv.conv", x, turned=transposed)
            x = residual(f"{block}.res_conv", x, turned=True)
            x = x + skips.pop() if config["use_skip_connection"] else x
        return x[:, :length]

    return forward
