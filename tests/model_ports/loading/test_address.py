import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_ports.loading.address import Address, parse_address
from model_ports.loading.tensors import CheckpointError


def adapter(folder, **fields):
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(fields))
    return folder


@pytest.mark.parametrize(
    ("text", "repo", "revision"),
    [
        ("me/mine@" + "a" * 40, "me/mine", "a" * 40),
        ("me/my-model_v2.1@main", "me/my-model_v2.1", "main"),
        ("me/mine", "me/mine", ""),
        ("me/mine@", "me/mine", ""),
    ],
)
def test_what_is_no_folder_is_a_repository(text, repo, revision):
    found = parse_address(text)
    assert found == Address(None, None, repo, revision)
    assert found.name == repo.partition("/")[2]
    assert found.path is None


def test_a_folder_comes_first(tmp_path):
    folder = tmp_path / "me" / "mi+ne"
    folder.mkdir(parents=True)
    assert parse_address("me/mi+ne", lambda text: tmp_path / text) == Address(folder)
    assert parse_address(str(folder)).name == "mi+ne"


def test_an_address_names_base_and_adapter(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    lora = adapter(tmp_path / "lora", base_model_name_or_path=str(base))
    for text in (f"{base}+{lora}", str(lora)):
        found = parse_address(text)
        assert found == Address(base, lora)
        assert found.name == "lora"
        assert found.path == f"{base.resolve()}+{lora.resolve()}"
        assert parse_address(str(found.path)) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{root}/none", "none: no such folder; name one, or a repository"),
        ("{root}/base+{root}/none", "none: no such adapter folder"),
        ("{root}/none+{root}/far", "no such folder"),
        ("{root}/far", r"adapter of me/base; name the folder of its base too"),
        ("a/b/c", "no such folder"),
        ("", "nothing is named"),
    ],
)
def test_other_addresses_are_refused_in_one_line(tmp_path, text, words):
    (tmp_path / "base").mkdir()
    adapter(tmp_path / "far", base_model_name_or_path="me/base")
    with pytest.raises(CheckpointError, match=words) as error:
        parse_address(text.format(root=tmp_path))
    assert len(str(error.value).splitlines()) == 1


@given(st.text(st.characters(codec="ascii", exclude_characters="~"), max_size=60))
def test_any_text_is_an_address_or_refused(text):
    try:
        found = parse_address(text)
    except CheckpointError as error:
        assert "no such" in str(error)
    else:
        assert bool(found.folder) != bool(found.repo)
