"""GPN in PyTorch, each record by itself, as its authors' code has no mask."""

# pyright: reportMissingImports=false

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.peers.parts import Weights, apply, layer_norm, to_torch


def _convolve(weights: Weights, name: str, x: Tensor, dilation: int) -> Tensor:
    kernel, shift = weights[f"{name}.weight"], weights.get(f"{name}.bias")
    groups = x.shape[-1] // kernel.shape[1]
    y = functional.conv1d(
        x.transpose(1, 2), kernel, shift, padding="same", dilation=dilation, groups=groups
    )
    return y.transpose(1, 2)


def _wide(weights: Weights, name: str, x: Tensor, dilation: int) -> Tensor:
    y = functional.gelu(_convolve(weights, f"{name}.conv.1", x, dilation))
    x = x + layer_norm(weights, f"{name}.conv.4", y)
    return x + layer_norm(
        weights, f"{name}.ffn.2", functional.gelu(apply(weights, f"{name}.ffn.0", x))
    )


def _narrow(weights: Weights, name: str, x: Tensor, dilation: int) -> Tensor:
    def ready(number: int, x: Tensor) -> Tensor:
        return functional.gelu(layer_norm(weights, f"{name}.{number}", x))

    y = ready(3, apply(weights, f"{name}.2", ready(0, x)))
    y = ready(8, _convolve(weights, f"{name}.6", y, dilation))
    return x + apply(weights, f"{name}.10", y)


def build(
    config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> Callable[[Tensor, Tensor | None], Tensor]:
    """Returns `forward(ids [B, L], mask) -> [B, L, D]`; rows behind a record's end are zero."""
    weights = to_torch(tensors)
    later = config["model_type"] == "GPN"
    block, layer = (_narrow, "layer.{}.layer") if later else (_wide, "{}")
    count = config["num_hidden_layers" if later else "n_layers"]
    cycle, repeats = config["dilation_cycle"], config["dilation_double_every"]
    powers = [config.get("dilation_base", 2) ** (i % cycle // repeats) for i in range(count)]
    dilations = [min(config["dilation_max"], power) for power in powers]

    def of_record(ids: Tensor) -> Tensor:
        if config.get("embedding") == "embedding":
            x = weights["model.embeddings.word_embeddings.weight"][ids]
        else:
            x = functional.one_hot(ids, config["hidden_size"]).float()
        for i, dilation in enumerate(dilations):
            x = block(weights, f"model.encoder.{layer.format(i)}", x, dilation)
        return layer_norm(weights, "model.ln_f", x) if later else x

    @torch.inference_mode()
    def forward(ids: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None or bool(mask.all()):
            return of_record(ids)
        out = torch.zeros(*ids.shape, config["hidden_size"], device=ids.device)
        for row, size in enumerate(mask.sum(1).tolist()):
            out[row, :size] = of_record(ids[row : row + 1, :size])[0]
        return out

    return forward
