import ml_dtypes
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

from model_ports.contract.weights import Ignored, Weight, padded_rows, transpose
from model_ports.loading.assignment import assign_tensors, load_parameters, parameter_shapes
from model_ports.loading.names import read_names
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


def assign(rules, shapes, parameters):
    return assign_tensors(rules, read_names(rules, shapes), shapes, parameters)


def test_tensors_are_stacked_in_the_order_of_their_numbers():
    fills = assign(RULES, SHAPES, PARAMETERS)
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
        (
            {"layer.3.dense.weight": None},
            "parameter 'blocks.dense.kernel' [11, 4, 6] has no tensor 'layer.3.dense.weight'",
        ),
        (
            {"layer.3.expert.1.weight": None},
            "parameter 'blocks.experts' [11, 2, 3] has no tensor 'layer.3.expert.1.weight'",
        ),
        ({"layer.3.expert.2.weight": (3,)}, "tensor 'layer.3.expert.2.weight' [3] has no place"),
        (
            {"embed.weight": None},
            "parameter 'tokens.embedding' [7, 4] has no tensor 'embed.weight'",
        ),
        ({"layer.0.dense.weight": (4, 6)}, "becomes [6, 4]"),
        (
            {f"layer.{i}.dense.weight": (4, 6) for i in range(11)},
            "1 difference: tensor 'layer.0.dense.weight' [4, 6] becomes [6, 4], but parameter "
            "'blocks.dense.kernel' takes [4, 6], and 10 more like it",
        ),
        ({"layer.0.dense.weight": (6, 4, 1)}, "becomes [1, 4, 6]"),
    ],
)
def test_what_does_not_fit_is_named(change, words):
    shapes = {k: v for k, v in (SHAPES | change).items() if v is not None}
    with pytest.raises(CheckpointError) as error:
        assign(RULES, shapes, PARAMETERS)
    assert words in str(error.value)


def renumbered(numbers):
    """The eleven layers under other numbers."""
    kept = {name: shape for name, shape in SHAPES.items() if not name.startswith("layer.")}
    return kept | {
        name.replace(f"layer.{i}.", f"layer.{number}."): SHAPES[name]
        for i, number in enumerate(numbers)
        for name in SHAPES
        if name.startswith(f"layer.{i}.")
    }


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        (range(10), "10 are in the file, but config.json says 11; missing: 10"),
        (range(14), "14 are in the file, but config.json says 11; unexpected: 11, 12, 13"),
        ([*range(5), 6, 7, 8, 9, 10, 11],
         "11 are in the file, but config.json says 11; missing: 5; unexpected: 11"),
        ([*range(10), 999_999_999],
         "11 are in the file, but config.json says 11; missing: 10; unexpected: 999999999"),
    ],
)  # fmt: skip
def test_numbers_of_layers_are_those_of_the_config(numbers, words):
    layer = {name[8:]: shape for name, shape in SHAPES.items() if name.startswith("layer.0.")}
    shapes = {name: shape for name, shape in SHAPES.items() if not name.startswith("layer.")}
    shapes |= {f"layer.{n}.{name}": shape for n in numbers for name, shape in layer.items()}
    with pytest.raises(CheckpointError) as error:
        assign(RULES, shapes, PARAMETERS)
    assert str(error.value).endswith(f"1 difference: 'layer.{{}}': {words}")


@pytest.mark.parametrize("number", ["007", "٧", "7 ", "+7", "1" * 5000])
def test_a_number_is_written_in_one_way_only(number):
    name = f"layer.{number}.dense.weight"
    with pytest.raises(CheckpointError) as error:
        assign(RULES, SHAPES | {name: (6, 4)}, PARAMETERS)
    assert f"tensor '{name}' [6, 4] has no place in the module" in str(error.value)
    lacking = {k: v for k, v in SHAPES.items() if k != "layer.7.dense.weight"}
    with pytest.raises(CheckpointError, match=r"has no tensor 'layer\.7\.dense\.weight'"):
        assign(RULES, lacking | {name: (6, 4)}, PARAMETERS)


def test_long_lists_of_differences_are_cut():
    shapes = SHAPES | {f"{letter}.weight": (1,) for letter in "abcdefghijklmnopqr"}
    with pytest.raises(CheckpointError) as error:
        assign(RULES, shapes, PARAMETERS | {"norm.scale": (4,)})
    listed = [f"tensor '{letter}.weight' [1] has no place in the module" for letter in "abc"]
    more = f"{'; '.join(listed)}; and 16 more"
    assert str(error.value) == f"the checkpoint does not fit its config, 19 differences: {more}"
    (note,) = error.value.__notes__
    assert note.startswith("all of them:\ntensor 'a.weight'") and note.count("\n") == 19
    assert note.endswith("parameter 'norm.scale' [4] has no rule")


