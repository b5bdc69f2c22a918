"""eccDNAMamba in PyTorch, the scan step by step."""

# pyright: reportMissingImports=false

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.peers.parts import apply, duality_mixer, rms_norm, to_torch, turn


def build(
    config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> Callable[[Tensor, Tensor | None], Tensor]:
    """Returns `forward(ids [B, L], mask) -> [B, L, D]`; padding has no effect on records."""
    weights = to_torch(tensors)
    states = ({"d_state": 128} | config["ssm_cfg"])["d_state"]

    def norm(name: str, x: Tensor) -> Tensor:
        return rms_norm(x, weights[f"{name}.weight"], 1e-5)

    def run(root: str, x: Tensor, mask: Tensor) -> Tensor:
        for i in range(config["n_layer"]):
            layer = f"{root}.layers.{i}"
            mixer = f"{layer}.mixer"
            y = apply(weights, f"{mixer}.in_proj", norm(f"{layer}.norm", x))
            x = x + apply(weights, f"{mixer}.out_proj", duality_mixer(weights, mixer, y, states))
            value, gate = apply(weights, f"{layer}.mlp.fc1", norm(f"{layer}.norm2", x)).chunk(2, -1)
            x = (x + apply(weights, f"{layer}.mlp.fc2", value * functional.silu(gate))) * mask[
                ..., None
            ]
        return norm(f"{root}.norm_f", x)

    @torch.inference_mode()
    def forward(ids: Tensor, mask: Tensor | None = None) -> Tensor:
        seen = ids != config["pad_token_id"] if mask is None else mask
        x = weights["token_embedding.weight"][ids]
        own = run("mamba_forward.backbone", x, seen)
        other = run("mamba_backward.backbone", turn(x, mask), turn(seen, mask))
        return apply(weights, "lm_head_proj", torch.cat([own, turn(other, mask)], -1))

    return forward
