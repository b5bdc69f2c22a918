"""Files that are damaged, hostile or as odd as some of the authors' real ones."""

import io
import json
import pickle
import re
import shutil
import struct
import zipfile
from pathlib import Path

import hypothesis.strategies as st
import ml_dtypes
import numpy as np
import pytest
from golden_ports import GOLDEN, change_tensors
from hypothesis import given, settings
from safetensors.numpy import save, save_file
from shared_data import need

from model_ports import catalog
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.loading.tensors import CheckpointError, open_checkpoint, read_config
from model_ports.running.embedder import embedder
from model_ports.running.records import collate, tokenize


def with_header(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(shape=(2,), start=0, end=8, dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 7,
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 10) + b"{}",
        with_header(b"not json"),
        with_header([1]),
        with_header({"a": tensor()}, b"\x00" * 7),  # truncated
        with_header({"a": tensor()}, b"\x00" * 9),  # oversized
        with_header({"a": tensor(shape=(3,))}, b"\x00" * 8),
        with_header({"a": tensor(end=4)}, b"\x00" * 8),
        with_header({"a": tensor(start=8, end=0)}, b"\x00" * 8),
        with_header({"a": tensor(shape=(-2,))}, b"\x00" * 8),
        with_header({"a": tensor(shape=(2**62, 8))}, b"\x00" * 8),
        with_header({"a": tensor(dtype="F99")}, b"\x00" * 8),
        with_header({"a": tensor(), "b": tensor()}, b"\x00" * 8),  # overlapping
        with_header({"a": tensor(), "b": tensor(start=12, end=20)}, b"\x00" * 20),  # a hole
        struct.pack("<Q", 200_000_000) + b"{" + b" " * 1000,
    ],
)
def test_a_damaged_safetensors_file_is_named(tmp_path, content):
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: not a readable"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "second",
    [
        '{"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}',
        '{"dtype": "F16", "shape": [4], "data_offsets": [0, 8]}',  # other numbers of these bytes
    ],
)
def test_a_name_that_stands_twice_in_a_header_is_refused(tmp_path, second):
    header = f'{{"a": {json.dumps(tensor())}, "a": {second}}}'
    (tmp_path / "model.safetensors").write_bytes(with_header(header.encode(), b"\x00" * 8))
    with pytest.raises(CheckpointError, match=r"model\.safetensors: .*'a' stands twice"):
        open_checkpoint(tmp_path)


GOOD = save({"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(4, np.float16)})
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
_TENSOR = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F16", "BF16", "I64", "F8_E4M3", "BOOL", "X"]),
        "shape": st.lists(st.integers(-1, 5) | st.integers(2**31, 2**64), max_size=3),
        "data_offsets": st.lists(st.integers(-2, 40) | st.integers(2**31, 2**64), max_size=3),
    }
)
_HEADERS = st.dictionaries(st.text(max_size=6), _TENSOR | _JSON, max_size=4)


def opened_or_refused(folder, content):
    """Whatever stands in the file: a clear error, or tensors that can be read as they are said."""
    (folder / "m.safetensors").write_bytes(content)
    try:
        tensors = open_checkpoint(folder)
    except CheckpointError as error:
        assert "m.safetensors" in str(error)
        return
    for name, shape in tensors.items():
        try:
            tensors.dtype(name)
        except CheckpointError as error:
            assert name in str(error)
            continue
        assert tensors.read(name).shape == shape


@settings(max_examples=100)
@given(header=_HEADERS | _JSON, data=st.binary(max_size=40))
def test_any_header_is_read_or_refused(tmp_path_factory, header, data):
    opened_or_refused(tmp_path_factory.mktemp("fuzz"), with_header(header, data))


@settings(max_examples=100)
@given(
    edits=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=4),
    length=st.integers(0, len(GOOD)) | st.just(len(GOOD)),
)
def test_any_change_of_a_good_file_is_read_or_refused(tmp_path_factory, edits, length):
    content = bytearray(GOOD)
    for place, value in edits:
        content[place] = value
    opened_or_refused(tmp_path_factory.mktemp("fuzz"), bytes(content[:length]))


def write_index(folder, weight_map):
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": weight_map}))


