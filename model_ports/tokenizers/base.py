"""The protocol of tokenizers, which turn records into token ids."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from geneb_jax.files.json_files import read_object
from geneb_jax.files.texts import FileError, read_text

PRINTABLE = "".join(map(chr, range(33, 127)))  # ASCII, without white space
_ID = re.compile("[0-9]{1,9}")  # fits int32
_MOST_K = 8  # 5 ** 8 k-mers are the most that a table of them is made for


def _upper_else_n(sequence: str) -> str:
    return re.sub("[^ACGT]", "N", sequence.strip().upper())


# What is done to a record before it is tokenized: by some extractors, or for a vocabulary.
LETTERS: Mapping[str, Callable[[str], str]] = {
    "as-is": lambda sequence: sequence,
    "lower": str.lower,
    "upper": str.upper,
    "upper-ACGT-else-N": _upper_else_n,
}


class TokenizerError(ValueError):
    """Raised for a tokenizer file that is missing or malformed."""


class Tokenizer(Protocol):
    """What every tokenizer offers."""

    @property
    def pad_id(self) -> int:
        """The id that fills a padded row."""
        ...

    @property
    def vocab_size(self) -> int:
        """A number above every id of a record of ASCII letters."""
        ...

    @property
    def specials(self) -> int:
        """How many tokens more than letters a record of ASCII letters has at most."""
        ...

    @property
    def known_letters(self) -> str:
        """The printable ASCII characters that stay themselves in a record's ids.

        Others become an unknown token or nothing, or share the id of another letter. Both cases
        of a letter, or U and T, may share one.
        """
        ...

    def encode(self, sequences: Sequence[str], max_tokens: int | None) -> list[np.ndarray]:
        """Returns the int32 ids of each record, special tokens included, without padding.

        Args:
            sequences: Records as the task files hold them.
            max_tokens: Records are cut to this many ids, special tokens counted; None: no limit.
        """
        ...


@dataclass(frozen=True)
class AbsentTokenizer:
    """Stands where a tokenizer's files are not there: nothing can be tokenized.

    Attributes:
        reason: What is missing.
    """

    reason: str
    pad_id: int = 0
    vocab_size: int = 0
    specials: int = 0
    known_letters: str = ""

    def encode(self, sequences: Sequence[str], max_tokens: int | None) -> list[np.ndarray]:
        """Refuses.

        Raises:
            TokenizerError: Always; says what is missing.
        """
        del sequences, max_tokens
        raise TokenizerError(self.reason)


def require_folder(folder: Path | None, name: str = "the tokenizer's folder") -> Path:
    """Returns the folder of a tokenizer's files.

    Args:
        folder: The folder; None: there is none.
        name: What is needed of it, for the error.

    Raises:
        TokenizerError: There is none.
    """
    if folder is None:
        raise TokenizerError(
            f"{name} is needed to tokenize, with random weights too: "
            "put the model's tokenizer files into its folder under checkpoints_dir; "
            "`geneb-jax models fetch MODEL --to DIR` fetches them with the weights"
        )
    return folder


def require_file(folder: Path | None, name: str) -> Path:
    """Returns the path of a tokenizer file.

    Raises:
        TokenizerError: It is not there; says where it is looked for.
    """
    folder = require_folder(folder, name)
    if not (folder / name).is_file():
        raise TokenizerError(f"{folder}: no {name}; copy it from the model's repository")
    return folder / name


def file_text(path: Path) -> str:
    """Returns the text of a tokenizer file.

    Raises:
        TokenizerError: It cannot be read.
    """
    try:
        return read_text(path)
    except FileError as error:
        raise TokenizerError(str(error)) from error


def file_fields(path: Path) -> dict[str, Any]:
    """Returns the fields of a JSON file that describes a tokenizer.

    Raises:
        TokenizerError: It cannot be read, or holds no JSON object.
    """
    try:
        return read_object(path)
    except FileError as error:
        raise TokenizerError(str(error)) from error


def file_ids(path: Path) -> dict[str, int]:
    """Returns the ids of a vocabulary of lines 'piece id'; blank lines are passed over.

    Raises:
        TokenizerError: The file cannot be read, or a line is another.
    """
    ids = {}
    for line in filter(str.strip, file_text(path).splitlines()):
        piece, _, number = line.partition(" ")
        if not _ID.fullmatch(number.strip()):
            raise TokenizerError(f"{path}: line {line[:40]!r} is not 'piece id'")
        ids[piece] = int(number)
    return ids


def letters_of(options: Mapping[str, Any]) -> Callable[[str], str]:
    """Returns what `letters` of a tokenizer's options does to a record; without it nothing.

    Raises:
        TokenizerError: It is no name of `LETTERS`.
    """
    name = options.get("letters", "as-is")
    if name not in LETTERS:
        raise TokenizerError(
            f"letters of a tokenizer is {str(name)[:40]!r}; valid: {', '.join(LETTERS)}"
        )
    return LETTERS[name]


def check_k(path: Path, k: Any) -> int:
    """Returns the length of k-mers that a file states.

    Raises:
        TokenizerError: It is no integer from 1 to 8.
    """
    if type(k) is not int or not 1 <= k <= _MOST_K:
        raise TokenizerError(f"{path}: k is {str(k)[:40]!r}, not an integer from 1 to {_MOST_K}")
    return k
