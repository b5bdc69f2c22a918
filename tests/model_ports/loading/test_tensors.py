"""Files that are damaged, hostile or as odd as some of the authors' real ones."""

import json
import pickle
import struct
import zipfile

import hypothesis.strategies as st
import ml_dtypes
import numpy as np
import pytest
from golden_ports import GOLDEN
from hypothesis import given, settings
from safetensors.numpy import save, save_file

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
    ],
)
def test_a_damaged_safetensors_file_is_named(tmp_path, content):
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: not a readable"):
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
    ],
)
def test_an_index_that_does_not_fit_is_named(tmp_path, weight_map, words):
    save_file({"a": np.zeros(2, np.float32)}, tmp_path / "one.safetensors")
    write_index(tmp_path, weight_map)
    with pytest.raises(CheckpointError, match=words):
        open_checkpoint(tmp_path)


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
        (b'{"a": "\xff"}', "not JSON: 'utf-8' codec can't decode"),
        (b"\x1f\x8b\x08\x00", "not JSON: 'utf-8' codec can't decode"),
        (b'{"a": 1, "b": 2, "a": 1}', "field 'a' stands there twice; keep one"),
        (b'{"x": {"a": 1, "a": 2}}', "field 'a' stands there twice; keep one"),
        (b'{"a": ' * 40 + b"1" + b"}" * 40, "objects and lists are too deep"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "objects and lists are too deep"),
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
        port = load_port(plan_checkpoint(FIXTURE.name, folder))
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
