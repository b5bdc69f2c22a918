"""What tells a checkpoint from others: the contents of the files that a port is built from."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geneb_jax.files.digests import folder_facts
from model_ports.loading.adapter import adapter_files
from model_ports.loading.tensors import CheckpointError, is_weight_file, weight_files

# The config, what a fixture states of itself, and the tokenizer's files. Others, such as a model
# card or the log of a training, change no number.
TEXT_FILES = (
    "config.json",
    "meta.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "spm.model",
)


def text_files(folder: Path) -> list[Path]:
    """Returns the config, tokenizer files and meta.json that a checkpoint folder has."""
    return [folder / name for name in TEXT_FILES if (folder / name).is_file()]


def text_facts(folder: Path) -> dict[str, dict[str, Any]]:
    """Returns size and SHA-256 of a folder's `text_files`, by name.

    Raises:
        CheckpointError: A file cannot be read.
    """
    return _facts(folder, text_files(folder))


def checkpoint_facts(folder: Path) -> dict[str, dict[str, Any]]:
    """Returns size and SHA-256 of a checkpoint's text and weight files, by name.

    All bytes are hashed; a large file is hashed again only after it has changed.

    Raises:
        CheckpointError: A file cannot be read.
    """
    return _facts(folder, [*text_files(folder), *weight_files(folder)])


def _facts(folder: Path, paths: list[Path]) -> dict[str, dict[str, Any]]:
    try:
        return folder_facts(folder, paths)
    except OSError as error:
        raise CheckpointError(f"{error.filename}: cannot be read: {error.strerror}") from error


def weights_id(facts: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns 'sha256:' and a digest of the names and contents of a checkpoint's files.

    Args:
        facts: At least the `sha256` of each file, by name. Files that are neither text nor weight
            files do not count: manifests of older versions name some.
    """
    return _digest({n: f for n, f in facts.items() if n in TEXT_FILES or is_weight_file(n)})


def adapter_id(adapter: Path) -> str:
    """Returns 'sha256:' and a digest of the names and contents of an adapter's files.

    Raises:
        CheckpointError: A file is missing or cannot be read.
    """
    return _digest(_facts(adapter, adapter_files(adapter)))


def _digest(facts: Mapping[str, Mapping[str, Any]]) -> str:
    lines = (f"{name} {known['sha256']}\n" for name, known in sorted(facts.items()))
    return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"
