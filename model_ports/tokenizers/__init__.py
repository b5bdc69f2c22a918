"""Tokenizers: records as text to token ids, special tokens and truncation included."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from model_ports.tokenizers.auto import auto_tokenizer
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
    """

    build: Callable[[Path | None, Mapping[str, Any]], Tokenizer]
    needed: Sequence[str] = ()
    optional: Sequence[str] = ()


KINDS: Mapping[str, Kind] = {
    "kmer": Kind(kmer_tokenizer, ("k", "layout")),
    "overlapping-kmer": Kind(overlapping_tokenizer, ("k",)),
    "json": Kind(
        json_tokenizer, (), ("pad", "letters", "prefix", "spaced", "truncation", "without")
    ),
    "auto": Kind(auto_tokenizer, (), ("letters", "spaced", "truncation")),
    "character": Kind(
        character_tokenizer, ("letters", "unknown", "pad"), ("prefix", "suffix", "dropped")
    ),
    "utf-8": Kind(utf8_tokenizer, ("pad",)),
    "bases": Kind(bases_tokenizer, ("uracil", "centred")),
    "generanno": Kind(generanno_tokenizer),
    "generator": Kind(generator_tokenizer, ("k",)),
    "dna-gpt": Kind(dna_gpt_tokenizer, ("k", "dynamic_kmer")),
}


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
