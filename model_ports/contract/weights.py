"""The table from the tensors of a checkpoint to the parameters of a family's module."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

# From a tensor to the parameter's value: mostly T, reshape, swapaxes, indexing.
Layout = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Weight:
    """A rule that says which parameter a tensor of the checkpoint fills.

    Attributes:
        source: Tensor name; each `{}` stands for a number (of a layer, an expert) and the tensors
            found are stacked over it, in rising order, on new leading axes.
        path: Dotted path of the parameter in the module.
        layout: Change of one tensor before stacking, such as `transpose`; None: as it is stored.
        only: Numbers of the first `{}` that this rule is for; None: all.
    """

    source: str
    path: str
    layout: Layout | None = None
    only: frozenset[int] | None = None


@dataclass(frozen=True)
class Ignored:
    """A rule for tensors of the checkpoint that the embedding does not need.

    Attributes:
        pattern: Regular expression that matches whole tensor names.
        reason: Why they are not read.
        same: Where these are second names of tensors: the first names, with the pattern's groups
            as `re.Match.expand` takes them. The two tensors must be equal; where a file has one
            alone, it serves as both.
    """

    pattern: str
    reason: str
    same: str | None = None


def transpose(tensor: np.ndarray) -> np.ndarray:
    """Turns PyTorch's linear weight [out, in] into Flax's kernel [in, out]; so of convolutions."""
    return tensor.T


def padded_rows(least: int, rows: int) -> Layout:
    """Returns the layout of an embedding table that files hold with or without padding rows.

    Rows that a file lacks are zero: no token has their ids.

    Args:
        least: Number of ids, the rows that a file has at least.
        rows: Rows of the parameter.
    """

    def layout(table: np.ndarray) -> np.ndarray:
        if not least <= len(table) <= rows:
            raise ValueError(f"{len(table)} rows, but {least} to {rows} are expected")
        return np.pad(table, ((0, rows - len(table)), (0, 0)))

    return layout


def linear_weights(
    paths: Mapping[str, str], *, bias: bool = True, transposed: bool = True
) -> tuple[Weight, ...]:
    """Returns the rules of linear layers.

    Args:
        paths: Module path by checkpoint name, both without suffix (`.weight`, `.kernel`).
        bias: Whether the layers have biases.
        transposed: Whether kernels are stored [out, in], as PyTorch's linear layers have them.
    """
    layout = transpose if transposed else None
    kernels = [Weight(f"{a}.weight", f"{b}.kernel", layout) for a, b in paths.items()]
    biases = [Weight(f"{a}.bias", f"{b}.bias") for a, b in paths.items() if bias]
    return (*kernels, *biases)


def convolution_weights(
    paths: Mapping[str, str], *, transposed: bool = False
) -> tuple[Weight, ...]:
    """Returns the rules of convolutions with biases, to Flax's kernels [width, in, out].

    Args:
        paths: Module path by checkpoint name, both without suffix (`.weight`, `.kernel`).
        transposed: Whether kernels are stored [in, out, width], as PyTorch's transposed
            convolutions have them, instead of [out, in, width]. They are not turned around.
    """
    layout = _move_width_first if transposed else transpose
    kernels = [Weight(f"{a}.weight", f"{b}.kernel", layout) for a, b in paths.items()]
    return (*kernels, *(Weight(f"{a}.bias", f"{b}.bias") for a, b in paths.items()))


def _move_width_first(tensor: np.ndarray) -> np.ndarray:
    return np.moveaxis(tensor, -1, 0)


def batch_norm_weights(paths: Mapping[str, str]) -> tuple[Weight, ...]:
    """Returns the rules of PyTorch's BatchNorm.

    Args:
        paths: Module path by checkpoint name, both without suffix (`.running_mean`, `.mean`).
    """
    names = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "variance"}
    return tuple(
        Weight(f"{source}.{a}", f"{path}.{b}")
        for source, path in paths.items()
        for a, b in names.items()
    )


def norm_weights(paths: Mapping[str, str], *, bias: bool = True) -> tuple[Weight, ...]:
    """Returns the rules of PyTorch's LayerNorm, or of RMSNorm, which has no bias.

    Args:
        paths: Module path by checkpoint name, both without suffix (`.weight`, `.scale`).
        bias: Whether the norms have biases.
    """
    scales = [Weight(f"{a}.weight", f"{b}.scale") for a, b in paths.items()]
    biases = [Weight(f"{a}.bias", f"{b}.bias") for a, b in paths.items() if bias]
    return (*scales, *biases)
