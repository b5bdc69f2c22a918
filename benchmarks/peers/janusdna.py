"""JanusDNA in PyTorch, the scan step by step, each expert on its own tokens."""

# pyright: reportMissingImports=false

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.peers.parts import apply, rms_norm, selective_mixer, to_torch


def build(
    config: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> Callable[[Tensor, Tensor | None], Tensor]:
    """Returns `forward(ids [B, L], mask [B, L]) -> [B, L, D]`."""
    weights, config = to_torch(tensors), {**config["config"], **config}
    heads, chosen = config["num_attention_heads"], config["num_experts_per_tok"]

    def norm(name: str, x: Tensor) -> Tensor:
        return rms_norm(x, weights[f"{name}.weight"], config["rms_norm_eps"])

    def dense(name: str, x: Tensor) -> Tensor:
        y = functional.silu(apply(weights, f"{name}.gate_proj", x)) * apply(
            weights, f"{name}.up_proj", x
        )
        return apply(weights, f"{name}.down_proj", y)

    def feed_forward(name: str, x: Tensor) -> Tensor:
        if f"{name}.router.weight" not in weights:
            return dense(name, x)
        flat = x.reshape(-1, x.shape[-1])
        likely, index = apply(weights, f"{name}.router", flat).softmax(-1).topk(chosen)
        out = torch.zeros_like(flat)
        for expert in range(config["num_experts"]):
            rows, place = (index == expert).nonzero(as_tuple=True)
            out[rows] += likely[rows, place, None] * dense(f"{name}.experts.{expert}", flat[rows])
        return out.reshape(x.shape)

    def attend(name: str, x: Tensor, allowed: Tensor, output: str, width: int) -> Tensor:
        query, key, value = (
            apply(weights, f"{name}.{part}_proj", x).unflatten(-1, (heads, -1)).transpose(1, 2)
            for part in "qkv"
        )
        mixed = functional.scaled_dot_product_attention(
            query, key, value, allowed, scale=width**-0.5
        )
        return apply(weights, f"{name}.{output}", mixed.transpose(1, 2).flatten(2))

    def layer(i: int, x: Tensor, mask: Tensor, suffix: str) -> Tensor:
        attention = i % config["attn_layer_period"] == config["attn_layer_offset"]
        root = f"model.model.layers.{i}." + ("attn" if attention else "mamba_module")
        y = norm(f"{root}.input_layernorm_{suffix}", x)
        if attention:
            causal = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril()
            # A row that sees nothing sees itself: it is zeroed below.
            allowed = causal & mask[:, None] | torch.eye(x.shape[1], dtype=torch.bool)
            name, width = f"{root}.self_attn_{suffix}", x.shape[-1] // heads
            x = x + attend(name, y, allowed[:, None], "o_proj", width) * mask[..., None]
        else:
            mixer = f"{root}.mamba_{'fwd' if suffix == 'fwd' else 'rev'}"
            u, gate = apply(weights, f"{root}.mamba_fwd.in_proj", y).chunk(2, -1)
            y = selective_mixer(weights, mixer, u, config["rms_norm_eps"]) * functional.silu(gate)
            x = x + apply(weights, f"{root}.mamba_fwd.out_proj", y)
        y = norm(f"{root}.pre_ff_layernorm_{suffix}", x)
        return x + feed_forward(f"{root}.feed_forward_{suffix}", y)

    @torch.inference_mode()
    def forward(ids: Tensor, mask: Tensor | None = None) -> Tensor:
        seen = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.bool()
        own = weights["model.model.embed_tokens.weight"][ids]
        other = own.flip(1)
        for i in range(config["num_hidden_layers"]):
            own, other = layer(i, own, seen, "fwd"), layer(i, other, seen, "bwd")
        x, root = torch.cat([own, other.flip(1)], 1), "model.model.final_attention"
        i = torch.arange(ids.shape[1])
        before, after = i[None] <= i[:, None], i[None] >= i[:, None]
        upper = torch.cat([before, i[None] >= i[:, None] + 2], 1)
        lower = torch.cat([i[None] <= i[:, None] - 2, after], 1)
        width = config["flex_attn_n_embd"] // heads
        y = norm(f"{root}.input_layernorm", x)
        x = x + attend(f"{root}.self_attn", y, torch.cat([upper, lower]), "o_projs.0", width)
        x = x + dense(f"{root}.feed_forward", norm(f"{root}.pre_ff_layernorm", x))
        own, other = x.chunk(2, 1)
        fused = functional.pad(own[:, :-1], (0, 0, 1, 0)) + functional.pad(
            other[:, 1:], (0, 0, 0, 1)
        )
        return 2 * norm("model.model.final_layernorm", fused)

    return forward
