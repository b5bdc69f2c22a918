"""Mamba-2's mixer in config.json and in checkpoints, as the package mamba_ssm names its parts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model_ports.contract.fields import COUNTS, Fields
from model_ports.contract.weights import Weight, norm_weights

_WIDEST = 2**6  # of a mixer, in widths of the model

_FIXED: Mapping[str, Any] = {
    "ngroups": 1,
    "d_ssm": None,
    "D_has_hdim": False,
    "rmsnorm": True,
    "norm_before_gate": False,
    "dt_limit": [0.0, math.inf],
    "bias": False,
    "conv_bias": True,
    "activation": ("silu", "swish"),
}

# How weights were initialised, and how the scan is cut and which kernel runs it.
_UNUSED = (
    "A_init_range", "chunk_size", "conv_init", "dt_init_floor", "dt_max", "dt_min",
    "use_mem_eff_path",
)  # fmt: skip


@dataclass(frozen=True)
class Mamba2Sizes:
    """The sizes of a mixer.

    Attributes:
        inner: Width between the projections, that of all heads.
        states: States of each channel.
        head_width: Channels that share a decay.
        convolution: Length of the short convolution.
    """

    inner: int
    states: int
    head_width: int
    convolution: int

    @property
    def heads(self) -> int:
        """The number of heads."""
        return self.inner // self.head_width

    @property
    def projected(self) -> int:
        """The width of the input projection: gates, channels, two weights a state, and steps."""
        return 2 * self.inner + 2 * self.states + self.heads


def mamba2_fixed(group: str) -> Mapping[str, Any]:
    """Returns the options that are computed with one value, as a family's `FIXED` has them.

    Args:
        group: The dotted name of the object that holds the options.
    """
    return {f"{group}.{name}": value for name, value in _FIXED.items()}


def mamba2_unused(group: str) -> tuple[str, ...]:
    """Returns the options that change no embedding, as a family's `UNUSED` has them.

    Args:
        group: The dotted name of the object that holds the options.
    """
    return tuple(f"{group}.{name}" for name in _UNUSED)


def mamba2_sizes(fields: Fields, group: str, width: int) -> Mamba2Sizes:
    """Returns the sizes that options state; absent are the defaults of mamba_ssm's Mamba2.

    Args:
        fields: The fields of config.json.
        group: The dotted name of the object that holds the options.
        width: The width of the model.

    Raises:
        FieldError: A size is out of its range, or heads do not divide the inner width.
    """
    inner = fields.count(f"{group}.expand", most=_WIDEST, absent=2) * width
    return Mamba2Sizes(
        inner=inner,
        states=fields.count(f"{group}.d_state", most=COUNTS, absent=128),
        head_width=fields.divisor(f"{group}.headdim", of="the inner width", whole=inner, absent=64),
        convolution=fields.count(f"{group}.d_conv", most=COUNTS, absent=4),
    )


def mamba2_weights(source: str, path: str) -> tuple[Weight, ...]:
    """Returns the rules of what stands between the projections, `layers.mamba.DualityMixer`.

    Args:
        source: The name of the mixer in the checkpoint.
        path: The path of the mixer in the module.
    """
    return (
        Weight(f"{source}.conv1d.weight", f"{path}.kernel", lambda w: w[:, 0]),
        Weight(f"{source}.conv1d.bias", f"{path}.bias"),
        Weight(f"{source}.dt_bias", f"{path}.step_bias"),
        Weight(f"{source}.A_log", f"{path}.log_decay"),
        Weight(f"{source}.D", f"{path}.skip"),
        *norm_weights({f"{source}.norm": f"{path}.norm"}, bias=False),
    )
