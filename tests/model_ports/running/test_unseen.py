"""What tokenizers do not know of records, by hand and against tokenizing every record."""

from dataclasses import replace

import pytest
import saved_models
from golden_ports import GOLDEN
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import need

from model_ports import catalog
from model_ports.port import Reader
from model_ports.running.unseen import unseen
from model_ports.tokenizers import build_tokenizer

LETTERS = "ABCDEFGHIKLMNPQRSTUVWXYZabcdefghiklmnpqrstuvwxyz-*."
TOKENIZERS = {
    id: build_tokenizer(GOLDEN / id, entry.tokenizer) for id, entry in catalog.entries().items()
}
# One model of each kind of tokenizer, and of each way with letters that tokenizer.json knows.
KNOWN = {
    "nucleotide-transformer-v2-50m-multi-species": "ACGTN",  # k-mers
    "hyenadna-medium-160k-seqlen-hf": "ACGTN",  # characters
    "caduceus-ps_seqlen-131k_d_model-256_n_layer-16": "ACGTNacgtn",
    "LucaOne-default-step36M": "ACGTUNacgtun",
    "BioFM-265M": "ACGTND",
    "enformer-official-rough": "ACGTNacgtn",  # bases; N is none of them
    "space": "ACGTUNacgtun",
    "evo-1-131k-base": LETTERS,  # bytes
    "dna_gpt0.1b_h": "ACGTN",
    "GENERator-eukaryote-3b-base": "ACGT",
    "DNABERT-S": "ACGT",  # BPE; N has no piece
    "PlantCaduceus_l32": "ACGTacgt",  # it lowers all letters
    "genomics-fm": "ACGTacgt",  # its extractor raises letters, and makes others N
    "gpt2_gene_v1": "ACGTNRY",  # letters without a piece vanish; the fixture's pieces
}


def reader(name, limit=None):
    entry = catalog.get(name)
    preset = replace(entry.preset("corrected"), max_tokens=limit)
    return Reader(entry, preset, None, TOKENIZERS[name], ())


def found(name, records, limit=None):
    return {each.kind: (each.rows, each.letters) for each in unseen(reader(name, limit), records)}


@pytest.mark.parametrize("name", KNOWN)
def test_known_letters(name):
    assert set(TOKENIZERS[name].known_letters) & set(LETTERS) == set(KNOWN[name])


@pytest.mark.parametrize("name", TOKENIZERS)
def test_unknown_letters_cannot_be_told_apart_and_known_ones_can(name):
    def ids(letter):
        (tokens,) = TOKENIZERS[name].encode([letter * 6], None)
        return frozenset(tokens.tolist())

    known = TOKENIZERS[name].known_letters
    assert set("ACGT") <= set(known)
    unknown = {ids(letter) for letter in "BDEFHIKLMPQRSVWXYZ" if letter not in known}
    assert len(unknown) <= 1
    folded = {letter.upper().replace("U", "T") for letter in LETTERS if letter in known}
    several = {ids(letter) for letter in LETTERS if letter in known}
    assert len(several) >= len(folded)
    assert len(several | unknown) >= len(folded) + len(unknown) - 1  # N may stand for them


def test_pieces_of_the_published_vocabularies():
    for name, known in {
        "DNABERT-S": "ACGT",
        "gena-lm-bert-base": "ACGT",
        "gena-lm-bert-base-t2t-multi": "-ABCGKMNRSTWY",
        "MutBERT": "ACGT",
        "GENERator-eukaryote-3b-base": "ACGT",
        "agro-nucleotide-transformer-1b": "ACGTN",
    }.items():
        tokenizer = build_tokenizer(need("tokenizers", name), catalog.get(name).tokenizer)
        assert set(tokenizer.known_letters) & set(LETTERS) == set(known), name


def test_counts_by_hand():
    records = ["ACGTACGT", "acgtACGT", "ACGUACGU", "ACGTNNNN", "GGCC", "MKV-"]
    dnabert, hyena = "DNABERT-S", "hyenadna-medium-160k-seqlen-hf"
    assert found(dnabert, records) == {"unknown letters": ([1, 2, 3, 5], "-KMNUVacgt")}
    assert found(hyena, records) == {"unknown letters": ([1, 2, 5], "-KMUVacgt")}
    assert found("evo-1-131k-base", records) == {}
    assert found(dnabert, []) == {}


def test_records_without_a_token():
    # GENERator drops letters beyond a multiple of six; this GPT-2 drops what it does not know.
    records = ["ACGTA", "ACGTAC", "acgtacgt" * 9, "aACG"]
    assert found("GENERator-eukaryote-3b-base", records) == {
        "unknown letters": ([2, 3], "acgt"),
        "no token": ([0, 3], ""),
    }
    assert found("gpt2_gene_v1", records) == {
        "unknown letters": ([2, 3], "acgt"),
        "no token": ([2], ""),
    }


def test_records_that_are_cut():
    # One token a letter; six letters a token, single ones behind an N, and <cls> in front.
    hyena, nt = "hyenadna-medium-160k-seqlen-hf", "nucleotide-transformer-v2-50m-multi-species"
    assert found(hyena, ["A" * 8, "A" * 9, "A" * 10], limit=9) == {"cut": ([2], "")}
    records = ["A" * 48, "A" * 49, "A" * 53, "N" * 8, "N" * 9]
    assert found(nt, records, limit=9) == {"cut": ([1, 2, 4], "")}


@settings(max_examples=100)
@given(
    name=st.sampled_from(sorted(TOKENIZERS)),
    records=st.lists(st.text("ACGTNacgtnUR", min_size=1, max_size=60), min_size=1, max_size=6),
    limit=st.integers(4, 40),
)
def test_cut_and_empty_ones_are_those_that_tokenizing_every_record_gives(name, records, limit):
    tokenizer = TOKENIZERS[name]
    every = [ids.tolist() for ids in tokenizer.encode(records, None)]
    (nothing,) = tokenizer.encode([""], None)
    cut = [i for i, ids in enumerate(every) if len(ids) > limit]
    empty = [i for i, ids in enumerate(every) if ids == nothing.tolist()]
    counted = found(name, records, limit)
    assert counted.get("cut", ([], ""))[0] == cut
    assert counted.get("no token", ([], ""))[0] == empty


def test_a_record_shorter_than_a_spaced_kmer_has_no_token(tmp_path):
    saved_models.write_wordpiece(tmp_path, saved_models.kmer_words(3), do_lower_case=False)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    tokenizer = build_tokenizer(tmp_path, {"kind": "auto", "spaced": 3})
    mine = replace(reader("DNABERT-S"), tokenizer=tokenizer)
    found = {each.kind: each.rows for each in unseen(mine, ["AC", "ACG", "ACGTT"])}
    assert found == {"no token": [0]}
