import ml_dtypes
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

from model_ports.contract.weights import Ignored, Weight, transpose
from model_ports.loading.assignment import assign_tensors, load_parameters, parameter_shapes
from model_ports.loading.tensors import CheckpointError, open_checkpoint

RULES = (
    Weight("embed.weight", "tokens.embedding"),
    Weight("layer.{}.dense.weight", "blocks.dense.kernel", transpose),
    Weight("layer.{}.expert.{}.weight", "blocks.experts"),
    Ignored(r"head\..*", "not used"),
)
SHAPES = {
    "embed.weight": (7, 4),
    **{f"layer.{i}.dense.weight": (6, 4) for i in range(11)},
    **{f"layer.{i}.expert.{e}.weight": (3,) for i in range(11) for e in range(2)},
    "head.bias": (9,),
}
PARAMETERS = {
    "tokens.embedding": (7, 4),
    "blocks.dense.kernel": (11, 4, 6),
    "blocks.experts": (11, 2, 3),
}


def test_tensors_are_stacked_in_the_order_of_their_numbers():
    fills = assign_tensors(RULES, SHAPES, PARAMETERS)
    assert set(fills) == set(PARAMETERS)
    dense = fills["blocks.dense.kernel"]
    assert dense.sources == tuple(f"layer.{i}.dense.weight" for i in range(11))
    assert fills["blocks.experts"].sources[2:4] == (
        "layer.1.expert.0.weight",
        "layer.1.expert.1.weight",
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"extra.weight": (2,)}, "tensor 'extra.weight' [2] has no place"),
        ({"embed.weight": (7, 5)}, "tensor 'embed.weight' [7, 5] becomes [7, 5], but parameter"),
        ({"layer.3.dense.weight": None}, "[10] are there, but parameter 'blocks.dense.kernel'"),
        ({"layer.3.expert.1.weight": None}, "numbered ones are missing"),
        ({"embed.weight": None}, "parameter 'tokens.embedding' [7, 4] has no tensor"),
        ({"layer.11.dense.weight": (6, 4)}, "[12] are there"),
        ({"layer.0.dense.weight": (4, 6)}, "becomes [6, 4]"),
    ],
)
def test_what_does_not_fit_is_named(change, words):
    shapes = {k: v for k, v in (SHAPES | change).items() if v is not None}
    with pytest.raises(CheckpointError) as error:
        assign_tensors(RULES, shapes, PARAMETERS)
    assert words in str(error.value)


def test_every_difference_is_listed():
    shapes = SHAPES | {"x": (1,), "y": (2,)}
    with pytest.raises(CheckpointError, match="3 differences"):
        assign_tensors(RULES, shapes, PARAMETERS | {"norm.scale": (4,)})


def test_rules_for_some_layers_only():
    rules = (
        Weight("layer.{}.w", "even", only=frozenset({0, 2})),
        Weight("layer.{}.w", "odd", only=frozenset({1, 3})),
    )
    shapes = {f"layer.{i}.w": (5,) for i in range(4)}
    fills = assign_tensors(rules, shapes, {"even": (2, 5), "odd": (2, 5)})
    assert fills["odd"].sources == ("layer.1.w", "layer.3.w")


class Module(nnx.Module):
    def __init__(self):
        self.dense = nnx.Param(np.zeros((2, 4, 6), np.float32))


def saved(folder, **tensors):
    save_file({name.replace("_", "."): array for name, array in tensors.items()}, folder)
    return folder


@pytest.mark.parametrize("stored", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_tensors_are_loaded_in_the_wanted_dtype(tmp_path, stored):
    weights = np.random.default_rng(0).normal(size=(2, 6, 4)).astype(stored)
    save_file({"layer.0.w": weights[0]}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({"layer.1.w": weights[1]}, tmp_path / "model-00002-of-00002.safetensors")
    tensors = open_checkpoint(tmp_path)
    abstract = nnx.state(nnx.eval_shape(Module))
    rules = (Weight("layer.{}.w", "dense", transpose),)
    fills = assign_tensors(rules, tensors, parameter_shapes(abstract))
    for dtype in (np.float32, ml_dtypes.bfloat16):
        state = load_parameters(tensors, fills, abstract, np.dtype(dtype))
        expected = weights.swapaxes(1, 2).astype(dtype)
        np.testing.assert_array_equal(np.asarray(state["dense"][...]), expected)


def test_nan_is_named(tmp_path):
    save_file({"layer.0.w": np.full((6, 4), np.nan, np.float32),
               "layer.1.w": np.zeros((6, 4), np.float32)}, tmp_path / "m.safetensors")  # fmt: skip
    tensors = open_checkpoint(tmp_path)
    abstract = nnx.state(nnx.eval_shape(Module))
    fills = assign_tensors(
        (Weight("layer.{}.w", "dense", transpose),), tensors, {"dense": (2, 4, 6)}
    )
    with pytest.raises(CheckpointError, match=r"'layer\.0\.w' holds a NaN"):
        load_parameters(tensors, fills, abstract, np.dtype(np.float32))
