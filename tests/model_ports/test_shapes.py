"""Shapes in signatures are checked where tests run: a wrong call names the parameter."""

import jax
import jax.numpy as jnp
import pytest
from jaxtyping import TypeCheckError

from model_ports.layers.attention import attend
from model_ports.pooling import POOLINGS

STATES = jnp.zeros((2, 5, 4))


@pytest.mark.parametrize(
    ("mask", "shape"),
    [(jnp.ones((2, 6), bool), r"bool\[2,6\]"), (jnp.ones((2, 5)), r"f32\[2,5\]")],
)
def test_a_mask_that_does_not_fit_is_named(mask, shape):
    with pytest.raises(TypeCheckError, match=rf"(?s)parameter 'mask'.*{shape}.*'B L'"):
        POOLINGS["mean"](STATES, mask)


def test_a_key_of_another_length_is_named_while_a_program_is_traced():
    query, key = jnp.zeros((2, 5, 4, 8)), jnp.zeros((2, 6, 2, 8))
    with pytest.raises(TypeCheckError, match=r"(?s)parameter 'key'.*f32\[2,6,2,8\].*'B L G d'"):
        jax.jit(lambda q, k: attend(q, k, k, None))(query, key)
