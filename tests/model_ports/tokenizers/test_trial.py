import pytest
import saved_models
import tokenizers

from model_ports.tokenizers import TokenizerError, build_tokenizer
from model_ports.tokenizers.trial import check_reads_dna, trial_records


def test_the_records_are_seeded_and_of_dna():
    records = trial_records()
    assert records == trial_records()
    assert records[:4] == list("ACGT")
    assert len(records) == 104
    assert set("".join(records)) == set("ACGT")
    assert all(1 <= len(record) <= 300 for record in records)


def made(folder, words, options=None, **stated):
    saved_models.write_wordpiece(folder, words, **stated)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    return build_tokenizer(folder, {"kind": "auto", **(options or {})})


def test_a_vocabulary_that_is_spaced_passes(tmp_path):
    tokenizer = made(tmp_path, saved_models.kmer_words(3), {"spaced": 3}, do_lower_case=False)
    check_reads_dna(tokenizer, tmp_path, rows=69)
    with pytest.raises(TokenizerError, match="gives the id 68 to DNA, but the model has 68 rows"):
        check_reads_dna(tokenizer, tmp_path, rows=68)


@pytest.mark.parametrize(
    ("words", "options", "stated", "said"),
    [
        (saved_models.kmer_words(3), {"spaced": 3}, {}, '"do_lower_case": false may be missing'),
        (saved_models.kmer_words(3), {}, {"do_lower_case": False}, "upper-case"),
        (
            [word.lower() for word in saved_models.kmer_words(3)],
            {"spaced": 3},
            {"do_lower_case": False, "unk_token": "[unk]"},
            '"do_lower_case": true may be missing',
        ),
        (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "##re"], {}, {}, "not those of DNA"),
    ],
)
def test_unknown_tokens_are_refused_with_the_mend(tmp_path, words, options, stated, said):
    tokenizer = made(tmp_path, words, options, **stated)
    with pytest.raises(TokenizerError) as error:
        check_reads_dna(tokenizer, tmp_path, rows=100)
    assert "tokens of random DNA as unknown" in str(error.value)
    assert said in str(error.value)
    assert "bring the tokenizer.json" in str(error.value)


def test_an_unknown_token_that_the_template_has_too_counts(tmp_path):
    words = {"[PAD]": 0, "<s>": 1, "the": 2}
    library = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<s>"))
    library.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    library.save(str(tmp_path / "tokenizer.json"))
    tokenizer = build_tokenizer(tmp_path, {"kind": "json"})
    with pytest.raises(TokenizerError, match="reads 104 of 104 tokens of random DNA as unknown"):
        check_reads_dna(tokenizer, tmp_path, rows=10)


def test_records_without_a_token_are_refused(tmp_path):
    library = tokenizers.Tokenizer(tokenizers.models.BPE({"x": 0}, []))  # drops other letters
    library.save(str(tmp_path / "tokenizer.json"))
    tokenizer = build_tokenizer(tmp_path, {"kind": "json"})
    with pytest.raises(TokenizerError, match=r"makes no token of '[ACGT]{20}\.\.\.'"):
        check_reads_dna(tokenizer, tmp_path, rows=10)


def test_a_word_of_too_many_letters_is_named_as_the_cause(tmp_path):
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [*specials, *"ACGT", *(f"##{letter}" for letter in "ACGT")]
    tokenizer = made(tmp_path, words, do_lower_case=False)
    with pytest.raises(TokenizerError, match="a long one is a word of too many letters to it"):
        check_reads_dna(tokenizer, tmp_path, rows=30)


def test_a_tokenizer_of_far_fewer_words_than_rows_is_said(tmp_path, caplog):
    tokenizer = made(tmp_path, saved_models.kmer_words(3), {"spaced": 3}, do_lower_case=False)
    check_reads_dna(tokenizer, tmp_path, rows=128)
    assert not caplog.records
    check_reads_dna(tokenizer, tmp_path, rows=500)
    assert "has 69 words, but the model has 500 rows" in caplog.text
