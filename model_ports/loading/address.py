"""Where a checkpoint is: a folder, a folder with an adapter, or a repository on the hub."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from model_ports.loading.adapter import base_of, is_adapter
from model_ports.loading.tensors import CheckpointError

_REPOSITORY = re.compile(r"([\w-][\w.-]*/[\w.-]+)(?:@([\w.-]*))?", re.ASCII)
_SHOWN = 200  # letters of an address in an error


class Address(NamedTuple):
    """A checkpoint's folder, or its repository.

    Attributes:
        folder: The folder; None: it is on the hub.
        adapter: The folder of a LoRA adapter that is merged into it; None: there is none.
        repo: The repository, ORG/NAME; '' of a folder.
        revision: Its revision as it is given; '' of a folder and where none is given.
    """

    folder: Path | None
    adapter: Path | None = None
    repo: str = ""
    revision: str = ""

    @property
    def name(self) -> str:
        """The last part of its path, or of the repository's name."""
        folder = self.adapter or self.folder
        return folder.resolve().name if folder else Path(self.repo).name

    @property
    def path(self) -> str | None:
        """FOLDER or FOLDER+ADAPTER_FOLDER from the root; None: it is on the hub."""
        parts = [str(part.resolve()) for part in (self.folder, self.adapter) if part]
        return "+".join(parts) or None


def parse_address(text: str, path: Callable[[str], Path] = Path) -> Address:
    """Reads FOLDER, FOLDER+ADAPTER_FOLDER or ORG/NAME@REVISION.

    What is a folder on the disk counts as one. The folder of an adapter alone stands for the base
    that its adapter_config.json names, where that is a local folder, with the adapter.

    Args:
        text: The address.
        path: Makes a path of a text.

    Raises:
        CheckpointError: There is no such folder, and the address is not one of the hub.
    """
    if not text:
        raise CheckpointError("no such folder: nothing is named; write . for this one")
    first, plus, second = text.rpartition("+")
    folder, adapter = path(text), None
    if plus and not folder.is_dir():
        folder, adapter = path(first), path(second)
        if not adapter.is_dir():
            raise CheckpointError(f"{adapter}: no such adapter folder")
    if folder.is_dir():
        if adapter is None and is_adapter(folder):
            folder, adapter = base_of(folder), folder
        return Address(folder, adapter)
    if adapter is None and (match := _REPOSITORY.fullmatch(text)):
        return Address(None, None, match.group(1), match.group(2) or "")
    raise CheckpointError(
        f"{str(folder)[:_SHOWN]}: no such folder; name one, or a repository on the hub as "
        "ORG/NAME@REVISION"
    )
