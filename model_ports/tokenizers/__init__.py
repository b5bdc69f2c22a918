"""Tokenizers: records as text to token ids, special tokens and truncation included."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from model_ports.tokenizers.auto import auto_tokenizer
from model_ports.tokenizers.base import Tokenizer, TokenizerError
from model_ports.tokenizers.bases import bases_tokenizer
from model_ports.tokenizers.character import character_tokenizer
from model_ports.tokenizers.dna_gpt import dna_gpt_tokenizer
from model_ports.tokenizers.generator import generator_tokenizer
from model_ports.tokenizers.json_file import json_tokenizer
from model_ports.tokenizers.kmer import kmer_tokenizer
from model_ports.tokenizers.overlapping import overlapping_tokenizer
from model_ports.tokenizers.utf8 import utf8_tokenizer

# Each makes a tokenizer from the checkpoint's folder (None: random weights without files) and
# the options that the catalog states.
KINDS: Mapping[str, Callable[[Path | None, Mapping[str, Any]], Tokenizer]] = {
    "kmer": kmer_tokenizer,
    "overlapping-kmer": overlapping_tokenizer,
    "json": json_tokenizer,
    "auto": auto_tokenizer,
    "character": character_tokenizer,
    "utf-8": utf8_tokenizer,
    "bases": bases_tokenizer,
    "generator": generator_tokenizer,
    "dna-gpt": dna_gpt_tokenizer,
}


def build_tokenizer(folder: Path | None, options: Mapping[str, Any]) -> Tokenizer:
    """Returns the tokenizer that a catalog entry's `tokenizer` field describes.

    Raises:
        TokenizerError: Unknown kind, or a file is missing or malformed.
    """
    kind = options["kind"]
    if kind not in KINDS:
        raise TokenizerError(f"tokenizer kind '{kind}' is not known: {', '.join(KINDS)}")
    return KINDS[kind](folder, options)
