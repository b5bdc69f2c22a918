"""Checks of config values: each takes what the config holds and returns what the program uses.

A check raises a ValueError that names the value and what would be valid; whoever calls it knows
the field's name.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from geneb_jax.benchmark import GENEB

OF_PRESET = "preset"  # among taps and poolings: the one of each model's preset
_FINAL_TAP = -1
_NAMED_TAP = re.compile(r"[a-z]+[1-9][0-9]{0,8}")
_MOST_NAMES = 8  # of a hint
_PROCESS = re.compile(r"(\d+)/(\d+)@(\S+:(\d+))")
_PORTS = range(1, 2**16)  # of TCP; 0 would be any free one, which nobody else knows


def nearest(value: str, valid: Iterable[str], shown_by: str = "geneb-jax run --help") -> str:
    """Returns a hint for a wrong name: the valid names like it, or the first of them.

    Args:
        value: The wrong name.
        valid: The valid names.
        shown_by: The command that shows all of them, which is named where the hint does not.
    """
    valid = list(valid)
    if near := difflib.get_close_matches(str(value), valid, n=3, cutoff=0.5):
        return f"; did you mean {' or '.join(near)}?"
    rest = len(valid) - _MOST_NAMES
    more = f" and {rest} more; see `{shown_by}`" if rest > 0 else ""
    return f"; valid: {', '.join(valid[:_MOST_NAMES])}{more}"


def items(value: Any) -> tuple[Any, ...]:
    """Returns the items of a comma list, a tuple or a single value, without repeats."""
    listed = value.split(",") if isinstance(value, str) else value
    listed = listed if isinstance(listed, Iterable) else (listed,)
    stripped = [item.strip() if isinstance(item, str) else item for item in listed]
    for item in stripped:
        if not isinstance(item, str | int | float) or isinstance(item, bool):
            raise ValueError(f"{item!r} is no name or number; give text with commas, or a tuple")
    distinct = tuple(dict.fromkeys(item for item in stripped if item != ""))
    if not distinct:
        raise ValueError("nothing is named; name at least one")
    return distinct


def names(value: Any) -> tuple[str, ...]:
    """Returns the items of a list of names; see `items`."""
    listed = items(value)
    for item in listed:
        if not isinstance(item, str):
            raise ValueError(f"{item!r} is not a name")
    return listed


def comma_list(value: Any) -> str:
    """Returns a list of names as one text, with commas."""
    return ",".join(names(value))


def one_of(*valid: str) -> Callable[[Any], str]:
    """Returns a check that takes one of some names."""

    def check(value: Any) -> str:
        if value not in valid:
            raise ValueError(f"{value!r} is not valid{nearest(value, valid)}")
        return value

    return check


def some_of(valid: Callable[[], Sequence[str]]) -> Callable[[Any], tuple[str, ...]]:
    """Returns a check that takes several of some names; they are asked for at the check alone."""

    def check(value: Any) -> tuple[str, ...]:
        return tuple(map(one_of(*valid()), items(value)))

    return check


def at_least(low: int) -> Callable[[Any], int]:
    """Returns a check that takes an integer of at least `low`."""

    def check(value: Any) -> int:
        number = _number(value, int)
        if number < low:
            raise ValueError(f"{value} is below {low}")
        return number

    return check


def positive(value: Any) -> float:
    """Returns a number above 0."""
    number = _number(value, float)
    if not 0 < number < float("inf"):
        raise ValueError(f"{value!r} is not a number above 0")
    return number


def _number(value: Any, kind: type) -> Any:
    what = "an integer" if kind is int else "a number"
    try:
        number = kind(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{value!r} is not {what}") from None
    if isinstance(value, bool) or (isinstance(value, float) and number != value):
        raise ValueError(f"{value!r} is not {what}")
    return number


def flag(value: Any) -> bool:
    """Takes True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is not True or False")
    return value


def text(value: Any) -> str:
    """Takes anything as text."""
    return str(value)


def seeds(value: Any) -> tuple[int, ...]:
    """Takes seeds of NumPy's RandomState, 0 .. 2**32 - 1."""
    numbers = tuple(_number(item, int) for item in items(value))
    for seed in numbers:
        if not 0 <= seed < 2**32:
            raise ValueError(f"seed {seed} is not in 0 .. 2**32 - 1")
    return numbers


