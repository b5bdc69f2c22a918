"""Tokenizers: records as text to token ids, special tokens and truncation included."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from model_ports.tokenizers.auto import FILES, auto_tokenizer
from model_ports.tokenizers.base import Tokenizer, TokenizerError
from model_ports.tokenizers.bases import bases_tokenizer
from model_ports.tokenizers.character import character_tokenizer
from model_ports.tokenizers.dna_gpt import dna_gpt_tokenizer
from model_ports.tokenizers.generanno import generanno_tokenizer
from model_ports.tokenizers.generator import generator_tokenizer
from model_ports.tokenizers.json_file import json_tokenizer
from model_ports.tokenizers.kmer import kmer_tokenizer
from model_ports.tokenizers.overlapping import overlapping_tokenizer
from model_ports.tokenizers.utf8 import utf8_tokenizer

_SHOWN = 60  # letters of an option in an error


class Kind(NamedTuple):
    """A kind of tokenizer.

    Attributes:
        build: Makes it from the checkpoint's folder (None: random weights without files) and the
            options that the catalog states.
        needed: Names of options that must be stated.
        optional: Names of the others.
        reads: Names of files in the folder that it is made of, where they are there.
    """

    build: Callable[[Path | None, Mapping[str, Any]], Tokenizer]
    needed: Sequence[str] = ()
    optional: Sequence[str] = ()
    reads: Sequence[str] = ()


KINDS: Mapping[str, Kind] = {
    "kmer": Kind(kmer_tokenizer, ("k", "layout"), reads=("vocab.txt",)),
    "overlapping-kmer": Kind(overlapping_tokenizer, ("k",), reads=("vocab.txt",)),
    "json": Kind(
        json_tokenizer,
        (),
        ("pad", "letters", "prefix", "spaced", "truncation", "without"),
        ("tokenizer.json",),
    ),
    "auto": Kind(auto_tokenizer, (), ("letters", "spaced", "truncation"), FILES),
    "character": Kind(
        character_tokenizer, ("letters", "unknown", "pad"), ("prefix", "suffix", "dropped")
    ),
    "utf-8": Kind(utf8_tokenizer, ("pad",)),
    "bases": Kind(bases_tokenizer, ("uracil", "centred")),
    "generanno": Kind(generanno_tokenizer, reads=("vocab.txt",)),
    "generator": Kind(generator_tokenizer, ("k",), reads=("vocab.txt", "tokenizer_config.json")),
    "dna-gpt": Kind(dna_gpt_tokenizer, ("k", "dynamic_kmer"), reads=("config.json",)),
}


def read_files(folder: Path, options: Mapping[str, Any], built: Tokenizer) -> Sequence[str]:
    """Returns the names of files that make a tokenizer another than it is without any.

    Args:
        folder: The checkpoint's folder.
        options: As for `build_tokenizer`.
        built: What it built of them.
    """
    names = KINDS[options["kind"]].reads
    there = [name for name in names if (folder / name).is_file()]
    try:
        bare = build_tokenizer(None, options) if there else built
    except TokenizerError:  # it takes files to build one
        return there
    return [] if _alike(bare, built) else there


def _alike(first: Tokenizer, second: Tokenizer) -> bool:
    fields = [vars(each) for each in (first, second)]
    return type(first) is type(second) and all(
        np.array_equal(value, fields[1][name])
        if isinstance(value, np.ndarray)
        else value == fields[1][name]
        for name, value in fields[0].items()
    )


def build_tokenizer(folder: Path | None, options: Mapping[str, Any]) -> Tokenizer:
    """Returns the tokenizer that a catalog entry's `tokenizer` field describes.

    Raises:
        TokenizerError: The kind is not known, an option is missing, not known or not valid, or a
            file is missing or malformed.
    """
    name = options["kind"]
    if name not in KINDS:
        raise TokenizerError(
            f"tokenizer kind '{name[:_SHOWN]}' is not known; known: {', '.join(KINDS)}"
        )
    kind = KINDS[name]
    known = (*kind.needed, *kind.optional)
    for option in kind.needed:
        if option not in options:
            raise TokenizerError(f"tokenizer kind '{name}': option '{option}' is missing")
    for option in sorted(options.keys() - {"kind", *known}):
        raise TokenizerError(
            f"tokenizer kind '{name}': there is no option '{option[:_SHOWN]}'; it has "
            f"{', '.join(known)}"
        )
    try:
        return kind.build(folder, options)
    except TokenizerError:
        raise
    # What Python raises on a value of another type or range than the option has.
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        raise TokenizerError(
            f"tokenizer kind '{name}': an option is not valid ({str(error)[:_SHOWN]}); see that of "
            "a model in model_ports/data"
        ) from error
