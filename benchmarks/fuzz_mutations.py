"""Damaged files: mutations of bytes, and of the structure that a file's name promises.

`damage` takes the content of a valid file and returns one that is wrong somewhere: cut, garbled, of
another type, with other keys, cells, shapes or dtypes. All chance comes from the generator that is
given, so that a number makes the same file again.
"""

# pyright: reportMissingImports=false

import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

_MOST_ROUNDS = 3
_ODD_VALUES = (
    None, True, False, 0, 1, -1, 2**31, 2**63, 10**40, 1e308, -0.5, float("nan"), float("inf"),
    "", " ", "x", "0", "-1", "é", "\0", "../x", "\n", "x" * 5000, "9" * 500, [], {}, [[]], ["x"],
    {"a": None}, [None], [1, "x"],
)  # fmt: skip
_ODD_BYTES = (
    b"", b"\0", b"\xff", b"\xef\xbb\xbf", b"\n", b"\r", b"\r\n", b'"', b",", b"\t", b";", b"'",
    b"{", b"}", b"[", b"]", b"null", b"NaN", b"-1", b"1e999", b">", b"@", b"+", b"#", b"\\",
    b"\xf0\x9f",
    "é".encode("latin-1"), b"\x1f\x8b", b"PK\x03\x04", b"9" * 400,
)  # fmt: skip
_ODD_ARRAYS: tuple[Callable[[], np.ndarray], ...] = (
    lambda: np.zeros((0, 3)),
    lambda: np.zeros((4, 0)),
    lambda: np.array(3.0),
    lambda: np.zeros((4, 3, 2)),
    lambda: np.full((4, 3), np.nan),
    lambda: np.full((4, 3), 1e300),
    lambda: np.full((4, 3), 1j),
    lambda: np.array([["a", "b"]] * 4),
    lambda: np.array([[1, "x"]] * 4, dtype=object),
    lambda: np.zeros((4, 3), ">i2"),
    lambda: np.zeros((4, 3), bool),
    lambda: np.zeros(4, "datetime64[s]"),
    lambda: np.zeros(4, [("a", "f4"), ("b", "i4")]),
)

Mutation = Callable[[bytes, random.Random], bytes]


def damage(name: str, content: bytes, rng: random.Random) -> bytes:
    """Returns a file's content with one to three mutations.

    Args:
        name: The file's name; its ending says which structure is mutated.
        content: A valid content.
        rng: What chance there is comes from it.
    """
    structure = next((STRUCTURES[ending] for ending in STRUCTURES if name.endswith(ending)), None)
    for _ in range(rng.randint(1, _MOST_ROUNDS)):
        if structure is not None and rng.random() < 0.7:
            try:
                content = structure(content, rng)
                continue
            except Exception:  # an earlier round has left no such structure
                pass
        content = damage_bytes(content, rng)
    return content


def damage_bytes(content: bytes, rng: random.Random) -> bytes:
    """Cuts, repeats, overwrites or inserts bytes, or replaces all of them."""
    start, end = sorted(rng.randint(0, len(content)) for _ in range(2))
    end = min(end, start + rng.choice((1, 4, 40, len(content) + 1)))
    before, middle, after = content[:start], content[start:end], content[end:]
    flipped = bytes(byte ^ (1 << rng.randrange(8)) for byte in middle)
    odd = rng.choice(_ODD_BYTES)
    return rng.choice(
        (
            before,
            before + after,
            before + middle + middle + after,
            before + odd + after,
            before + odd + middle + after,
            before + flipped + after,
            before + b"\0" * len(middle) + after,
            before + rng.randbytes(len(middle)) + after,
            rng.choice((b"", b"\0" * 100, rng.randbytes(200))),
            content.decode("latin-1").encode("utf-16"),
        )
    )


def _descend(tree: Any, rng: random.Random) -> tuple[Any, Any] | None:
    """Returns a container in a tree of JSON and one of its keys; None: the tree has none."""
    found = None
    while isinstance(tree, dict | list) and tree and (found is None or rng.random() < 0.6):
        key = rng.choice(list(tree) if isinstance(tree, dict) else range(len(tree)))
        found, tree = (tree, key), tree[key]
    return found