@pytest.mark.parametrize(
    ("weight_map", "words"),
    [
        ({"a": "../secret.safetensors"}, "leaves the folder"),
        ({"a": "/etc/passwd"}, "leaves the folder"),
        ({"a": "one.safetensors", "b": "two.safetensors"}, r"two\.safetensors: missing"),
        ({"a": "one.safetensors", "b": "one.safetensors"}, r"one\.safetensors: tensor 'b' is miss"),
        (["a"], "not an index of weight files"),
        ({"a": "two.safetensors", "c": "two.safetensors"}, r"two\.safetensors: tensor 'a' is miss"),
    ],
)
def test_an_index_that_does_not_fit_is_named(tmp_path, weight_map, words):
    save_file({"a": np.zeros(2, np.float32)}, tmp_path / "one.safetensors")
    if "c" in weight_map:
        save_file({"c": np.zeros(2, np.float32)}, tmp_path / "two.safetensors")
    write_index(tmp_path, weight_map)
    with pytest.raises(CheckpointError, match=words):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize("text", ["[", "[1]", '{"weight_map": 1}', "{}", "[" * 100_000])
def test_an_index_that_is_none_is_named(tmp_path, text):
    save_file({"a": np.zeros(2, np.float32)}, tmp_path / "one.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"index\.json: (not|holds)"):
        open_checkpoint(tmp_path)


def test_a_name_that_stands_twice_in_an_index_is_refused(tmp_path):
    save_file({"a": np.zeros(2, np.float32)}, tmp_path / "one.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "two.safetensors", "a": "one.safetensors"}}'
    )
    with pytest.raises(CheckpointError, match=r"index\.json: .*'a' stands twice"):
        open_checkpoint(tmp_path)


def test_shards_in_capitals_are_weight_files(tmp_path):
    for name in ("a", "b"):
        save_file({name: np.ones(2, np.float32)}, tmp_path / f"MODEL-{name}.SAFETENSORS")
    (tmp_path / "MODEL.SAFETENSORS.INDEX.JSON").write_text(
        json.dumps({"weight_map": {name: f"MODEL-{name}.SAFETENSORS" for name in ("a", "b", "c")}})
    )
    (tmp_path / "pytorch_model.bin").write_bytes(b"not read where there are safetensors")
    with pytest.raises(CheckpointError, match=r"MODEL-c\.SAFETENSORS: missing"):
        open_checkpoint(tmp_path)
    (tmp_path / "MODEL.SAFETENSORS.INDEX.JSON").unlink()
    assert dict(open_checkpoint(tmp_path)) == {"a": (2,), "b": (2,)}


def test_a_tensor_that_is_stored_once_has_both_its_names(tmp_path, torch):
    """`save_model` keeps the first name of tied weights, and notes the other."""
    from safetensors.torch import save_model

    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = torch.nn.Embedding(3, 2)
            self.head = torch.nn.Linear(2, 3, bias=False)
            self.head.weight = self.model.weight

    module = Tied()
    save_model(module, str(tmp_path / "model.safetensors"))
    tensors = open_checkpoint(tmp_path)
    assert dict(tensors) == {"head.weight": (3, 2), "model.weight": (3, 2)}
    for name in tensors:
        np.testing.assert_array_equal(tensors.read(name), module.model.weight.detach())


def test_an_index_that_fits_is_accepted(tmp_path):
    save_file({"a": np.zeros(2, np.float32)}, tmp_path / "one.safetensors")
    write_index(tmp_path, {"a": "one.safetensors"})
    assert dict(open_checkpoint(tmp_path)) == {"a": (2,)}


def test_damaged_pytorch_files_are_named(tmp_path, torch):
    path = tmp_path / "model.bin"
    torch.save({"a": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(CheckpointError, match=r"model\.bin: not a readable PyTorch"):
        open_checkpoint(tmp_path)
    path.write_bytes(pickle.dumps([1, 2, 3]))
    with pytest.raises(CheckpointError, match=r"model\.bin"):
        open_checkpoint(tmp_path)
    torch.save([torch.zeros(2)], path)
    with pytest.raises(CheckpointError, match="holds a list, not named tensors"):
        open_checkpoint(tmp_path)


def test_archive_paths_that_leave_the_folder_write_nothing(tmp_path, torch):
    folder = tmp_path / "model"
    folder.mkdir()
    with zipfile.ZipFile(folder / "model.bin", "w") as archive:
        archive.writestr("../../escaped", b"x")
    with pytest.raises(CheckpointError, match=r"model\.bin"):
        open_checkpoint(folder)
    assert not (tmp_path / "escaped").exists()
    assert [p.name for p in tmp_path.rglob("*")] == ["model", "model.bin"]


def test_tensors_that_share_memory_are_read_each(tmp_path, torch):
    base = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    torch.save({"tied": base, "again": base, "part": base[1:], "turned": base.T},
               tmp_path / "model.bin")  # fmt: skip
    tensors = open_checkpoint(tmp_path)
    np.testing.assert_array_equal(tensors.read("tied"), tensors.read("again"))
    np.testing.assert_array_equal(tensors.read("part"), base[1:])
    np.testing.assert_array_equal(tensors.read("turned"), base.T)
    assert tensors["turned"] == (4, 3)


def test_infinity_in_a_config_is_read(tmp_path):
    (tmp_path / "config.json").write_text('{"time_step_limit": [0.0, Infinity]}')
    assert read_config(tmp_path)["time_step_limit"] == [0.0, float("inf")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON: Expecting value"),
        (b"[1]", "holds a list, not an object"),
        (b"null", "holds a NoneType, not an object"),
        (b"{'a': 1}", "not JSON: Expecting property name"),
        (b'{"a": 1} {"b": 2}', "not JSON: Extra data"),
        (b'{"a": "\xff"}', "not UTF-8 at byte"),
        (b"\x1f\x8b\x08\x00", "not UTF-8 at byte"),
        (b'{"a": 1, "b": 2, "a": 1}', "'a' stands twice"),
        (b'{"x": {"a": 1, "a": 2}}', "'a' stands twice"),
        (b'{"a": ' * 40 + b"1" + b"}" * 40, "objects and lists are too deep"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too many nested brackets"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON: Exceeds the limit"),
    ],
)
def test_what_is_no_config_is_refused_in_one_line(tmp_path, content, message):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError) as error:
        read_config(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'config.json'}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_named_like_the_config_is_refused(tmp_path):
    (tmp_path / "config.json").mkdir()
    with pytest.raises(CheckpointError, match=r"config\.json: cannot be read: Is a directory"):
        read_config(tmp_path)


@given(content=st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_any_config_is_an_object_or_refused(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("config")
    (folder / "config.json").write_bytes(content)
    try:
        assert isinstance(read_config(folder), dict)
    except CheckpointError as error:
        assert str(error).startswith(str(folder))


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


def test_hidden_files_and_the_state_of_a_training_are_not_weights(tmp_path, torch):
    torch.save({"a": torch.ones(3)}, tmp_path / "pytorch_model.bin")
    for name in ("optimizer.pt", "scheduler.pt", "training_args.bin", "rng_state_0.pth"):
        (tmp_path / name).write_bytes(b"pickled objects")
    (tmp_path / "._pytorch_model.bin").write_bytes(b"\0\5\x16\7")
    (tmp_path / "old.bin").mkdir()
    assert dict(open_checkpoint(tmp_path)) == {"a": (3,)}
    (tmp_path / "._model.safetensors").write_bytes(b"\0\5\x16\7")
    (tmp_path / "._pytorch_model.bin.index.json").write_bytes(b"\0\5\x16\7")
    assert dict(open_checkpoint(tmp_path)) == {"a": (3,)}
    save_file({"b": np.zeros(2, np.float32)}, tmp_path / "model.safetensors")
    assert dict(open_checkpoint(tmp_path)) == {"b": (2,)}


FIXTURE = GOLDEN / "nucleotide-transformer-v2-50m-3mer-multi-species"


def test_pytorch_files_give_the_same_embeddings(tmp_path, torch):
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
        port = load_port(plan_checkpoint(catalog.get(FIXTURE.name), folder))
        encoded = tokenize(port, ["ACGTTAGCCATTGA"])
        vectors.append(embedder(port)(port.state, collate(port, encoded, len(encoded[0]))))
    np.testing.assert_array_equal(*vectors)


def test_bfloat16_pytorch_tensors_are_kept(tmp_path, torch):
    torch.save({"a": torch.tensor([1.5, -2.0], dtype=torch.bfloat16)}, tmp_path / "a.bin")
    array = open_checkpoint(tmp_path).read("a")
    assert array.dtype == ml_dtypes.bfloat16
    assert array.tolist() == [1.5, -2.0]


class Harmful:
    def __reduce__(self):
        return (print, ("code of a downloaded file ran",))


def test_pickled_code_is_refused(tmp_path, torch, capsys):
    torch.save({"a": Harmful()}, tmp_path / "model.bin")
    with pytest.raises(CheckpointError, match=r"model\.bin: not a readable PyTorch"):
        open_checkpoint(tmp_path)
    assert "ran" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"peft_type": "LORA"}, r"\(LORA of a base model\)"),
        ({"peft_type": "IA3", "base_model_name_or_path": "a/b"}, r"\(IA3 of a/b\)"),
        (None, r"\(LoRA of a base model\)"),
    ],
)
@pytest.mark.parametrize("beside", [True, False])
def test_an_adapter_is_refused_with_and_without_its_base(tmp_path, fields, words, beside):
    folder = Path(shutil.copytree(FIXTURE, tmp_path / "folder"))
    if not beside:
        for name in ("model.safetensors", "config.json"):
            (folder / name).unlink()
    if fields is not None:
        (folder / "adapter_config.json").write_text(json.dumps(fields))
    name = "base_model.model.esm.encoder.layer.0.attention.self.query.lora_A.weight"
    save_file({name: np.zeros((1, 8), np.float32)}, folder / "adapter_model.safetensors")
    with pytest.raises(CheckpointError) as error:
        plan_checkpoint(catalog.get(FIXTURE.name), folder)
    assert re.search(
        rf"folder: is a PEFT adapter {words}: merge it first "
        r"\(`model\.merge_and_unload\(\)\.save_pretrained\(\.\.\.\)`\), or name it with its base, "
        r"as in NAME=hf:FOLDER\+ADAPTER_FOLDER$",
        str(error.value),
    )


