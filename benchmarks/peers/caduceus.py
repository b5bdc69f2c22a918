"""Caduceus, PlantCaduceus and PlantCAD2 in PyTorch, the scan step by step."""

# pyright: reportMissingImports=false

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.peers.parts import (
    apply,
    duality_mixer,
    rms_norm,
    selective_mixer,
    to_torch,
    turn,
)


def build(
    config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> Callable[[Tensor, Tensor | None], Tensor]:
    """Returns `forward(ids [B, L], mask) -> [B, L, D]`; padding has no effect on records."""
    weights, norms = to_torch(tensors), config.get("norm_cfg", config)
    epsilon, exchanged = norms["norm_epsilon"], norms["fused_add_norm"]
    mamba = config.get("layer_cfg", {}).get("mamba_cfg")
    root, strands = "caduceus.backbone", config["rcps"]
    words = f"{root}.embeddings.word_embeddings"
    table = weights[f"{words}.embedding.weight" if strands else f"{words}.weight"]

    def block(layer: str, x: Tensor, mask: Tensor | None) -> Tensor:
        mixer = f"{layer}.mixer" + (".submodule" if strands else "")
        y = rms_norm(x, weights[f"{layer}.norm.weight"], epsilon)
        u = apply(weights, f"{mixer}.mamba_fwd.in_proj", y)
        gate = None
        if not mamba:  # Mamba-2 has its gate, in front, in the mixer
            u, gate = u.chunk(2, -1)
        y = mix(f"{mixer}.mamba_fwd", u) + turn(mix(f"{mixer}.mamba_rev", turn(u, mask)), mask)
        y = y if gate is None else y * functional.silu(gate)
        return x + apply(weights, f"{mixer}.mamba_fwd.out_proj", y)

    def mix(name: str, u: Tensor) -> Tensor:
        if mamba:
            return duality_mixer(weights, name, u, mamba["ssm_cfg"]["d_state"])
        return selective_mixer(weights, name, u)

    def complement(x: Tensor, mask: Tensor | None) -> Tensor:
        return turn(x, mask).flip(-1)

    @torch.inference_mode()
    def forward(ids: Tensor, mask: Tensor | None = None) -> Tensor:
        scale = weights[f"{root}.norm_f.weight"]
        if not strands:
            x = table[ids]
            for i in range(config["n_layer"]):
                x = block(f"{root}.layers.{i}", x, mask)
            return rms_norm(x, scale, epsilon)
        other_ids = turn(weights[f"{words}.complement_map"][ids], mask)
        x = table[torch.cat([ids, other_ids])]
        both = None if mask is None else torch.cat([mask, mask])
        for i in range(config["n_layer"]):
            if exchanged:
                own, other = x.chunk(2)
                x = complement(torch.cat([other, own]), both)
            x = block(f"{root}.layers.{i}", x, both)
        own, other = rms_norm(x, scale, epsilon).chunk(2)
        return torch.cat([own, complement(other, mask)], -1)

    return forward