def damage_json(content: bytes, rng: random.Random) -> bytes:
    """Changes, removes, renames or nests a value, or replaces the whole."""
    tree = json.loads(content)
    found = _descend(tree, rng)
    kind = rng.randrange(12)
    if found is None or kind == 0:
        tree = rng.choice(_ODD_VALUES)
    else:
        container, key = found
        if kind == 1:
            del container[key]
        elif kind == 2 and isinstance(container, dict):
            container[rng.choice(("x", "", key + "x", key.upper()))] = container.pop(key)
        elif kind == 3:
            container[key] = [container[key]]
        elif kind == 4 and isinstance(container, list):
            container.insert(key, container[key])
        elif kind == 5:
            for _ in range(rng.choice((3, 2000))):
                container[key] = [container[key]]
        elif kind == 6 and isinstance(container[key], int | float):
            container[key] = str(container[key])
        elif kind == 7 and isinstance(container[key], str):
            container[key] = damage_bytes(container[key].encode(), rng).decode("utf-8", "replace")
        else:
            container[key] = rng.choice(_ODD_VALUES)
    try:
        return json.dumps(tree).encode()
    except RecursionError:
        return b"[" * 5000 + b"]" * 5000


def _damage_table(delimiter: str) -> Mutation:
    def mutation(content: bytes, rng: random.Random) -> bytes:
        """Changes, removes or repeats a cell, a row or a column."""
        rows = [line.split(delimiter) for line in content.decode().split("\n")]
        row = rng.randrange(len(rows))
        column = rng.randrange(len(rows[row]))
        kind = rng.randrange(9)
        if kind == 0:
            del rows[row][column]
        elif kind == 1:
            rows[row].insert(column, rows[row][column])
        elif kind == 2:
            del rows[row]
        elif kind == 3:
            rows.insert(rng.randrange(len(rows)), rows[row])
        elif kind == 4:
            rows = [cells[:column] + cells[column + 1 :] for cells in rows]
        elif kind == 5:
            rows = [
                cells[:column] + cells[column : column + 1] * 2 + cells[column:] for cells in rows
            ]
        elif kind == 6:
            other = rng.choice((";", "\t", ",", " "))
            return "\n".join(other.join(cells) for cells in rows).encode()
        else:
            value = rng.choice(_ODD_VALUES)
            rows[row][column] = value if isinstance(value, str) else json.dumps(value)
        return "\n".join(delimiter.join(cells) for cells in rows).encode()

    return mutation


def damage_lines(content: bytes, rng: random.Random) -> bytes:
    """Removes, repeats, empties or garbles a line."""
    lines = content.split(b"\n")
    row = rng.randrange(len(lines))
    kind = rng.randrange(5)
    if kind == 0:
        del lines[row]
    elif kind == 1:
        lines.insert(row, rng.choice(lines))
    elif kind == 2:
        lines[row] = b""
    elif kind == 3:
        lines[row] = lines[row][:1]
    else:
        lines[row] = damage_bytes(lines[row], rng)
    return b"\n".join(lines)


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def damage_npy(content: bytes, rng: random.Random) -> bytes:
    """Replaces the array, changes its dtype or shape, or garbles its header."""
    kind = rng.randrange(4)
    if kind == 0:
        return _npy(rng.choice(_ODD_ARRAYS)())
    if kind == 1:
        header = content.index(b"\n")
        return damage_bytes(content[:header], rng) + content[header:]
    if kind == 2:  # a header that promises another size
        digits = [i for i, byte in enumerate(content[:128]) if chr(byte).isdigit()]
        at = rng.choice(digits)
        return content[:at] + rng.choice((b"0", b"9", b"-1", b"9" * 12)) + content[at + 1 :]
    array = np.load(io.BytesIO(content))
    return _npy(rng.choice((array[1:], array.T, array.astype("f2"), array[None], array.ravel())))