def test_the_adapter_of_the_cases_is_refused():
    name = "nucleotide-transformer-v2-50m-multi-species"
    with pytest.raises(CheckpointError, match="is a PEFT adapter"):
        plan_checkpoint(catalog.get(name), need("cases", "ckpt_peft", name))


def test_quantised_weights_are_refused(tmp_path):
    folder = Path(shutil.copytree(FIXTURE, tmp_path / "folder"))
    name = "esm.encoder.layer.1.intermediate.dense.weight"
    change_tensors(folder, lambda tensors: tensors.update({
        name: tensors[name].astype(np.int8), f"{name}.absmax": np.zeros(3, np.float32),
    }))  # fmt: skip
    with pytest.raises(CheckpointError, match=rf"tensor '{name}' is I8; .*dequantised \(`model"):
        plan_checkpoint(catalog.get(FIXTURE.name), folder)
    fields = json.loads((folder / "config.json").read_text())
    fields["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    (folder / "config.json").write_text(json.dumps(fields))
    with pytest.raises(CheckpointError, match=r"are quantised \(bitsandbytes\): save the model"):
        plan_checkpoint(catalog.get(FIXTURE.name), folder)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        ("pytorch_model.bin", b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        ("model.safetensors", b"<!DOCTYPE html><html>", "is a web page"),
        ("pytorch_model.bin", b"\n<html>", "is a web page"),
    ],
)
def test_files_that_are_no_weights_are_named_for_what_they_are(
    tmp_path, torch, name, content, words
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=words):
        open_checkpoint(tmp_path)


