"""From padded batches to hidden states and pooled embeddings."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.sharding import PartitionSpec

from model_ports.contract.family import DATA, FINAL, MODEL, Hidden, Inputs, Tap, View
from model_ports.pooling import POOLINGS
from model_ports.port import Port


def forward(
    port: Port, state: nnx.State, inputs: Inputs, taps: tuple[Tap, ...] = (FINAL,)
) -> Hidden:
    """Computes the hidden states of a batch; can be traced by JAX.

    Float32 matrix products are computed in full float32 on every device.

    Args:
        port: Structure, preset and config of the model.
        state: Parameters of the model.
        inputs: The result of `collate`.
        taps: Wanted hidden states; see `Hidden`.

    Returns:
        The hidden states, and the mask of their meaningful rows, which is never None.
    """
    arrays = {name: jnp.asarray(array) for name, array in inputs.items()}
    given: dict[str, Any] = dict(arrays)
    if not port.preset.masked:
        del given["attention_mask"]
    if port.preset.batching == "fixed":
        given["padded_length"] = port.preset.max_tokens
    with jax.default_matmul_precision("highest"):  # of no effect on bfloat16 products
        hidden = nnx.merge(port.graphdef, state)(given, taps)
    mask = arrays["attention_mask"] if hidden.mask is None else hidden.mask
    return Hidden(hidden.states, mask)


def embedder(
    port: Port, views: Sequence[View] | None = None
) -> Callable[[nnx.State, Inputs], Array]:
    """Returns the compiled embedding function: `(state, inputs) -> float32 [B, D]`.

    Args:
        port: The model. Its state is an argument of the returned function, so that the program
            holds no weights.
        views: What is pooled of one forward pass; several are joined, [B, D1 + D2 + ..]. None:
            the preset's pooling of its hidden state.
    """
    wanted = (View(port.preset.tap, port.preset.pooling),) if views is None else tuple(views)
    taps = tuple(dict.fromkeys(view.tap for view in wanted))

    def embed(state: nnx.State, inputs: Inputs) -> Array:
        hidden = forward(port, state, inputs, taps)
        pooled = [
            POOLINGS[view.pooling](hidden.states[view.tap], hidden.rows(view.tap))
            for view in wanted
        ]
        return jnp.concatenate(pooled, axis=-1)

    if port.mesh:
        # Each device, or group that shares the parameters, sees its rows alone. Left to itself XLA
        # gathers whole batches around FFTs and where strands are stacked on the rows. Where
        # none share them, no axis is left to XLA, for the sake of attention's kernel.
        embed = jax.shard_map(
            embed,
            mesh=port.mesh,
            in_specs=(PartitionSpec(), PartitionSpec(DATA)),
            out_specs=PartitionSpec(DATA),
            axis_names={DATA} if port.mesh.shape[MODEL] > 1 else {DATA, MODEL},
            check_vma=False,
        )
    return jax.jit(embed)
