"""Text files that somebody or an earlier run wrote."""

from pathlib import Path


class FileError(ValueError):
    """A file cannot be read as what it must be; the message, one line, begins with its path."""


def read_text(path: Path) -> str:
    """Returns the text of a UTF-8 file, with or without byte order mark.

    Raises:
        FileError: It is missing, cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: not UTF-8 at byte {error.start}") from error
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}") from error
