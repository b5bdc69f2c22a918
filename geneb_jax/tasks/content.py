"""The bytes of a file that somebody wrote, gzipped or not."""

import gzip
import re
import zlib
from pathlib import Path

_GZIP_MAGIC = b"\x1f\x8b"  # RFC 1952, section 2.3.1
_LINE_END = re.compile(rb"\r\n|\r|\n")


def read_content(path: Path, name: str) -> bytes:
    """Reads a file; one whose name ends with .gz, in any case, is unpacked.

    Args:
        path: The file.
        name: What errors call it.

    Raises:
        ValueError: The file cannot be read, or is damaged, or is gzipped and not named so.
    """
    try:
        content = path.read_bytes()
        if path.suffix.lower() == ".gz":
            return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{name} cannot be read: {error}") from error
    if content.startswith(_GZIP_MAGIC):
        raise ValueError(f"{name} is gzipped; let its name end with .gz")
    return content


def line_of(content: bytes, offset: int) -> int:
    """Returns the line, from 1, that a byte stands in; lines end with LF, CR LF or CR."""
    return len(_LINE_END.findall(content, 0, offset)) + 1
