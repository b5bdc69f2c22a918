"""Logistic heads taken to the optimum by `optax.lbfgs`, the fit of each head mapped over all.

It stands in for `lbfgs.minimise` in `logistic_compiled`, with the same objective in the same
whitened coordinates. Its line search is that of Nocedal and Wright (1999, algorithms 3.5 and 3.6),
with Hager and Zhang's test (2006) where decreases of the objective are lost in rounding.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, core
from jaxtyping import Float, PyTree, Shaped

from probes.lbfgs import Objective, Result
from probes.solvers import MEMORY, Stopping


class _State(NamedTuple):
    """State of one head's fit."""

    x: Array
    f: Array
    gradient: Array
    optimiser: optax.OptState
    iterations: Array
    stuck: Array  # whether the line search found no lower point


def minimise(
    objective: Objective,
    per_head: PyTree[Shaped[Array, "H ..."]],
    x: Float[Array, "H P"],
    stopping: Stopping,
) -> Result:
    """Minimises H smooth functions; traceable.

    Args:
        objective: Returns values and gradients; it is given one head at a time, under `vmap`.
        per_head: What the objective has to know of each head.
        x: Where each fit starts.
        stopping: Largest entry of the gradient at which a fit stops, and the limit of iterations;
            the decrease is not asked about.

    Returns:
        Where each fit stopped; one whose line search failed has not converged.
    """
    optimiser = optax.lbfgs(memory_size=MEMORY)

    def of_one(per_head: PyTree, x: Array) -> tuple[Array, Array]:
        f, g = objective(jax.tree.map(lambda array: array[None], per_head), x[None], None)
        return f[0], g[0]

    # The objective as a function of all that it reads, what heads share first.
    program = jax.make_jaxpr(of_one)(*jax.tree.map(lambda array: array[0], (per_head, x)))
    shared = [jnp.asarray(array) for array in program.consts]

    def of_shared(shared: list[Array], per_head: PyTree, x: Array) -> tuple[Array, Array]:
        f, g = core.eval_jaxpr(program.jaxpr, shared, *jax.tree.leaves((per_head, x)))
        return f, g

    evaluate = jax.custom_batching.custom_vmap(of_shared)

    @evaluate.def_vmap
    def evaluate_heads(
        _: int, batched: list, shared: list[Array], per_head: PyTree, x: Array
    ) -> tuple[tuple[Array, Array], tuple[bool, bool]]:
        # A `cond` under `vmap`, as the line search has it, gives each head a copy of what they
        # share, such as the features; they are taken from the first, so no copy is made.
        shared = [a[0] if copied else a for a, copied in zip(shared, batched[0], strict=True)]
        return jax.vmap(functools.partial(of_shared, shared))(per_head, x), (True, True)

    def fit(per_head: PyTree, x: Array) -> _State:
        value_and_gradient = functools.partial(evaluate, shared, per_head)

        @jax.custom_vjp
        def value(x: Array) -> Array:
            return value_and_gradient(x)[0]

        value.defvjp(value_and_gradient, lambda gradient, slope: (slope * gradient,))

        def unfinished(state: _State) -> Array:
            large = jnp.max(jnp.abs(state.gradient)) > stopping.gradient
            return large & ~state.stuck & (state.iterations < stopping.iterations)

        def advance(state: _State) -> _State:
            # Heads that have stopped come here too while others go on, and what they do is thrown
            # away: without a gradient their line search, which all wait for, ends at once.
            gradient = jnp.where(unfinished(state), state.gradient, 0)
            step, optimised = optimiser.update(
                gradient, state.optimiser, state.x, value=state.f, grad=gradient, value_fn=value
            )
            f, too_high = (optax.tree.get(optimised, key) for key in ("value", "decrease_error"))
            stuck = (too_high > 0) & ~(f < state.f)
            x, f, gradient = optax.tree.where(
                stuck,
                (state.x, state.f, state.gradient),
                (optax.apply_updates(state.x, step), f, optax.tree.get(optimised, "grad")),
            )
            return _State(x, f, gradient, optimised, state.iterations + 1, stuck)

        f, g = value_and_gradient(x)
        zero, false = jnp.zeros((), jnp.int32), jnp.zeros((), bool)
        start = _State(x, f, g, optimiser.init(x), zero, false)
        return jax.lax.while_loop(unfinished, advance, start)

    end = jax.vmap(fit)(per_head, x)
    converged = jnp.max(jnp.abs(end.gradient), axis=1) <= stopping.gradient
    return Result(end.x, end.f, end.gradient, end.iterations, converged)
