import json

import pytest
from golden_ports import GOLDEN
from shared_data import need

from model_ports import catalog
from model_ports.tokenizers import TokenizerError, build_tokenizer

JSON = [
    entry.id
    for entry in catalog.entries().values()
    if entry.ported and entry.tokenizer["kind"] == "json"
]


def tokenizer(model_id, folder):
    return build_tokenizer(folder, catalog.get(model_id).tokenizer)


CASES = {
    model_id: json.loads((GOLDEN / model_id / "cases.json").read_text()).get("tokenizer_cases")
    for model_id in JSON
}


@pytest.mark.parametrize("model_id", [model_id for model_id, cases in CASES.items() if cases])
def test_cases_of_the_original_tokenizer(model_id):
    cases = CASES[model_id]
    found = tokenizer(model_id, GOLDEN / model_id).encode([case["text"] for case in cases], None)
    for case, ids in zip(cases, found, strict=True):
        assert ids.tolist() == case["ids"], case["text"]


@pytest.mark.parametrize("model_id", JSON)
def test_truncation_keeps_the_template_and_no_padding_is_added(model_id):
    made = tokenizer(model_id, GOLDEN / model_id)
    text = "ACGTTGCAAC" * 40
    (whole,), (cut,) = made.encode([text], None), made.encode([text], 12)
    (empty,) = made.encode([""], 12)
    closing = 1 if len(empty) and empty[-1] == whole[-1] and not made.prefix else 0
    assert len(cut) == 12
    assert cut[: 12 - closing].tolist() == whole[: 12 - closing].tolist()
    assert cut[12 - closing :].tolist() == whole[len(whole) - closing :].tolist()
    assert made.pad_id not in whole


@pytest.mark.parametrize(
    "model_id",
    ["dnabert2-no-flashattention", "DNABERT-S", "gena-lm-bert-base", "gena-lm-bert-base-t2t-multi",
     "gena-lm-bert-large-t2t", "MutBERT", "deepgene"],
)  # fmt: skip
def test_real_files_are_read(model_id):
    folder = need("tokenizers", model_id)
    entry = catalog.get(model_id)
    made = tokenizer(model_id, folder)
    records = ["ACGTACGTTAGCCCATTTAG" * 10, "acgtn", "NNNNNNNNNNNNACGT", "ACGURYK-*", "A"]
    encoded = made.encode(records, 64)
    assert all(0 < len(ids) <= 64 for ids in encoded)
    assert max(ids.max() for ids in encoded) < entry.config["vocab_size"]
    # One record at a time gives the same ids as a batch.
    for record, ids in zip(records, encoded, strict=True):
        assert made.encode([record], 64)[0].tolist() == ids.tolist()


def test_genomics_fm_folds_letters():
    made = tokenizer("genomics-fm", GOLDEN / "genomics-fm")
    folded, plain = made.encode([" acgtuRacgt ", "ACGTNNACGT"], None)
    assert folded.tolist() == plain.tolist()


def test_missing_and_malformed_files_are_named(tmp_path):
    options = {"kind": "json", "pad": "[PAD]"}
    with pytest.raises(TokenizerError, match=r"tokenizer\.json is needed"):
        build_tokenizer(None, options)
    with pytest.raises(TokenizerError, match=r"no tokenizer\.json"):
        build_tokenizer(tmp_path, options)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(TokenizerError, match="not a tokenizer file"):
        build_tokenizer(tmp_path, options)
    with pytest.raises(TokenizerError, match="no token '<nothing>'"):
        build_tokenizer(GOLDEN / "GROVER", {"kind": "json", "pad": "<nothing>"})


def damaged(tmp_path, change):
    """A tokenizer file of GROVER with a change."""
    content = json.loads((GOLDEN / "GROVER" / "tokenizer.json").read_text())
    change(content)
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    return {"kind": "json", "pad": "[PAD]"}


def test_a_file_that_the_library_panics_at_is_refused(tmp_path):
    """The template names a special token that the file does not describe."""
    options = damaged(tmp_path, lambda c: c["post_processor"]["special_tokens"].clear())
    with pytest.raises(TokenizerError, match="not a tokenizer file: ") as error:
        build_tokenizer(tmp_path, options)
    assert str(error.value).startswith(str(tmp_path / "tokenizer.json"))


def test_what_the_library_says_is_cut(tmp_path):
    options = damaged(tmp_path, lambda c: c.update(version="x" * 5000))
    with pytest.raises(TokenizerError) as error:
        build_tokenizer(tmp_path, options)
    assert len(str(error.value)) < 500 + len(str(tmp_path))
