"""Records of anybody's file: FASTA, FASTQ, a table or one a line, gzipped or not."""

import io
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import dnaio
from absl import logging

from geneb_jax.config import Letters
from geneb_jax.tasks.content import line_of, read_content
from geneb_jax.tasks.letters import field_refusal, refusal, unusual
from geneb_jax.tasks.tabular import ENDINGS, first_problems, read_table, shown

Records = tuple[list[str], list[str]]  # names and sequences

FASTA = (".fa", ".fasta", ".fna")
FASTQ = (".fq", ".fastq")
SEQUENCE_COLUMNS = ("sequence", "text", "seq")
_NAME_COLUMNS = ("id", "name")


def read_sequences(path: Path, letters: Letters = "as-is") -> Records:
    """Reads the records of a file by its ending, in any case, with .gz or not.

    .fa, .fasta and .fna are FASTA, .fq and .fastq FASTQ, .csv, .tsv and .parquet tables with a
    column `sequence`, `text` or `seq`; a .txt file holds one sequence a line, and blank lines at
    its end alone. White space around
    sequences, and within those of FASTA, is dropped; letters are kept as they are. A warning
    names the first of repeated names, and the first record with unusual letters.

    Args:
        path: The file.
        letters: How the caller prepares the sequences: no warning is of letters that this changes.

    Returns:
        Names and sequences. A record of FASTA and FASTQ is named by its header's first word; a
        table's row by its column `id`, or else `name`, where there is one; others by their
        number, from 0.

    Raises:
        ValueError: The file cannot be read as its ending says, or holds no record, or one that is
            empty or no sequence; the first three of these are named with their lines.
    """
    name = path.name.lower().removesuffix(".gz")
    kind = next((ending for ending in _READERS if name.endswith(ending)), None)
    if kind is None:
        raise ValueError(
            f"{path}: '{Path(name).suffix}' is not a known ending; valid: {', '.join(_READERS)}"
        )
    names, sequences = _READERS[kind](path)
    if not sequences:
        raise ValueError(f"{path} holds no record")
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        logging.warning(
            "%s: %d record names are repeated, first '%s'", path, len(repeated), repeated[0]
        )
    odd = unusual(sequences, lambda i: f"'{names[i]}'", letters)
    if odd:
        logging.warning("%s: %s", path, odd)
    return names, sequences


class _FastaRecord(NamedTuple):
    """What dnaio makes of a record; its class takes ASCII alone, in names too."""

    name: str
    sequence: str
    qualities: str | None


def _fasta(path: Path) -> Records:
    # Lines that begin with ';' are comments, as in Pearson's first FASTA; dnaio drops '#' alone.
    text = re.sub(r"(?m)^;.*$", "", _text(path))
    # dnaio decodes by the locale, whatever that is: it gets ASCII, with escapes.
    escaped = text.replace("\\", r"\\").encode("ascii", "backslashreplace").decode()
    names, sequences = [], []
    try:
        reader = dnaio.FastaReader(
            io.BytesIO(escaped.encode()),
            sequence_class=_FastaRecord,  # pyright: ignore[reportArgumentType] (it takes any)
        )
        for record in reader:
            names.append(_name(_unescaped(record.name), len(names)))
            sequences.append("".join(_unescaped(record.sequence).split()))
    except dnaio.FastaFormatError as error:
        line = (error.line or 0) + 1
        raise ValueError(f"{path}: line {line} is a sequence before any '>' header") from error
    lines = enumerate(escaped.split("\n"), 1)
    headers = [number for number, line in lines if line.lstrip().startswith(">")]
    _check_records(path, names, sequences, headers, digits=True)
    return names, sequences


def _unescaped(text: str) -> str:
    return text.encode("ascii").decode("unicode_escape")


def _fastq(path: Path) -> Records:
    # Blank lines at the end are no record; an empty quality line behind '+' is one.
    content = re.sub(r"(?<=[^+\n])\n+\Z", "\n", _text(path)).encode()
    names, sequences = [], []
    try:
        for record in dnaio.FastqReader(io.BytesIO(content)):
            names.append(_name(record.name, len(names)))
            sequences.append(record.sequence)
    except dnaio.FastqFormatError as error:
        raise ValueError(f"{path} is not a FASTQ file: {error}") from error
    headers = range(1, 4 * len(names), 4)  # dnaio takes records of four lines alone
    _check_records(path, names, sequences, headers)
    return names, sequences


def _name(header: str, number: int) -> str:
    """Returns the first word of a header; without one, the record's number."""
    words = header.split()
    return words[0] if words else str(number)


def _check_records(
    path: Path,
    names: Sequence[str],
    sequences: Sequence[str],
    headers: Sequence[int],
    *,
    digits: bool = False,
) -> None:
    """Raises ValueError for records that are empty or hold what no sequence does.

    Args:
        path: The file.
        names: Names of its N records.
        sequences: Their sequences.
        headers: The line of the file, from 1, in which each begins.
        digits: See `refusal`.
    """
    problems = [
        f"{path}: record '{name}' (line {line}) {reason}"
        + ("; give it a sequence or remove it" if not sequence else "")
        for name, sequence, line in zip(names, sequences, headers, strict=True)
        if (reason := refusal(sequence, digits=digits))
    ]
    if problems:
        raise ValueError("\n".join(first_problems(problems, str(path))))


def _table(path: Path) -> Records:
    table = read_table(path, str(path))
    sequences = table.column(*SEQUENCE_COLUMNS)
    column = next((name for name in _NAME_COLUMNS if table.has(name)), None)
    given = table.column(column) if column else [""] * len(sequences)
    called = [f" of record '{name}'" if name else "" for name in given]
    problems = [
        f"sequence {shown(sequence)!r}{called[row]} in {table.where(row)} {reason}"
        for row, sequence in enumerate(sequences)
        if (reason := field_refusal(sequence))
    ]
    if problems:
        raise ValueError("\n".join(first_problems(problems, table.name)))
    return [name or str(row) for row, name in enumerate(given)], sequences


def _lines(path: Path) -> Records:
    sequences = [line.strip() for line in _text(path).rstrip().split("\n")]
    if sequences == [""]:
        return [], []
    # A blank line would shift the numbers of those below, by which people keep labels.
    problems = [
        f"line {number} of {path}, {shown(line)!r}, {reason}"
        + ("; give it a sequence or remove it" if not line else "")
        for number, line in enumerate(sequences, 1)
        if (reason := refusal(line))
    ]
    if problems:
        raise ValueError("\n".join(first_problems(problems, str(path))))
    return [str(i) for i in range(len(sequences))], sequences


def _text(path: Path) -> str:
    """Reads a UTF-8 file; its lines, however they end there, end with a newline."""
    content = read_content(path, str(path))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = line_of(error.object, error.start)
        raise ValueError(f"{path} cannot be read: line {line} is not UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


# Reads a file of each ending; .gz behind it is unpacked.
_READERS: Mapping[str, Callable[[Path], Records]] = {
    **dict.fromkeys(FASTA, _fasta),
    **dict.fromkeys(FASTQ, _fastq),
    ".txt": _lines,
    **{ending: _table for ending in ENDINGS if not ending.endswith(".gz")},
}
