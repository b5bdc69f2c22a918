"""Parts that several peers share."""

# pyright: reportMissingImports=false

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

Weights = Mapping[str, Tensor]


def use_gpu() -> None:
    """Makes PyTorch's GPU, where it has one, the device of what is created from now on."""
    if torch.cuda.is_available():
        torch.set_default_device("cuda")


def to_torch(tensors: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """The checkpoint's tensors on the default device, the floating ones in float32."""
    device = torch.get_default_device()
    found = {name: torch.from_numpy(np.array(a)).to(device) for name, a in tensors.items()}
    return {name: t.float() if t.is_floating_point() else t for name, t in found.items()}


def fill(model: nn.Module, tensors: Mapping[str, np.ndarray], prefix: str) -> None:
    """Gives a model the checkpoint's tensors under `prefix`; its buffers stay its own.

    Raises:
        KeyError: A parameter has no tensor.
        RuntimeError: One has another shape.
    """
    names = dict(model.named_parameters())
    found = to_torch({name: tensors[f"{prefix}{name}"] for name in names})
    model.load_state_dict(found, strict=False, assign=True)
    model.eval()


def apply(weights: Weights, name: str, x: Tensor) -> Tensor:
    """The linear layer of that name, with its bias where it has one."""
    return functional.linear(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"))


def layer_norm(weights: Weights, name: str, x: Tensor) -> Tensor:
    """The layer norm of that name, with its bias where it has one."""
    scale, shift = weights[f"{name}.weight"], weights.get(f"{name}.bias")
    return functional.layer_norm(x, x.shape[-1:], scale, shift)


def rms_norm(x: Tensor, scale: Tensor, epsilon: float) -> Tensor:
    """x / rms(x), scaled."""
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + epsilon) * scale


def causal_convolution(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """Depthwise, [B, L, D]; kernel [D, 1, W]."""
    width = kernel.shape[-1]
    y = functional.conv1d(x.transpose(1, 2), kernel, bias, padding=width - 1, groups=len(kernel))
    return y[..., : x.shape[1]].transpose(1, 2)


def fft_convolution(x: Tensor, filters: Tensor) -> Tensor:
    """Causal long convolution, [B, L, D] and filters [L, D]."""
    length = x.shape[1]
    spectrum = torch.fft.rfft(x.transpose(1, 2), 2 * length)
    spectrum = spectrum * torch.fft.rfft(filters.T.contiguous(), 2 * length)
    return torch.fft.irfft(spectrum, 2 * length)[..., :length].transpose(1, 2)


def turn(x: Tensor, mask: Tensor | None) -> Tensor:
    """Records turned around, the padding behind them where it is; [B, L, ...]."""
    if mask is None:
        return x.flip(1)
    out = x.clone()
    for row, size in enumerate(mask.sum(1).tolist()):
        out[row, :size] = x[row, :size].flip(0)
    return out


def selective_mixer(
    weights: Weights, name: str, x: Tensor, norm_epsilon: float | None = None
) -> Tensor:
    """Mamba between its projections, the scan step by step; [B, L, inner]."""
    x = causal_convolution(x, weights[f"{name}.conv1d.weight"], weights[f"{name}.conv1d.bias"])
    x = functional.silu(x)
    a = -torch.exp(weights[f"{name}.A_log"])
    states = a.shape[1]
    parts = apply(weights, f"{name}.x_proj", x)
    low, b, c = parts.split([parts.shape[-1] - 2 * states, states, states], dim=-1)
    if norm_epsilon is not None:
        low, b, c = (
            rms_norm(part, weights[f"{name}.{kind}_layernorm.weight"], norm_epsilon)
            for part, kind in ((low, "dt"), (b, "b"), (c, "c"))
        )
    dt = functional.softplus(apply(weights, f"{name}.dt_proj", low))
    h, y = x.new_zeros(len(x), *a.shape), []
    gain = dt * x
    for t in range(x.shape[1]):
        h = torch.exp(dt[:, t, :, None] * a) * h + gain[:, t, :, None] * b[:, t, None]
        y.append((h @ c[:, t, :, None])[..., 0])
    return torch.stack(y, 1) + weights[f"{name}.D"] * x


def duality_mixer(weights: Weights, name: str, projected: Tensor, states: int) -> Tensor:
    """Mamba-2 between its projections, the scan step by step; [B, L, inner]."""
    heads, scale = len(weights[f"{name}.D"]), weights[f"{name}.norm.weight"]
    inner = len(scale)
    gate, mixed, step = projected.split([inner, inner + 2 * states, heads], -1)
    kernel, bias = weights[f"{name}.conv1d.weight"], weights[f"{name}.conv1d.bias"]
    mixed = functional.silu(causal_convolution(mixed, kernel, bias))
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
    return rms_norm(y.flatten(2) * functional.silu(gate), scale, 1e-5)
