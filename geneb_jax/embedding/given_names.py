"""What somebody calls a model of their own: `NAME=` before `hf:` and `embeddings:`."""

import re

from model_ports import catalog

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_TAKEN = re.compile(r"all|more|kmer-\d+|shortcut-.*", re.IGNORECASE)
_SHOWN = 100  # letters of a name in an error


def split_name(name: str, prefix: str) -> tuple[str, str] | None:
    """Splits `PREFIX...` or `NAME=PREFIX...` into what the model is called and what follows.

    Args:
        name: An item of `config.models`.
        prefix: The kind of source that is asked for, such as 'hf:'.

    Returns:
        NAME, '' where none is given, and what stands behind the prefix; None: the item is of
        another kind.

    Raises:
        ValueError: See `check_name`.
    """
    if name.startswith(prefix):
        return "", name.removeprefix(prefix)
    given, separator, rest = name.partition(f"={prefix}")
    if not separator:
        return None
    check_name(given, f"NAME={prefix}{rest}")
    return given, rest


def check_name(given: str, mend: str) -> None:
    """Checks what a model is called.

    Args:
        given: The name.
        mend: How another name is given, for the error.

    Raises:
        ValueError: The name is not made of letters, digits, points, dashes and underscores, or is
            that of another model.
    """
    shown = given[:_SHOWN]
    if not _NAME.fullmatch(given) or given in (".", ".."):
        raise ValueError(
            f"'{shown}' is no name of a model, which has letters, digits, . _ and -; give one as "
            f"in {mend}"
        )
    if _TAKEN.fullmatch(given) or catalog.find(given):
        raise ValueError(f"'{shown}' is the name of another model; give a new one as in {mend}")
