import json

import numpy as np
import pytest
from golden_ports import GOLDEN
from hypothesis import given
from hypothesis import strategies as st
from shared_data import need

from model_ports.tokenizers import TokenizerError, build_tokenizer
from model_ports.tokenizers.kmer import kmer_vocabulary

SIX = {"kind": "kmer", "k": 6, "layout": "eos-bos-first"}
THREE = {"kind": "kmer", "k": 3, "layout": "eos-bos-first"}
SPECIALS = ("<unk>", "<pad>", "<mask>", "<cls>", "<eos>", "<bos>")


def naive(text, k, ids):
    """Longest match from the left, one unknown per run, as EsmTokenizer does it."""
    found, unknown, i = [ids["<cls>"]], False, 0
    while i < len(text):
        pieces = [text[i : i + n] for n in (6, 5, k, 1)]
        token = next((p for p in pieces if p in ids and (len(p) in (1, k) or p in SPECIALS)), None)
        if token is None:
            if not text[i].isspace() and not unknown:
                found.append(ids["<unk>"])
            unknown = not text[i].isspace()
            i += 1
        else:
            found.append(ids[token])
            unknown = False
            i += len(token)
    return found


@given(st.text("ACGTNacRU \n<>-", max_size=60), st.sampled_from([THREE, SIX]))
def test_ids_are_those_of_a_plain_scan(text, options):
    ids = {t: i for i, t in enumerate(kmer_vocabulary(options["k"], options["layout"]))}
    (found,) = build_tokenizer(None, options).encode([text], None)
    assert found.dtype == np.int32
    assert found.tolist() == naive(text, options["k"], ids)


@given(st.text("ACGTN", max_size=60), st.integers(1, 12))
def test_truncation_keeps_the_left_and_counts_cls(text, limit):
    tokenizer = build_tokenizer(None, SIX)
    (whole,), (cut,) = tokenizer.encode([text], None), tokenizer.encode([text], limit)
    assert cut.tolist() == whole[:limit].tolist()


@pytest.mark.parametrize(
    "folder", sorted(GOLDEN.glob("*nucleotide-transformer*")), ids=lambda p: p.name
)
def test_cases_of_the_original_tokenizer(folder):
    k = 3 if "3mer" in folder.name else 6
    layout = "eos-bos-first" if "v2" in folder.name else "eos-bos-last"
    options = {"kind": "kmer", "k": k, "layout": layout}
    assert (folder / "vocab.txt").read_text().split() == kmer_vocabulary(k, layout)
    cases = json.loads((folder / "cases.json").read_text())["tokenizer_cases"]
    assert len(cases) > 10
    for tokenizer in (build_tokenizer(folder, options), build_tokenizer(None, options)):
        found = tokenizer.encode([case["text"] for case in cases], None)
        for case, ids in zip(cases, found, strict=True):
            assert ids.tolist() == case["ids"], case["text"]


@pytest.mark.parametrize(
    ("model_id", "k", "layout"),
    [
        ("nucleotide-transformer-v2-50m-multi-species", 6, "eos-bos-first"),
        ("nucleotide-transformer-v2-50m-3mer-multi-species", 3, "eos-bos-first"),
        ("nucleotide-transformer-2.5b-multi-species", 6, "eos-bos-last"),
        ("agro-nucleotide-transformer-1b", 6, "eos-bos-last"),
    ],
)
def test_the_rule_gives_the_real_vocabulary(model_id, k, layout):
    file = need("tokenizers", model_id, "vocab.txt")
    assert file.read_text().split() == kmer_vocabulary(k, layout)


def test_incomplete_vocabulary_is_named(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(kmer_vocabulary(3, "eos-bos-first")[:-9]))
    with pytest.raises(TokenizerError, match="9 entries of a 3-mer vocabulary"):
        build_tokenizer(tmp_path, THREE)


def test_unknown_kind_is_named():
    with pytest.raises(TokenizerError, match="'letters' is not known; known: kmer"):
        build_tokenizer(None, {"kind": "letters"})
