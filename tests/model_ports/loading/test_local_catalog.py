import json

import pytest
import saved_models
from golden_ports import GOLDEN

from model_ports import catalog
from model_ports.commands import main
from model_ports.loading.describe import describe
from model_ports.loading.local_catalog import model_files, read_model
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.tensors import CheckpointError
from model_ports.tokenizers import TokenizerError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A DNABERT as transformers saves it."""
    root = tmp_path_factory.mktemp("local")
    return saved_models.save(*saved_models.SAVED["dnabert"], root / "dnabert")


def write(path, **content):
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("name", ["mine", None])
def test_what_describe_writes_is_read_as_the_same_entry(folder, tmp_path, capsys, name):
    assert main(["describe", str(folder), *(["--name", name] if name else [])]) == 0
    path = tmp_path / "any.json"
    path.write_text(capsys.readouterr().out)
    entry, address = read_model(path)
    assert entry == describe(folder, name or "dnabert")
    assert address.folder == folder
    assert model_files(tmp_path) == {name or "dnabert": path}


@pytest.mark.parametrize("name", ["hyenadna-medium-160k-seqlen-hf", "DNABERT-S", "GROVER"])
def test_models_of_other_code_are_read_again_too(tmp_path, capsys, name):
    assert main(["describe", str(GOLDEN / name), "--name", "mine"]) == 0
    path = tmp_path / "mine.json"
    path.write_text(capsys.readouterr().out)
    assert read_model(path).entry == describe(GOLDEN / name, "mine")


def test_what_is_stated_counts(folder, tmp_path):
    path = write(
        tmp_path / "mine.json",
        folder=str(folder),
        presets={"corrected": {"pooling": "max", "max_tokens": 99}},
        labels={"pretraining": "maize"},
        licence={"weights": "mit"},
    )
    found, entry = read_model(path).entry, describe(folder, "mine")
    preset = found.preset("corrected")
    assert (preset.pooling, preset.max_tokens, preset.batching) == ("max", 99, "masked")
    assert found.preset("published") == preset
    assert found.labels == {**entry.labels, "pretraining": "maize"}
    assert found.licence == {"weights": "mit", "code": None}
    assert (found.params, found.width, found.tokenizer) == (
        entry.params, entry.width, entry.tokenizer
    )  # fmt: skip


def test_folders_are_relative_to_the_file_or_under_checkpoints_dir(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    relative = write(tmp_path / "one.json", folder="link")
    assert read_model(relative).address.folder == tmp_path / "link"
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "two").symlink_to(folder)
    nowhere = write(tmp_path / "two.json")
    found = read_model(nowhere, tmp_path / "checkpoints")
    assert found.address.folder == tmp_path / "checkpoints" / "two"
    assert found.entry.id == "two"


def test_a_family_that_config_json_does_not_tell_can_be_stated(tmp_path):
    entry = catalog.get("genomics-fm")  # a MosaicBERT that calls itself a BERT
    path = write(
        tmp_path / "mine.json",
        folder=str(GOLDEN / entry.id),
        family=entry.family,
        unstated=entry.unstated,
        tokenizer=entry.tokenizer,
    )
    found, address = read_model(path)
    assert address.folder
    planned = plan_checkpoint(found, address.folder)
    assert planned.config == plan_checkpoint(entry, GOLDEN / entry.id).config


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"pooing": 1}, "there is no field pooing"),
        ({"tokeniser": {}}, "there is no field tokeniser; did you mean tokenizer?"),
        ({"presets": {"corrected": {"max_token": 3}}}, "did you mean presets.corrected.max_tokens"),
        (
            {"presets": {"corrected": {"max_tokens": "x"}}},
            'presets.corrected.max_tokens is "x"; it',
        ),
        ({"presets": {"other": {}}}, "there is no field presets.other"),
        (
            {"presets": {"corrected": {"window": 1024}}},
            "presets.corrected: window is 1024 and stride is null; give both",
        ),
        ({"presets": {"corrected": {"window": 8, "stride": 9}}}, "stride at most the window"),
        ({"presets": []}, "presets is []; it must be an object"),
        ({"family": "nope"}, 'family is "nope"; it must be a module'),
        ({"family": "contract.fields"}, "it must be a module"),
        ({"id": 3}, "id is 3; it must be a name"),
        ({"dtype": "float16"}, 'dtype is "float16"; it must be float32 or bfloat16'),
        ({}, "folder is missing: say where the checkpoint is"),
        ({"folder": "/not/there"}, "/not/there: no such folder"),
        ({"source": {"repo": "a/b"}}, "of a repository on the hub no revision is given; add one"),
        ({"family": "janusdna", "folder": "."}, "no config.json"),
    ],
)
def test_wrong_fields_are_named_in_one_line(tmp_path, monkeypatch, content, words):
    monkeypatch.setattr("model_ports.loading.hub.current_revision", lambda repo: "")
    path = write(tmp_path / "mine.json", **content)
    with pytest.raises(ValueError) as error:
        read_model(path)
    assert str(error.value).startswith(str(path))
    assert words in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_width_that_is_not_the_models_is_refused(folder, tmp_path):
    path = write(tmp_path / "mine.json", folder=str(folder), width=31)
    with pytest.raises(CheckpointError, match="32 wide, but width is stated as 31; leave it"):
        read_model(path)


def test_a_tokenizer_that_is_stated_is_tried_too(folder, tmp_path):
    path = write(tmp_path / "mine.json", folder=str(folder), tokenizer={"kind": "auto"})
    with pytest.raises(TokenizerError, match="tokens of random DNA as unknown"):
        read_model(path)  # of a vocabulary of k-mers, which are not spaced
    path = write(tmp_path / "mine.json", folder=str(folder), tokenizer={"kind": "jsn"})
    with pytest.raises(TokenizerError, match="tokenizer kind 'jsn' is not known"):
        read_model(path)


@pytest.mark.parametrize(
    ("tokenizer", "words"),
    [
        ({"kind": "kmer", "k": 6}, "tokenizer kind 'kmer': option 'layout' is missing"),
        ({"kind": "auto", "space": 3}, "there is no option 'space'; it has letters, spaced"),
        ({"kind": "character", "letters": 3, "unknown": 1, "pad": 0}, "an option is not valid"),
        ({"kind": "json", "letters": "up"}, "letters of a tokenizer is 'up'; valid: as-is, "),
        ({"kind": "utf-8", "pad": 1, "max": 2}, "there is no option 'max'; it has pad"),
    ],
)
def test_options_of_a_tokenizer_are_checked(folder, tmp_path, tokenizer, words):
    path = write(tmp_path / "mine.json", folder=str(folder), tokenizer=tokenizer)
    with pytest.raises(TokenizerError, match=words) as error:
        read_model(path)
    assert str(error.value).startswith(str(path))
    assert len(str(error.value).splitlines()) == 1


def test_two_files_of_one_id_are_refused(tmp_path):
    write(tmp_path / "a.json", id="x")
    write(tmp_path / "x.json")
    with pytest.raises(catalog.CatalogError, match=r"id 'x' is that of a\.json too; change one"):
        model_files(tmp_path)
