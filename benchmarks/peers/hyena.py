"""HyenaDNA in PyTorch."""

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
    weights, layers = to_torch(tensors), config["n_layer"]
    root = "hyena.backbone"

    def norm(name: str, x: Tensor, epsilon: float) -> Tensor:
        return functional.layer_norm(
            x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], epsilon
        )

    def filters(name: str, length: int) -> Tensor:
        x, time = (weights[f"{name}.pos_emb.{part}"][0, :length] for part in ("z", "t"))
        for i in (0, 2, 4):
            frequency = weights[f"{name}.implicit_filter.1.freq"]
            x = torch.sin(frequency * apply(weights, f"{name}.implicit_filter.{i}", x))
        decay = weights[f"{name}.modulation.deltas"][0].abs()
        return apply(weights, f"{name}.implicit_filter.6", x) * (torch.exp(-time * decay) + 0.05)

    @torch.inference_mode()
    def forward(ids: Tensor, mask: Tensor | None = None) -> Tensor:
        del mask
        x = weights[f"{root}.embeddings.word_embeddings.weight"][ids]
        for i in range(layers):
            layer = f"{root}.layers.{i}"
            short, long = f"{layer}.mixer.short_filter", f"{layer}.mixer.filter_fn"
            y = apply(weights, f"{layer}.mixer.in_proj", norm(f"{layer}.norm1", x, 1e-5))
            y = causal_convolution(y, weights[f"{short}.weight"], weights[f"{short}.bias"])
            gate, inner, value = y.chunk(3, -1)
            value = value * inner
            y = fft_convolution(value, filters(long, x.shape[1])) + value * weights[f"{long}.bias"]
            x = x + apply(weights, f"{layer}.mixer.out_proj", y * gate)
            y = apply(weights, f"{layer}.mlp.fc1", norm(f"{layer}.norm2", x, 1e-5))
            x = x + apply(weights, f"{layer}.mlp.fc2", functional.gelu(y, approximate="tanh"))
        return norm(f"{root}.ln_f", x, config["layer_norm_epsilon"])

    return forward