def damage_npz(content: bytes, rng: random.Random) -> bytes:
    """Damages, removes, renames or repeats a member of an archive whose checksums are right."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    at = rng.randrange(len(members))
    name, member = members[at]
    kind = rng.randrange(6)
    if kind == 0:
        del members[at]
    elif kind == 1:
        members[at] = (rng.choice(("x.npy", "ids.npy", "train", "../train.npy")), member)
    elif kind == 2:
        members.append((name, rng.choice(members)[1]))
    else:
        members[at] = (name, damage_npy(member, rng))
    buffer = io.BytesIO()
    method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, member in members:
            archive.writestr(name, member)
    return buffer.getvalue()


def damage_safetensors(content: bytes, rng: random.Random) -> bytes:
    """Damages the header, whose length is made right again, or the tensors' bytes."""
    size = int.from_bytes(content[:8], "little")
    header, data = content[8 : 8 + size], content[8 + size :]
    kind = rng.randrange(4)
    if kind == 0:
        data = damage_bytes(data, rng)
    elif kind == 1:
        size = rng.choice((0, size + 1, 2**31, 2**63))
        return size.to_bytes(8, "little") + header + data
    else:
        header = damage_json(header, rng)
    return len(header).to_bytes(8, "little") + header + data


def damage_gzip(inner: Mutation) -> Mutation:
    """Returns a mutation of what is packed in a gzip file, which is whole again."""
    return lambda content, rng: gzip.compress(inner(gzip.decompress(content), rng), mtime=0)


def damage_parquet(content: bytes, rng: random.Random) -> bytes:
    """Replaces a column by one of another type, or renames or removes it."""
    import pandas as pd

    frame = pd.read_parquet(io.BytesIO(content))
    column = rng.choice(list(frame.columns))
    columns: Mapping[str, Any] = {
        "lists": [[1, 2]] * len(frame),
        "bytes": [b"\xff"] * len(frame),
        "dates": pd.Timestamp(0),
        "missing": None,
        "floats": float("nan"),
        "records": [{"a": 1}] * len(frame),
        "category": pd.Categorical(["a"] * len(frame)),
    }
    kind = rng.randrange(3)
    if kind == 0:
        frame = frame.drop(columns=column)
    elif kind == 1:
        frame = frame.rename(columns={column: rng.choice(("x", "", "text", "LABEL"))})
    else:
        frame[column] = columns[rng.choice(list(columns))]
    buffer = io.BytesIO()
    frame.head(rng.choice((0, len(frame)))).to_parquet(buffer)
    return buffer.getvalue()


def damage_torch(content: bytes, rng: random.Random) -> bytes:
    """Replaces a value of a pickled checkpoint by what is no dense tensor of weights."""
    import torch

    tensors = torch.load(io.BytesIO(content), weights_only=True)
    name = rng.choice(list(tensors))
    odd: tuple[Any, ...] = (
        1, None, "x", [torch.zeros(1)], torch.zeros(2, 2).to_sparse(),
        torch.zeros(2, device="meta"), torch.zeros(2, dtype=torch.complex64),
        torch.tensor(3), torch.full((2,), float("nan")),
        {"a": torch.zeros(1)}, torch.zeros(3).expand(5, 3), torch.zeros(0, 4),
    )  # fmt: skip
    kind = rng.randrange(4)
    if kind == 0:
        tensors = rng.choice(odd)
    elif kind == 1:
        tensors[rng.choice((1, None, "x", ("a", 1)))] = tensors.pop(name)
    else:
        tensors[name] = rng.choice(odd)
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    return buffer.getvalue()


# By the ending of a file's name, the longer first.
STRUCTURES: Mapping[str, Mutation] = {
    ".csv.gz": damage_gzip(_damage_table(",")),
    ".fa.gz": damage_gzip(damage_lines),
    ".csv": _damage_table(","),
    ".tsv": _damage_table("\t"),
    ".json": damage_json,
    ".npz": damage_npz,
    ".npy": damage_npy,
    ".safetensors": damage_safetensors,
    ".parquet": damage_parquet,
    ".bin": damage_torch,
    ".zarray": damage_json,
    ".fa": damage_lines,
    ".fq": damage_lines,
    ".txt": damage_lines,
    ".py": damage_lines,
}
