"""How much memory a program's results need at once, before it is compiled."""

import math
from typing import Any

from jax.extend.core import Jaxpr, Var

from geneb_jax.devices.flop import inner_programs


def live_bytes(program: Jaxpr) -> int:
    """Returns the most bytes that a program's results take at one time.

    The equations are taken in turn, each result from the equation that makes it to the last one
    that reads it. Arguments, such as weights, are left out. A compiler that fuses equations needs
    less.
    """
    ends: dict[Var, int] = {}
    for number, equation in enumerate(program.eqns):
        ends |= {each: number for each in equation.invars if isinstance(each, Var)}
    ends |= {each: len(program.eqns) for each in program.outvars if isinstance(each, Var)}
    living: dict[Var, int] = {}
    most = 0
    for number, equation in enumerate(program.eqns):
        made = {each: _bytes(each) for each in equation.outvars}
        inside = max(map(live_bytes, inner_programs(equation.params)), default=0)
        most = max(most, sum(living.values()) + max(inside, sum(made.values())))
        living = {
            each: size for each, size in (living | made).items() if ends.get(each, -1) > number
        }
    return most


def _bytes(variable: Any) -> int:
    return math.prod(variable.aval.shape) * getattr(variable.aval.dtype, "itemsize", 0)
