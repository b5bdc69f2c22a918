"""Files that are there in full or not at all."""

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etils import epath


def write_whole(path: "Path | epath.Path", content: bytes) -> None:
    """Writes a file so that it is there in full or not at all, whoever else writes it.

    Args:
        path: On a local disk, or in a bucket (gs://), where any file appears in full. Folders are
            made where they are missing.
        content: Its bytes.

    Raises:
        OSError: It cannot be written, as on a full disk; names the file, and leaves nothing of it.
    """
    if "://" in str(path):
        path.write_bytes(content)
        return
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            temporary.replace(path)  # pyright: ignore (of the same kind as `path`)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        # Paths of `etils` raise errors without a number.
        reason = error.strerror or " ".join(str(error).split())
        raise OSError(error.errno, f"cannot be written: {reason}", str(path)) from error
