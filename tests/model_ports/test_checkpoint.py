import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

from model_ports.contract.weights import Ignored, Weight, transpose
from model_ports.loading.assignment import assign_tensors, load_parameters, parameter_shapes
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.loading.tensors import CheckpointError, fingerprint, open_checkpoint, read_config
from model_ports.running.embedder import embedder
from model_ports.running.records import collate, tokenize

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


def test_bad_folders_are_named(tmp_path):
    with pytest.raises(CheckpointError, match="no such checkpoint folder"):
        open_checkpoint(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="no weight file"):
        open_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        read_config(tmp_path)
    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "a.safetensors")
    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "b.safetensors")
    with pytest.raises(CheckpointError, match=r"stands in a\.safetensors and in b\.safetensors"):
        open_checkpoint(tmp_path)
    (tmp_path / "b.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:-5])
    with pytest.raises(CheckpointError, match=r"b\.safetensors: not a readable"):
        open_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(CheckpointError, match="holds a list"):
        read_config(tmp_path)


def test_fingerprint_sees_every_file(tmp_path):
    save_file({"a": np.zeros(10**6, np.float32)}, tmp_path / "a.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"x": 1}))
    before = fingerprint(tmp_path)
    assert before == fingerprint(tmp_path)
    save_file({"a": np.ones(10**6, np.float32)}, tmp_path / "a.safetensors")
    after = fingerprint(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"x": 2}))
    assert len({before, after, fingerprint(tmp_path)}) == 3


FIXTURE = Path(__file__).parents[1] / "golden" / "nucleotide-transformer-v2-50m-3mer-multi-species"


def test_pytorch_files_give_the_same_embeddings(tmp_path):
    torch = pytest.importorskip("torch", reason="the extra 'convert' is not installed")
    tensors = open_checkpoint(FIXTURE)
    named = {name: torch.from_numpy(tensors.read(name).copy()) for name in tensors}
    # Column-major storage, as some of the authors' files have it.
    named = {k: t.T.contiguous().T if t.ndim == 2 else t for k, t in named.items()}
    first = dict(list(named.items())[:7])
    rest = {name: tensor for name, tensor in named.items() if name not in first}
    torch.save(first, tmp_path / "pytorch_model-00001-of-00002.bin")
    torch.save({"state_dict": rest, "epoch": 3}, tmp_path / "pytorch_model-00002-of-00002.bin",
               _use_new_zipfile_serialization=False)  # fmt: skip
    for file in ("config.json", "vocab.txt"):
        (tmp_path / file).write_bytes((FIXTURE / file).read_bytes())
    read = open_checkpoint(tmp_path)
    assert set(read) == set(tensors)
    vectors = []
    for folder in (FIXTURE, tmp_path):
        port = load_port(plan_checkpoint(FIXTURE.name, folder))
        encoded = tokenize(port, ["ACGTTAGCCATTGA"])
        vectors.append(embedder(port)(port.state, collate(port, encoded, len(encoded[0]))))
    np.testing.assert_array_equal(*vectors)


def test_bfloat16_pytorch_tensors_are_kept(tmp_path):
    torch = pytest.importorskip("torch", reason="the extra 'convert' is not installed")
    torch.save({"a": torch.tensor([1.5, -2.0], dtype=torch.bfloat16)}, tmp_path / "a.bin")
    array = open_checkpoint(tmp_path).read("a")
    assert array.dtype == ml_dtypes.bfloat16
    assert array.tolist() == [1.5, -2.0]


class Harmful:
    def __reduce__(self):
        return (print, ("code of a downloaded file ran",))


def test_pickled_code_is_refused(tmp_path, capsys):
    torch = pytest.importorskip("torch", reason="the extra 'convert' is not installed")
    torch.save({"a": Harmful()}, tmp_path / "model.bin")
    with pytest.raises(CheckpointError, match=r"model\.bin: not a readable PyTorch"):
        open_checkpoint(tmp_path)
    assert "ran" not in capsys.readouterr().out
