import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geneb_jax.files.json_files import read_json, read_object, write_json
from geneb_jax.files.texts import FileError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_what_is_written_is_read(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("json") / "a.json"
    write_json(path, value)
    assert read_json(path) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_in_a_line_that_names_the_file(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_bytes(content)
    try:
        expected = json.loads(content.decode("utf-8-sig"))
    except ValueError:
        with pytest.raises(FileError) as error:
            read_json(path)
        assert str(error.value).startswith(f"{path}: not ")
        assert len(str(error.value).splitlines()) == 1
    else:
        assert repr(read_json(path)) == repr(expected)  # NaN is not itself


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[" * 100_000, "too many nested brackets"),
        (b"1" * 5000, "not JSON: Exceeds the limit"),
        (b"", "not JSON: Expecting value: line 1 column 1"),
        (b'{"a": \xff}', "not UTF-8 at byte 6"),
        (b"[1]", "holds a list, not an object of names"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_what_is_no_object_is_refused(tmp_path, content, words):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FileError) as error:
        read_object(path)
    assert str(error.value).startswith(f"{path}: ")
    assert words in str(error.value)


def test_a_folder_of_the_name_is_refused(tmp_path):
    with pytest.raises(FileError, match="cannot be read: Is a directory"):
        read_object(tmp_path)


def test_a_byte_order_mark_is_taken(tmp_path):
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_object(tmp_path / "a.json") == {"a": 1}
