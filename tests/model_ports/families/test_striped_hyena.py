import shutil
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from golden_ports import GOLDEN, change_tensors

from model_ports import catalog
from model_ports.families.striped_hyena import ConvolutionBlock, log_poles
from model_ports.layers.convolutions import causal_fft_convolution
from model_ports.loading.planned import family_config, plan_checkpoint
from model_ports.loading.tensors import CheckpointError

EVO = "evo-1-131k-base"


def modal_block(width, states):
    """A block whose poles forget at once, nothing over 100,000 tokens, and all between."""
    config, _ = family_config(catalog.get(EVO), catalog.get(EVO).config)
    config = replace(config, width=width, inner=8, heads=2, states=states)
    block = ConvolutionBlock(config, rngs=nnx.Rngs(0))
    rng = np.random.default_rng(0)
    radius = 1 - np.logspace(-0.1, -6, width * states).reshape(width, states)
    poles = radius * np.exp(1j * rng.uniform(-np.pi, np.pi, (width, states)))
    poles = np.stack([poles.real, poles.imag], -1).astype(np.float32)
    residues = rng.normal(size=(width, states, 2)).astype(np.float32)
    block.poles[...] = jnp.asarray(log_poles(poles))
    block.residues[...] = jnp.asarray(residues)
    poles, residues = (part @ np.array([1, 1j]) for part in (poles, residues))
    return block, poles, residues


def test_modal_long_convolution_is_the_recurrence():
    """Evo's filters and FFT against h_t = pole h_{t-1} + x_t, y_t = Re sum residue h_t."""
    length, width, states = 2048, 8, 4
    block, poles, residues = modal_block(width, states)
    rng = np.random.default_rng(0)
    x, h, expected = rng.normal(size=(2, length, width)), np.zeros((2, width, states)), []
    for t in range(length):
        h = poles * h + x[:, t, :, None]
        expected.append((residues * h).sum(-1).real)
    expected = np.stack(expected, axis=1)
    found = causal_fft_convolution(jnp.asarray(x, jnp.float32), block._filters(length))
    scale = np.abs(expected).max(axis=1, keepdims=True)
    assert (np.abs(found - expected) / scale).max() < 1e-5


def test_modal_filters_keep_their_phase_over_the_whole_context():
    length = 131_072
    block, poles, residues = modal_block(4, 8)
    found = np.asarray(block._filters(length))
    for t in (0, 1, 2, 1000, 32_767, 65_536, length - 1):
        expected = (residues * np.exp(t * np.log(poles))).sum(-1).real
        bound = 4e-6 * np.abs(residues).sum(-1)
        assert (np.abs(found[t] - expected) < bound).all(), t


def test_layers_of_the_wrong_kind_are_refused(tmp_path):
    """The filters of layer 2 under the number of layer 1, which is an attention block."""
    folder = Path(shutil.copytree(GOLDEN / EVO, tmp_path / EVO))

    def change(tensors):
        for name in [name for name in tensors if name.startswith("backbone.blocks.2.filter.")]:
            tensors[name.replace("blocks.2", "blocks.1")] = tensors.pop(name)

    change_tensors(folder, change)
    with pytest.raises(CheckpointError, match=r"has no tensor 'backbone\.blocks\.2\.filter\.D'"):
        plan_checkpoint(catalog.get(EVO), folder)
