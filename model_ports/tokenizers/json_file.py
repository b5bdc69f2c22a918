"""Tokenizers that a checkpoint's tokenizer.json describes, run by the Rust library `tokenizers`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer as RustTokenizer

from model_ports.tokenizers.base import (
    PRINTABLE,
    Tokenizer,
    TokenizerError,
    letters_of,
    require_file,
)
from model_ports.tokenizers.character import character_tokenizer
from model_ports.tokenizers.spaced import spaced

_TRIAL = "ACGTN"
_SHOWN = 300  # letters of an error of the library
_CHUNK = 10_000  # records handed over at once; bounds the memory of the encodings


@dataclass(frozen=True)
class JsonTokenizer:
    """A tokenizer.json with the special tokens of its template, or with a prefix instead.

    Attributes:
        tokenizer: What the file describes.
        letters: What is done to a record before it is tokenized.
        prefix: Ids in front, instead of the template's; empty: the template's.
        pad_id: See `Tokenizer`.
        spaced: k of a vocabulary of overlapping k-mers, which records are written as (see
            `spaced.spaced`); None: they are given as they are.
        truncation: The end at which long records are cut, 'right' or 'left'.
    """

    tokenizer: RustTokenizer
    letters: Callable[[str], str]
    prefix: tuple[int, ...]
    pad_id: int
    spaced: int | None = None
    truncation: str = "right"

    @property
    def unknown_id(self) -> int | None:
        """The id of what the vocabulary lacks; None: the tokenizer has no such token."""
        unknown = getattr(self.tokenizer.model, "unk_token", None)
        return None if unknown is None else self.tokenizer.token_to_id(unknown)

    @property
    def model_name(self) -> str:
        """What the library calls the way to tokens: 'BPE', 'WordPiece', 'Unigram', 'WordLevel'."""
        return type(self.tokenizer.model).__name__

    @property
    def vocab_size(self) -> int:
        """The largest id that letters can give plus one; see `Tokenizer.vocab_size`."""
        added = self.tokenizer.get_added_tokens_decoder().values()
        # Added tokens are found in a record as they are written; an empty one never is.
        never = {token.content for token in added if not token.content.isalpha()} | {""}
        given = [self.unknown_id, *self.prefix, *self.tokenizer.encode("").ids]
        ids = [i for token, i in self.tokenizer.get_vocab().items() if token not in never]
        return max(*ids, *(i for i in given if i is not None)) + 1

    @property
    def specials(self) -> int:
        """The special tokens of the template, and one for a space put in front; see `Tokenizer`."""
        return 1 + (len(self.prefix) or self.tokenizer.num_special_tokens_to_add(is_pair=False))

    @property
    def known_letters(self) -> str:
        """The characters that a token is written with; see `Tokenizer.known_letters`."""
        unknown = getattr(self.tokenizer.model, "unk_token", None)

        def known(letter: str) -> bool:
            text = self.letters(letter) * (self.spaced or 1)
            tokens = self.tokenizer.encode(text, add_special_tokens=False).tokens
            written = "".join(token for token in tokens if token != unknown)
            byte = f"<0x{ord(letter):02X}>"  # of a vocabulary that falls back to bytes
            return byte in tokens or letter.casefold() in written.casefold()

        return "".join(filter(known, PRINTABLE))

    def encode(self, sequences: Sequence[str], max_tokens: int | None) -> list[np.ndarray]:
        """Returns the ids of each record, cut before the template's closing tokens.

        Raises:
            TokenizerError: The file has no token for a letter, and names none for such letters.
        """
        if max_tokens is None:
            self.tokenizer.no_truncation()
        else:
            self.tokenizer.enable_truncation(
                max_tokens - len(self.prefix), direction=self.truncation
            )
        encoded = []
        for start in range(0, len(sequences), _CHUNK):
            chunk = sequences[start : start + _CHUNK]
            texts = [spaced(self.letters(sequence), self.spaced) for sequence in chunk]
            # The prefix replaces the special tokens of the template.
            try:
                batch = self.tokenizer.encode_batch_fast(texts, add_special_tokens=not self.prefix)
            except Exception as error:  # the library raises no other, as for an unknown token
                raise TokenizerError(f"tokenizer.json cannot read the records: {error}") from error
            encoded += [np.array([*self.prefix, *encoding.ids], np.int32) for encoding in batch]
        return encoded


def json_tokenizer(folder: Path | None, options: Mapping[str, Any]) -> Tokenizer:
    """Builds the tokenizer from the folder's tokenizer.json.

    Args:
        folder: The checkpoint's folder.
        options: Optionally `pad`, the padding token (without it the first id stands for padding,
            which the mask hides); `letters`, a name of `LETTERS`; `prefix`, tokens put in front
            instead of the template's; `spaced` and `truncation`, see `JsonTokenizer`; `without`,
            the options of `character_tokenizer` that read DNA alike where there is no file.

    Raises:
        TokenizerError: The file is missing, malformed, or lacks a token.
    """
    letters = letters_of(options)
    if "without" in options and not (folder and (folder / "tokenizer.json").is_file()):
        return character_tokenizer(folder, options["without"])
    path = require_file(folder, "tokenizer.json")
    try:
        tokenizer = RustTokenizer.from_file(str(path))
        tokenizer.encode(_TRIAL)  # some files are found to be wrong when they are used alone
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the library raises bare Exceptions, and panics of Rust
        reason = " ".join(str(error).split())
        reason = reason if len(reason) <= _SHOWN else f"{reason[:_SHOWN]}..."
        raise TokenizerError(f"{path}: not a tokenizer file: {reason}") from error
    # Padding and truncation that the file carries would override those of the port.
    tokenizer.no_padding()
    tokenizer.no_truncation()

    def token_id(token: str) -> int:
        found = tokenizer.token_to_id(token)
        if found is None:
            raise TokenizerError(
                f"{path}: no token '{token}'; take the file of the model's repository"
            )
        return found

    return JsonTokenizer(
        tokenizer,
        letters,
        tuple(map(token_id, options.get("prefix", ()))),
        token_id(options["pad"]) if "pad" in options else 0,
        options.get("spaced"),
        options.get("truncation", "right"),
    )