def test_a_pickled_model_is_no_state_dict(tmp_path, torch):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"save model\.state_dict\(\) \(docs/your-model\.md"):
        open_checkpoint(tmp_path)


def test_buffers_of_bytes_among_tensors_are_passed_over(tmp_path):
    """As Transformer Engine writes them, with any content; other objects are refused still."""
    torch = pytest.importorskip("torch")
    state = io.BytesIO()
    torch.save({"recipe": print}, state)
    tensors = {"a.weight": torch.arange(6.0).reshape(2, 3), "a._extra_state": state}
    torch.save(tensors, tmp_path / "m.pt")
    opened = open_checkpoint(tmp_path)
    assert list(opened) == ["a.weight"]
    np.testing.assert_array_equal(opened.read("a.weight"), tensors["a.weight"].numpy())
    torch.save(tensors | {"b": pytest.param}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="it holds other Python objects than tensors"):
        open_checkpoint(tmp_path)


def test_a_file_in_parts_is_refused_with_the_way_to_join_them(tmp_path):
    for number in range(11):
        (tmp_path / f"evo2_7b.pt.part{number}").write_bytes(b"x")
    with pytest.raises(
        CheckpointError, match=r"'evo2_7b\.pt' is in 11 parts; join .* `cat evo2_7b"
    ):
        open_checkpoint(tmp_path)
