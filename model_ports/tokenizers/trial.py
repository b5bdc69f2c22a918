"""Whether a tokenizer that nobody has seen before reads DNA: a trial on seeded random records."""

from pathlib import Path

import numpy as np
from absl import logging

from model_ports.tokenizers.auto import AutoTokenizer
from model_ports.tokenizers.base import TokenizerError
from model_ports.tokenizers.json_file import JsonTokenizer

_RECORDS = 100
_LONGEST = 300  # letters of a record; the shortest has one
_SURELY = 16  # letters; a record of more makes a token, for no tokenizer joins so many
_UNKNOWN = 0.01  # share of unknown tokens from which on a tokenizer is not one of DNA
_MEND = (
    "bring the tokenizer.json of the model, or the tokenizer_config.json that belongs to its "
    "vocabulary"
)


def trial_records() -> list[str]:
    """Returns A, C, G and T, and a hundred random records of 1 to 300 of these letters."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, _LONGEST + 1, _RECORDS)
    return [*"ACGT", *("".join(generator.choice(list("ACGT"), length)) for length in lengths)]


def check_reads_dna(tokenizer: JsonTokenizer | AutoTokenizer, folder: Path, rows: int) -> None:
    """Refuses a tokenizer that makes nothing, unknown tokens or ids without a row of DNA.

    Args:
        tokenizer: It.
        folder: Its folder, for the error.
        rows: Rows of the model's embedding table.

    Raises:
        TokenizerError: Says what is wrong, and what to bring.
    """
    records = trial_records()
    (nothing,) = tokenizer.encode([""], None)
    encoded = tokenizer.encode(records, None)
    for record, ids in zip(records, encoded, strict=True):
        if len(record) > _SURELY and len(ids) <= len(nothing):
            raise TokenizerError(
                f"{folder}: the tokenizer makes no token of '{record[:20]}...'; {_MEND}"
            )
    words = len(tokenizer.tokenizer.get_vocab())
    if 2 * words < rows:
        logging.warning(
            "%s: the tokenizer has %d words, but the model has %d rows: is it this model's?",
            *(folder, words, rows),
        )
    joined = np.concatenate(encoded)
    if joined.max(initial=0) >= rows:
        raise TokenizerError(
            f"{folder}: the tokenizer gives the id {joined.max()} to DNA, but the model has {rows} "
            "rows; bring the tokenizer that the model was trained with"
        )
    # The template's tokens are not counted, one of which may have the unknown token's id.
    tokens = len(joined) - len(encoded) * len(nothing)
    unknown_id = tokenizer.unknown_id
    unknown = int(np.sum(joined == unknown_id) - len(encoded) * np.sum(nothing == unknown_id))
    if unknown >= _UNKNOWN * tokens:
        raise TokenizerError(
            f"{folder}: the tokenizer reads {unknown} of {tokens} tokens of random DNA as unknown "
            f"({_why(tokenizer)}); {_MEND}"
        )


def _why(tokenizer: JsonTokenizer | AutoTokenizer) -> str:
    """Returns what is likely the cause of unknown tokens, in a few words."""
    vocabulary = tokenizer.tokenizer.get_vocab()
    short, long = (tokenizer.encode(["ACGT" * n], None)[0] for n in (2, _LONGEST // 4))
    if tokenizer.unknown_id not in short and tokenizer.unknown_id in long:
        return "it reads short records, but a long one is a word of too many letters to it"
    upper, lower = ({w for w in vocabulary if w and set(w) <= set(b)} for b in ("ACGT", "acgt"))
    if upper and not lower:
        return 'its words are upper-case: "do_lower_case": false may be missing'
    if lower and not upper:
        return 'its words are lower-case: "do_lower_case": true may be missing'
    return "its words are not those of DNA, or a whole record is one word to it"
