"""How many floating-point operations a program's matrix products and convolutions are."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn


def matrix_flop(program: Jaxpr, dtype: str | None = None) -> float:
    """Returns the operations of all matrix products and convolutions of a program.

    With `dtype`, of those in which a factor has this dtype.

    A multiplication and an addition are two; loops count as often as they turn (a `while`, whose
    turns are not known, once), of a branch the larger side counts. Products over devices are those
    of all devices together. Element-wise work, reductions and Fourier transforms are left out.
    """
    total = 0.0
    for equation in program.eqns:
        name, params = equation.primitive.name, equation.params
        if name in _COUNTS:
            if dtype is None or dtype in map(_dtype, equation.invars[:2]):
                total += _COUNTS[name](equation)
        elif name == "cond":
            total += max(matrix_flop(branch.jaxpr, dtype) for branch in params["branches"])
        else:
            times = _TIMES[name](params) if name in _TIMES else 1
            total += times * sum(matrix_flop(inner, dtype) for inner in inner_programs(params))
    return total


def inner_programs(params: Mapping[str, Any]) -> Iterator[Jaxpr]:
    """Yields the programs that an equation runs, such as a loop's body or all branches of a cond.

    Args:
        params: The equation's.
    """
    for value in params.values():
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, ClosedJaxpr):
                yield each.jaxpr
            elif isinstance(each, Jaxpr):
                yield each


def _shape(variable: Any) -> tuple[int, ...]:
    return variable.aval.shape


def _dtype(variable: Any) -> str:
    return variable.aval.dtype.name


def _dot(equation: JaxprEqn) -> float:
    (contracted, _), _ = equation.params["dimension_numbers"]
    left = _shape(equation.invars[0])
    return 2.0 * math.prod(_shape(equation.outvars[0])) * math.prod(left[i] for i in contracted)


def _convolution(equation: JaxprEqn) -> float:
    # Each output element is a sum over the kernel of its feature.
    kernel = _shape(equation.invars[1])
    features = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
    return 2.0 * math.prod(_shape(equation.outvars[0])) * math.prod(kernel) / features


def _attention(equation: JaxprEqn) -> float:
    # Fused attention of query [B, T, N, H] and key [B, S, K, H]: scores and their product with
    # the values.
    query, key = (_shape(variable) for variable in equation.invars[:2])
    return 4.0 * math.prod(query) * key[1]


_COUNTS: Mapping[str, Callable[[JaxprEqn], float]] = {
    "dot_general": _dot,
    "conv_general_dilated": _convolution,
    "dot_product_attention_fwd_wrapper": _attention,  # cuDNN's
}
_TIMES: Mapping[str, Callable[[Mapping[str, Any]], int]] = {
    "scan": lambda params: params["length"],
    "shard_map": lambda params: math.prod(
        params["mesh"].shape[axis]
        for name in ("newly_manual_axes", "manual_axes")  # in JAX 0.10.1 and later, and before
        for axis in params.get(name, ())
    ),
    "pallas_call": lambda params: math.prod(params["grid_mapping"].grid),
}