def test_rules_for_some_layers_only():
    rules = (
        Weight("layer.{}.w", "even", only=frozenset({0, 2})),
        Weight("layer.{}.w", "odd", only=frozenset({1, 3})),
    )
    shapes = {f"layer.{i}.w": (5,) for i in range(4)}
    fills = assign(rules, shapes, {"even": (2, 5), "odd": (2, 5)})
    assert fills["odd"].sources == ("layer.1.w", "layer.3.w")
    del shapes["layer.3.w"]
    with pytest.raises(CheckpointError, match="3 are in the file, but config"):
        assign(rules, shapes, {"even": (2, 5), "odd": (2, 5)})


def test_layers_of_two_kinds_are_not_taken_for_each_other():
    rules = (
        Weight("layer.{}.filter", "convolutions", only=frozenset({0, 2})),
        Weight("layer.{}.heads", "attentions", only=frozenset({1})),
    )
    parameters = {"convolutions": (2, 5), "attentions": (1, 5)}
    shapes = {"layer.0.filter": (5,), "layer.1.filter": (5,), "layer.2.heads": (5,)}
    with pytest.raises(CheckpointError) as error:
        assign(rules, shapes, parameters)
    (note,) = error.value.__notes__
    assert note.splitlines()[1:] == [
        "parameter 'convolutions' [2, 5] has no tensor 'layer.2.filter'",
        "parameter 'attentions' [1, 5] has no tensor 'layer.1.heads'",
        "tensor 'layer.1.filter' [5] has no place in the module",
        "tensor 'layer.2.heads' [5] has no place in the module",
    ]


@pytest.mark.parametrize("rows", [72, 75, 80])
def test_a_table_is_padded_to_the_rows_of_the_module(tmp_path, rows):
    table = np.random.default_rng(0).normal(size=(rows, 4)).astype(ml_dtypes.bfloat16)
    save_file({"w": table}, tmp_path / "m.safetensors")
    rules = (Weight("w", "table", padded_rows(72, 80)),)
    tensors = open_checkpoint(tmp_path)
    fills = assign(rules, tensors, {"table": (80, 4)})
    array = np.empty((80, 4), np.float32)
    tensors.read_row("w", fills["table"].layout, array)
    np.testing.assert_array_equal(array[:rows], table.astype(np.float32))
    assert not array[rows:].any()


@pytest.mark.parametrize("shape", [(71, 4), (81, 4), (80, 5), (4,)])
def test_a_table_of_other_rows_does_not_fit(shape):
    rules = (Weight("w", "table", padded_rows(72, 80)),)
    with pytest.raises(CheckpointError, match=r"tensor 'w' .* but parameter 'table' takes"):
        assign(rules, {"w": shape}, {"table": (80, 4)})


class Module(nnx.Module):
    def __init__(self):
        self.dense = nnx.Param(np.zeros((2, 4, 6), np.float32))


def saved(folder, **tensors):
    save_file({name.replace("_", "."): array for name, array in tensors.items()}, folder)
    return folder


@pytest.mark.parametrize("stored", [np.float32, np.float16, np.float64, ml_dtypes.bfloat16])
def test_tensors_are_loaded_in_the_wanted_dtype(tmp_path, stored):
    weights = np.random.default_rng(0).normal(size=(2, 6, 4)).astype(stored)
    save_file({"layer.0.w": weights[0]}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({"layer.1.w": weights[1]}, tmp_path / "model-00002-of-00002.safetensors")
    tensors = open_checkpoint(tmp_path)
    abstract = nnx.state(nnx.eval_shape(Module))
    rules = (Weight("layer.{}.w", "dense", transpose),)
    fills = assign(rules, tensors, parameter_shapes(abstract))
    for dtype in (np.float32, ml_dtypes.bfloat16):
        state = load_parameters(tensors, fills, abstract, np.dtype(dtype))
        expected = weights.swapaxes(1, 2).astype(dtype)
        np.testing.assert_array_equal(np.asarray(state["dense"][...]), expected)


def test_nan_is_named(tmp_path):
    save_file({"layer.0.w": np.full((6, 4), np.nan, np.float32),
               "layer.1.w": np.zeros((6, 4), np.float32)}, tmp_path / "m.safetensors")  # fmt: skip
    tensors = open_checkpoint(tmp_path)
    abstract = nnx.state(nnx.eval_shape(Module))
    fills = assign((Weight("layer.{}.w", "dense", transpose),), tensors, {"dense": (2, 4, 6)})
    with pytest.raises(CheckpointError, match=r"'layer\.0\.w' holds a NaN"):
        load_parameters(tensors, fills, abstract, np.dtype(np.float32))
