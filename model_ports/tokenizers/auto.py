"""Tokenizers whose files the library transformers reads, without any code of a repository.

These are folders without tokenizer.json: vocab.txt (WordPiece, ESM), vocab.json with merges.txt,
SentencePiece's .model files.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from model_ports.tokenizers.base import PRINTABLE, TokenizerError, letters_of, require_folder
from model_ports.tokenizers.spaced import spaced

# Files of a vocabulary that transformers reads; a folder without any gets an empty tokenizer of it.
_PLAIN = ("vocab.txt", "vocab.json")
_SENTENCEPIECE = ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "spm.model")
VOCABULARIES = (*_PLAIN, *_SENTENCEPIECE)
# All that transformers makes a tokenizer of; it finds the class in config.json.
FILES = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "merges.txt", *VOCABULARIES),
)
_SHOWN = 300  # letters of an error of the library
_CHUNK = 10_000  # records handed over at once; bounds the memory of the encodings


@dataclass(frozen=True)
class AutoTokenizer:
    """A tokenizer of transformers, which is given records as they are or as k-mers in a row.

    Attributes:
        tokenizer: A `PreTrainedTokenizerBase`.
        letters: What is done to a record before it is tokenized.
        spaced: k of a vocabulary of overlapping k-mers, which records are written as (see
            `spaced.spaced`); None: they are given as they are.
        pad_id: See `Tokenizer`.
    """

    tokenizer: Any
    letters: Callable[[str], str]
    spaced: int | None
    pad_id: int

    @property
    def unknown_id(self) -> int | None:
        """The id of what the vocabulary lacks; None: the tokenizer has no such token."""
        return self.tokenizer.unk_token_id

    @property
    def model_name(self) -> str:
        """The way to tokens: 'BPE', 'WordPiece', 'Unigram', 'WordLevel', or the library's class."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        return type(backend.model if backend else self.tokenizer).__name__

    @property
    def vocab_size(self) -> int:
        """The largest id that letters can give plus one; see `Tokenizer.vocab_size`."""
        added = self.tokenizer.added_tokens_decoder.values()
        never = {token.content for token in added if not token.content.isalpha()} | {""}
        ids = [i for token, i in self.tokenizer.get_vocab().items() if token not in never]
        given = [self.unknown_id, *self.tokenizer("")["input_ids"]]
        return max(*ids, *(i for i in given if i is not None)) + 1

    @property
    def specials(self) -> int:
        """The special tokens of the template, and one for a space put in front; see `Tokenizer`."""
        return 1 + self.tokenizer.num_special_tokens_to_add(pair=False)

    @property
    def known_letters(self) -> str:
        """The characters that a token is written with; see `Tokenizer.known_letters`."""
        library, k = self.tokenizer, self.spaced or 1

        def known(letter: str) -> bool:
            ids = library(self.letters(letter) * k, add_special_tokens=False)["input_ids"]
            found = library.convert_ids_to_tokens([i for i in ids if i != self.unknown_id])
            written = "".join(found)
            return f"<0x{ord(letter):02X}>" in written or letter.casefold() in written.casefold()

        return "".join(filter(known, PRINTABLE))

    def encode(self, sequences: Sequence[str], max_tokens: int | None) -> list[np.ndarray]:
        """Returns the ids of each record, cut before the template's closing tokens.

        Raises:
            TokenizerError: The library cannot read the records.
        """
        encoded = []
        for start in range(0, len(sequences), _CHUNK):
            chunk = sequences[start : start + _CHUNK]
            texts = [spaced(self.letters(sequence), self.spaced) for sequence in chunk]
            try:
                batch = self.tokenizer(
                    texts,
                    truncation=max_tokens is not None,
                    max_length=max_tokens,
                    return_attention_mask=False,
                    verbose=False,  # no word on records longer than model_max_length
                )
            except Exception as error:  # whatever a tokenizer raises on letters that it lacks
                raise TokenizerError(f"the tokenizer cannot read the records: {error}") from error
            encoded += [np.array(ids, np.int32) for ids in batch["input_ids"]]
        return encoded


def auto_tokenizer(folder: Path | None, options: Mapping[str, Any]) -> AutoTokenizer:
    """Builds the tokenizer from the folder's files with `transformers.AutoTokenizer`.

    No code of the folder is run, and nothing is fetched.

    Args:
        folder: The checkpoint's folder.
        options: Optionally `letters`, a name of `LETTERS`, `spaced`, see `AutoTokenizer`, and
            `truncation`, the end at which long records are cut, 'right' or 'left'. Where the
            vocabulary has no token for padding, which the mask hides, its first id stands for it.

    Raises:
        TokenizerError: The files are missing, or transformers cannot read them.
    """
    folder = require_folder(folder)
    if not any((folder / name).is_file() for name in VOCABULARIES):
        raise TokenizerError(
            f"{folder}: no tokenizer.json and no vocabulary ({', '.join(VOCABULARIES)}); copy them "
            "from the model's repository, or state `tokenizer` in the model's catalog file"
        )
    if not find_spec("sentencepiece") and not any((folder / name).is_file() for name in _PLAIN):
        raise TokenizerError(
            f"{folder}: its tokenizer is SentencePiece's; install the extra 'sentencepiece', or "
            "bring the model's tokenizer.json"
        )
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from transformers import AutoTokenizer as Library  # noqa: PLC0415 (it takes seconds)

    try:
        tokenizer = Library.from_pretrained(
            str(folder), trust_remote_code=False, local_files_only=True
        )
        tokenizer("ACGT")  # some are found to be wrong when they are used alone
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # of any kind, also panics of Rust
        reason = " ".join(str(error).split()) or type(error).__name__
        reason = reason if len(reason) <= _SHOWN else f"{reason[:_SHOWN]}..."
        raise TokenizerError(
            f"{folder}: transformers cannot read the tokenizer's files ({reason}); bring the "
            "model's tokenizer.json, or tokenizer_config.json beside its vocabulary"
        ) from error
    tokenizer.truncation_side = options.get("truncation", "right")
    pad_id = tokenizer.pad_token_id
    pad_id = 0 if pad_id is None else pad_id
    return AutoTokenizer(tokenizer, letters_of(options), options.get("spaced"), pad_id)
