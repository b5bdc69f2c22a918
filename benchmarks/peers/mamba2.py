"""eccDNAMamba in PyTorch, the scan step by step."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.peers.parts import apply, causal_convolution, rms_norm, to_torch, turn


def build(
    config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> Callable[[Tensor, Tensor | None], Tensor]:
    """Returns `forward(ids [B, L], mask) -> [B, L, D]`; padding has no effect on records."""
    weights = to_torch(tensors)
    states = ({"d_state": 128} | config["ssm_cfg"])["d_state"]

    def norm(name: str, x: Tensor) -> Tensor:
        return rms_norm(x, weights[f"{name}.weight"], 1e-5)

    def mix(name: str, u: Tensor) -> Tensor:
        heads = len(weights[f"{name}.D"])
        inner = weights[f"{name}.norm.weight"].shape[0]
        gate, mixed, step = apply(weights, f"{name}.in_proj", u).split(
            [inner, inner + 2 * states, heads], -1
        )
        mixed = functional.silu(
            causal_convolution(
                mixed, weights[f"{name}.conv1d.weight"], weights[f"{name}.conv1d.bias"]
            )
        )
        x, b, c = mixed.split([inner, states, states], -1)
        x = x.reshape(*x.shape[:2], heads, -1)
        dt = functional.softplus(step + weights[f"{name}.dt_bias"])
        decay = torch.exp(dt * -torch.exp(weights[f"{name}.A_log"]))
        gain = dt[..., None] * x
        h, y = x.new_zeros(*x[:, 0].shape, states), []
        for t in range(x.shape[1]):
            h = decay[:, t, :, None, None] * h + gain[:, t, ..., None] * b[:, t, None, None]
            y.append((h @ c[:, t, None, :, None])[..., 0])
        y = torch.stack(y, 1) + weights[f"{name}.D"][:, None] * x
        return apply(
            weights, f"{name}.out_proj", norm(f"{name}.norm", y.flatten(2) * functional.silu(gate))
        )

    def run(root: str, x: Tensor, mask: Tensor) -> Tensor:
        for i in range(config["n_layer"]):
            layer = f"{root}.layers.{i}"
            x = x + mix(f"{layer}.mixer", norm(f"{layer}.norm", x))
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