def taps(value: Any) -> tuple[int | str, ...]:
    """Takes numbers and names of hidden states, and 'preset'; `all` becomes the empty tuple."""
    listed = items(value)
    return () if "all" in listed else tuple(map(_tap, listed))


def _tap(item: Any) -> int | str:
    if item == OF_PRESET or (isinstance(item, str) and _NAMED_TAP.fullmatch(item)):
        return item
    number = _number(item, int)
    if number < _FINAL_TAP:
        raise ValueError(
            f"no hidden state {number}; valid: {OF_PRESET} (the model's), {_FINAL_TAP} (final), "
            "0 (embedding), 1, 2, ... (blocks), all"
        )
    return number


def window(value: Any) -> str | tuple[int, int]:
    """Takes 'model', 'none', or letters of a window and of its stride as 1024/512 or 1024."""
    if value in ("model", "none"):
        return value
    match = re.fullmatch(r"([1-9]\d{0,8})(?:/([1-9]\d{0,8}))?", str(value))
    if not match:
        raise ValueError(f"{value!r} is not valid; say LETTERS/STRIDE, such as 1024/512, or none")
    letters = int(match[1])
    stride = int(match[2]) if match[2] else max(letters // 2, 1)
    if stride > letters:
        raise ValueError(f"{value!r}: a stride above the window leaves letters out")
    return letters, stride


def strengths(value: Any) -> tuple[float, ...]:
    """Takes positive numbers."""
    numbers = tuple(_number(item, float) for item in items(value))
    for strength in numbers:
        if not 0 < strength < float("inf"):
            raise ValueError(f"{strength} is not a positive number")
    return numbers


def shots(value: Any) -> tuple[int | None, ...]:
    """Takes regimes and returns the rows of each class that they show a probe; None: all."""
    rows: list[int | None] = []
    for regime in names(value):
        match = re.fullmatch(r"([1-9]\d*)shot", regime)
        if regime != "full" and not match:
            raise ValueError(
                f"{regime!r} is not valid{nearest(regime, GENEB.regimes)} (any number of shots, "
                "such as 5shot, is)"
            )
        rows.append(int(match.group(1)) if match else None)
    return tuple(rows)


def directory(value: Any) -> Path | None:
    """Takes a folder that is there; an empty value becomes None."""
    if not value:
        return None
    if not isinstance(value, str | Path):
        raise ValueError(f"{value!r} is not a folder's name")
    path = local_path(value)
    if not path.is_dir():
        raise ValueError(f"{value}: no such folder")
    return path


def any_path(value: Any) -> str:
    """Takes a path of any file system, also gs://, which may not be there yet."""
    address = str(value)
    return str(local_path(address)) if address.startswith("~") else address


def local_path(value: str | Path) -> Path:
    """Takes a path on a local disk; a leading `~` is a home folder.

    Raises:
        ValueError: There is no such user.
    """
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ValueError(f"{value}: there is no user of this name; write ./~ for a file") from None


def model_axis(value: Any) -> int:
    """Takes `model=N` and returns N, the devices that share a model's parameters."""
    match = re.fullmatch(r"model=([1-9]\d*)", str(value))
    if not match:
        raise ValueError(f"{value!r} is not valid; say model=N, such as model=4")
    return int(match.group(1))


def processes(value: Any) -> str:
    """Takes '', 'auto', or 'I/N@HOST:PORT' for process I of N."""
    if value not in ("", "auto"):
        explicit_process(str(value))
    return value


def explicit_process(address: str) -> tuple[str, int, int]:
    """Returns the coordinator's HOST:PORT, the number of processes and the number of this one.

    Args:
        address: 'I/N@HOST:PORT' for process I of N.

    Raises:
        ValueError: The text is of another form, I is not below N, or there is no such port.
    """
    match = _PROCESS.fullmatch(address)
    if not match:
        raise ValueError(
            f"{address!r} is not valid; say auto, or I/N@HOST:PORT for process I of N (from 0) "
            "with the first one's address, such as 0/2@10.0.0.1:7000"
        )
    if int(match[1]) >= int(match[2]):
        raise ValueError(
            f"{address!r}: there is no process {match[1]} of {match[2]}; their numbers begin with 0"
        )
    if int(match[4]) not in _PORTS:
        raise ValueError(
            f"{address!r}: there is no port {match[4]}; name one from {_PORTS[0]} to {_PORTS[-1]}"
        )
    return match[3], int(match[2]), int(match[1])
