import io
import os
import tracemalloc
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_data import need

from geneb_jax.embedding.source import Refusal
from geneb_jax.embedding.stored import StoredSource, read_embeddings
from geneb_jax.tasks.reading import find_tasks, read_task
from geneb_jax.tasks.synthetic import synthetic_tasks
from geneb_jax.tasks.task import Split

WHOLE = synthetic_tasks()[0]
TASK = replace(
    WHOLE,
    train=Split(WHOLE.train.sequences[:5], WHOLE.train.labels[:5]),
    test=Split(WHOLE.test.sequences[:3], WHOLE.test.labels[:3]),
)
IDS = np.array([f"train-{i}" for i in range(5)] + [f"test-{i}" for i in range(3)])
ARRAYS = {
    "train": np.arange(10, dtype=np.float32).reshape(5, 2),
    "test": np.arange(6, dtype=np.float32).reshape(3, 2),
}


def packed(arrays=ARRAYS, save=np.savez):
    """The bytes of an .npz file."""
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def archive(**members):
    """The bytes of a zip file of .npy files, deflated."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def npy(header, data=b""):
    """The bytes of a .npy file with this text as its header (format 1.0)."""
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data


def promising(shape, descr="<f4", data=b""):
    return npy(f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}", data)


def refusal(folder, content):
    """What a file is refused with: one line that begins with its name."""
    path = folder / f"{TASK.info.id}.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        read_embeddings(folder, TASK)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_embeddings_by_split_and_by_id_are_the_same(tmp_path):
    train = np.arange(10.0).reshape(5, 2)
    test = -np.arange(6.0).reshape(3, 2)
    path = tmp_path / f"{TASK.info.id}.npz"
    np.savez(path, train=train, test=test)
    x, x_test = read_embeddings(tmp_path, TASK)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, train)
    np.testing.assert_array_equal(x_test, test)

    ids = [f"train-{i}" for i in range(5)] + [f"test-{i}" for i in range(3)]
    order = np.random.default_rng(0).permutation(8)
    np.savez(path, embeddings=np.concatenate([train, test])[order], ids=np.array(ids)[order])
    again = read_embeddings(tmp_path, TASK)
    np.testing.assert_array_equal(again[0], train)
    np.testing.assert_array_equal(again[1], test)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"train": np.zeros((4, 2)), "test": np.zeros((3, 2))}, "train is [4, 2]"),
        ({"train": np.zeros((5, 2)), "test": np.zeros((3, 3))}, "differ in width"),
        ({"train": np.full((5, 2), np.nan), "test": np.zeros((3, 2))}, "not finite"),
        ({"x": np.zeros(3)}, "holds x"),
        ({"embeddings": np.zeros((1, 2)), "ids": np.array(["train-0"])}, "ids lack 4 rows"),
        ({"embeddings": np.zeros((8, 2)), "ids": np.array(["train-0"] * 8)}, "ids lack 4 rows"),
        ({"embeddings": np.zeros((7, 2)), "ids": IDS}, "embeddings is [7, 2], but the task has 8"),
        ({"embeddings": np.zeros((9, 2)), "ids": np.array([*IDS, "x"])}, "ids is <U7 [9]; one"),
        ({"embeddings": np.zeros((8, 2)), "ids": np.arange(8)}, "ids is int64 [8]; one string"),
        ({"embeddings": np.zeros((8, 2)), "ids": IDS.astype("S")}, "ids is |S7 [8]; one string"),
        ({"train": np.zeros((5, 2), complex), "test": np.zeros((3, 2))}, "dtype complex128; real"),
        ({"train": np.zeros((5, 2), object), "test": np.zeros((3, 2))}, "dtype object; real"),
        ({"train": np.zeros((5, 2), bool), "test": np.zeros((3, 2))}, "dtype bool; real"),
        ({"train": np.zeros((5, 2), "S4"), "test": np.zeros((3, 2))}, "dtype |S4; real"),
        ({"train": np.zeros((5, 0)), "test": np.zeros((3, 0))}, "train is [5, 0]"),
        (
            {"train": np.zeros((5, 2)), "test": np.array([[0, 0], [1, -3.5e38], [0, 0]])},
            "test holds values of float64 beyond float32's range, 3.4e38, first in row 2",
        ),
        (
            {"train": np.zeros((5, 2)), "test": np.array([[0, 0], [1, np.inf], [0, 0]], "f2")},
            "test holds values that are not finite numbers, first in row 2",
        ),
    ],
)
def test_embeddings_that_do_not_fit_are_refused(tmp_path, arrays, words):
    np.savez(tmp_path / f"{TASK.info.id}.npz", **arrays)
    with pytest.raises(ValueError) as error:
        read_embeddings(tmp_path, TASK)
    assert words in str(error.value)


def test_missing_embeddings_are_named(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        read_embeddings(tmp_path, TASK)


def test_the_identity_is_of_contents(tmp_path):
    def identity():
        (representation,) = StoredSource("mine", tmp_path).open(tmp_path / "work").representations
        return representation.identity

    path = tmp_path / f"{TASK.info.id}.npz"
    np.savez(path, train=np.zeros((5, 2)), test=np.zeros((3, 2)))
    before, facts = identity(), path.stat()
    (tmp_path / f"._{path.name}").write_bytes(b"of macOS")
    os.utime(path, ns=(0, 0))
    assert identity() == before  # a copy of the folder keeps what was computed from it
    np.savez(path, train=np.ones((5, 2)), test=np.zeros((3, 2)))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert path.stat().st_size == facts.st_size
    assert identity() != before


GOOD = packed()
TEST = promising((3, 2), data=bytes(24))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        GOOD[:100],
        GOOD[: len(GOOD) // 2],
        GOOD[:-1],
        b"train,test\n1,2\n",
        GOOD.replace(b"NUMPY", b"NUMPX"),
        GOOD.replace(b"descr", b"descX"),
        archive(train=b"", test=TEST),
        archive(train=b"\x93NUMPY", test=TEST),
        archive(train=b"\x93NUMPY\x09\x00" + bytes(100), test=TEST),
        archive(train=npy("{'descr': "), test=TEST),
        archive(train=npy("(" * 500), test=TEST),
        archive(train=npy("{'descr': '<f4', 'shape': (5, 2)}", bytes(40)), test=TEST),
        archive(train=promising((5, 2), "<q9", bytes(40)), test=TEST),
        archive(train=promising((-5, -2), data=bytes(40)), test=TEST),
    ],
)
def test_damaged_files_are_refused_in_one_line(tmp_path, content):
    assert refusal(tmp_path, content)


def test_other_files_under_the_name_are_told(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, ARRAYS["train"])
    assert "not a readable .npz file but a .npy file" in refusal(tmp_path, buffer.getvalue())
    assert "holds nothing; 'train' and 'test'" in refusal(tmp_path, packed({}))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("word/document.xml", "<x/>")
    assert "holds word/document.xml; 'train'" in refusal(tmp_path, buffer.getvalue())


@pytest.mark.parametrize(
    ("train", "words"),
    [
        (promising((5, 2), data=bytes(36)), "train is [5, 2] of float32 by its header"),
        (promising((5, 2), data=bytes(44)), "but the file holds "),
        (promising((10**9, 2)), "train is [1000000000, 2], but the task has 5 rows"),
        (promising((5, 10**12)), "20000000000079 bytes"),
        (promising((5, 2**62)), "train is [5, 4611686018427387904]"),
        (promising((5, 2, 10**9)), "train is [5, 2, 1000000000]"),
    ],
)
def test_headers_that_promise_too_much_allocate_nothing(tmp_path, train, words):
    tracemalloc.start()
    try:
        assert words in refusal(tmp_path, archive(train=train, test=TEST))
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_sizes_that_the_archive_itself_forges_are_refused(tmp_path):
    content = archive(train=promising((5, 2**20), data=bytes(5)), test=TEST)
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        held = file.getinfo("train.npy").file_size
    forged = content.replace(
        held.to_bytes(4, "little"), (held - 5 + 20 * 2**20).to_bytes(4, "little")
    )
    assert forged != content
    assert "compressed to" in refusal(tmp_path, forged)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@given(data=st.data())
def test_flipped_bytes_are_refused_or_harmless(tmp_path_factory, save, data):
    content = bytearray(packed(save=save))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.getbasetemp() / f"{TASK.info.id}.npz"
    path.write_bytes(content)
    try:
        found = read_embeddings(path.parent, TASK)
    except ValueError as error:
        assert str(error).startswith(f"{path}: ")
        return
    for array, expected in zip(found, ARRAYS.values(), strict=True):
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("truncated", "not a readable .npz file"),
        ("flipped", "not a readable .npz file: Bad CRC-32"),
        ("empty", "not a readable .npz file"),
        ("npy", "not a readable .npz file but a .npy file"),
        ("object", "dtype object"),
        ("complex", "dtype complex128"),
        ("fp16inf", "not finite"),
        ("overflow64", "beyond float32's range"),
        ("scale", None),
    ],
)
def test_files_of_the_kinds_that_people_report(name, words):
    tasks = need("cases", "npz", "tasks")
    task = read_task(tasks, find_tasks(tasks)["mine"])
    folder = need("cases", "npz", name)
    if words is None:
        assert [array.shape for array in read_embeddings(folder, task)] == [(80, 16), (60, 16)]
        return
    with pytest.raises(ValueError) as error:
        read_embeddings(folder, task)
    assert words in str(error.value)


def test_a_submission_names_the_folder_without_its_path(tmp_path):
    (tmp_path / "mine").mkdir()
    source = StoredSource(f"embeddings:{tmp_path / 'mine'}", tmp_path / "mine")
    card = source.open(tmp_path).card
    assert card["model_id"] == card["display"] == "embeddings:mine"


def test_tasks_without_a_file_are_refused_and_the_others_are_not(tmp_path):
    other = replace(TASK, info=replace(TASK.info, id="other"))
    (tmp_path / f"{TASK.info.id}.npz").write_bytes(packed())
    source = StoredSource("embeddings:x", tmp_path)
    missing = Refusal(f"{tmp_path / 'other.npz'}: no such file", "other")
    assert source.check([TASK, other]) == [missing]
    nothing = Refusal(f"{tmp_path} has no file of any task, such as other.npz")
    assert source.check([other]) == [nothing]
    (tmp_path / "other.npz").write_bytes(b"PK")
    (refusal,) = source.check([TASK, other])
    assert refusal.task == "other"
    assert refusal.reason.startswith(f"{tmp_path / 'other.npz'}: not a readable .npz file")


@pytest.mark.parametrize(
    ("content", "width"),
    [
        (packed(), 2),
        (packed({"embeddings": np.zeros((8, 3)), "ids": IDS}), 3),
        (packed({"train": np.float32(1), "test": np.float32(1)}), 0),
        (archive(train=npy("{'shape': (")), 0),
        (archive(train=b""), 0),
        (packed()[:-30], 0),
        (b"", 0),
    ],
)
def test_a_plan_takes_the_width_of_the_first_file_and_leaves_damage_to_the_run(
    tmp_path, content, width
):
    (tmp_path / "a.npz").write_bytes(content)
    plan = StoredSource("embeddings:x", tmp_path).plan(tmp_path)
    assert (plan.width, plan.cost([TASK]).kept) == (width, 8)


def test_the_width_of_features_is_known_before_they_are_read(tmp_path):
    assert list(StoredSource("mine", tmp_path).open(tmp_path).widths) == []
    (tmp_path / f"{TASK.info.id}.npz").write_bytes(packed())
    assert list(StoredSource("mine", tmp_path).open(tmp_path).widths) == [2]
