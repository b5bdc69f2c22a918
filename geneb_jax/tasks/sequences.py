"""Records of anybody's file: FASTA, CSV or one a line, gzipped or not."""

import csv
import gzip
import io
from collections.abc import Callable, Mapping
from pathlib import Path

Records = tuple[list[str], list[str]]  # names and sequences

_SEQUENCE_COLUMNS = ("sequence", "text", "seq")
_NAME_COLUMNS = ("id", "name")


def read_sequences(path: Path) -> Records:
    """Reads the records of a file by its ending: .fa, .fasta, .fna, .csv or .txt, with .gz or not.

    White space around sequences is dropped; letters are kept as they are.

    Returns:
        Names and sequences. A FASTA record is named by its header's first word; a CSV row by its
        column `id` or `name`, where there is one; others by their number, from 0.

    Raises:
        ValueError: The file cannot be read as its ending says, holds no record or an empty one.
    """
    kind = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if kind.lower() not in _READERS:
        raise ValueError(f"{path}: '{kind}' is not a known ending; valid: {', '.join(_READERS)}")
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    names, sequences = _READERS[kind.lower()](path, text)
    if not sequences:
        raise ValueError(f"{path} holds no record")
    empty = [name for name, sequence in zip(names, sequences, strict=True) if not sequence]
    if empty:
        raise ValueError(f"{path}: record '{empty[0]}' is empty ({len(empty)} such records)")
    return names, sequences


def _fasta(path: Path, text: str) -> Records:
    names, parts = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(">"):
            words = line[1:].split()
            names.append(words[0] if words else str(len(names)))
            parts.append([])
        elif line.strip() and not line.startswith(";"):
            if not parts:
                raise ValueError(f"{path}: line {number} is a sequence before any '>' header")
            parts[-1].append("".join(line.split()))
    return names, ["".join(lines) for lines in parts]


def _csv(path: Path, text: str) -> Records:
    rows = csv.DictReader(io.StringIO(text))
    columns = rows.fieldnames or ()
    sequence = next((name for name in _SEQUENCE_COLUMNS if name in columns), None)
    if sequence is None:
        raise ValueError(
            f"{path}: no column {' or '.join(_SEQUENCE_COLUMNS)}; it has {', '.join(columns)}"
        )
    name = next((name for name in _NAME_COLUMNS if name in columns), None)
    table = list(rows)
    names = [str(i) if name is None else row[name] or str(i) for i, row in enumerate(table)]
    return names, [(row[sequence] or "").strip() for row in table]


def _lines(path: Path, text: str) -> Records:
    del path
    sequences = [line.strip() for line in text.splitlines() if line.strip()]
    return [str(i) for i in range(len(sequences))], sequences


_READERS: Mapping[str, Callable[[Path, str], Records]] = {
    ".fa": _fasta,
    ".fasta": _fasta,
    ".fna": _fasta,
    ".csv": _csv,
    ".txt": _lines,
}
