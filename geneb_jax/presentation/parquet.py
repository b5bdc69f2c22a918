"""Scores and predictions as Parquet files, for programs that read columns.

The files hold no time and no name of a host: the same input gives the same bytes, with the same
version of pyarrow.
"""

import importlib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from geneb_jax.files.atomic import temporary_name
from geneb_jax.files.names import file_name
from geneb_jax.scoring.scores import COLUMNS, HEAD_COLUMNS

_COMPRESSION = "zstd"


def _arrow() -> tuple[ModuleType, ModuleType]:
    """Returns the modules pyarrow and pyarrow.parquet, which an extra installs."""
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ValueError(
            "Parquet files need the package pyarrow, which is not installed: "
            "pip install 'geneb-jax[parquet]'"
        ) from error


def _types(pa: ModuleType) -> dict[str, Any]:
    """Returns the type of a column by its kind in scores.csv; texts that repeat are kept once."""
    return {
        "text": pa.dictionary(pa.int32(), pa.string()),
        "truth": pa.bool_(),
        "integer": pa.int64(),
        "number": pa.float64(),
    }


def write_scores_parquet(scores: pd.DataFrame, path: Path) -> None:
    """Writes a scores table with the columns of scores.csv, in their order.

    Texts are dictionaries of strings, truths bool, integers int64, numbers float64; a metric that
    is missing is null.

    Args:
        scores: See `scores.read_scores`.
        path: The file.

    Raises:
        ValueError: pyarrow is not installed.
        OSError: The file cannot be written.
    """
    pa, _ = _arrow()
    types = _types(pa)
    kinds = {name: COLUMNS[name].kind if name in COLUMNS else "number" for name in map(str, scores)}
    arrays = [pa.array(scores[name], types[kind], from_pandas=True) for name, kind in kinds.items()]
    schema = pa.schema([(name, types[kind]) for name, kind in kinds.items()])
    _write(path, schema, iter([pa.table(arrays, schema=schema)]))


def write_predictions_parquet(
    workdir: Path, models: Mapping[str, str], tasks: Mapping[str, str], path: Path
) -> tuple[int, int]:
    """Writes the predictions that a run kept, one row a head and test row.

    The columns are model, representation ('' for what the preset pools), task, those that tell
    heads apart in scores.csv, row (int32, the test row from 0), label and prediction (int32) and
    scores (list of float32: the decision value of two classes, else one a class; null where the
    run kept none).

    Args:
        workdir: Its folder `predictions` holds the files of `intervals` or `save_predictions`.
        models: Names of models by the names of their folders.
        tasks: Ids of tasks by the names of their files.
        path: The file.

    Returns:
        How many rows were written, and how many of the run's files have no decision values.

    Raises:
        ValueError: pyarrow is not installed, there are no predictions, or a file is damaged.
        OSError: The file cannot be written.
    """
    pa, _ = _arrow()
    types = _types(pa)
    schema = pa.schema(
        [
            *((name, types["text"]) for name in ("model", "representation", "task")),
            *((name, types[COLUMNS[name].kind]) for name in HEAD_COLUMNS),
            *((name, pa.int32()) for name in ("row", "label", "prediction")),
            ("scores", pa.list_(pa.float32())),
        ]
    )
    folder = workdir / "predictions"
    files = sorted(folder.rglob("*.npz"))
    if not files:
        raise ValueError(
            f"{folder} holds no predictions; give the run's command again with "
            "--config.save_predictions=True"
        )

    without = 0

    def tables() -> Iterator[Any]:
        nonlocal without
        for file in files:
            model, *between = file.relative_to(folder).parts[:-1]
            names = (models.get(model, model), "".join(between), tasks.get(file.stem, file.stem))
            table = _heads_table(pa, schema, file, names)
            without += int(table["scores"].null_count > 0)
            yield table

    return _write(path, schema, tables()), without


def _heads_table(pa: ModuleType, schema: Any, file: Path, names: tuple[str, str, str]) -> Any:
    """Returns the table of one file of `predictions.predictions_file`."""
    try:
        with np.load(file) as archive:
            held = {name: archive[name] for name in archive.files}
        predictions = held["predictions"]
        heads, rows = predictions.shape
        values = None
        if "scores" in held:  # with save_predictions alone
            values = held["scores"].reshape(heads * rows, -1).astype(np.float32)
        columns = {
            **{
                name: np.repeat(np.array([value], object), heads * rows)
                for name, value in zip(("model", "representation", "task"), names, strict=True)
            },
            **{name: np.repeat(held[name].astype(object), rows) for name in HEAD_COLUMNS},
            "row": np.tile(np.arange(rows), heads),
            "label": np.tile(held["labels"], heads),
            "prediction": predictions.ravel(),
        }
    except Exception as error:  # a damaged archive fails in whatever layer meets the damage first
        raise ValueError(f"{file}: no predictions of a run: {error}") from error
    arrays = [pa.array(values, schema.field(name).type) for name, values in columns.items()]
    if values is None:
        lists = pa.nulls(heads * rows, schema.field("scores").type)
    else:
        offsets = pa.array(np.arange(heads * rows + 1) * values.shape[1], pa.int32())
        lists = pa.ListArray.from_arrays(offsets, pa.array(values.ravel(), pa.float32()))
    return pa.table([*arrays, lists], schema=schema)


def _write(path: Path, schema: Any, tables: Iterator[Any]) -> int:
    """Writes tables into one file, which appears whole or not at all; returns its rows."""
    _, parquet = _arrow()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{temporary_name(uuid.uuid4().hex)}")
    rows = 0
    try:
        with parquet.ParquetWriter(temporary, schema, compression=_COMPRESSION) as writer:
            for table in tables:
                writer.write_table(table)
                rows += table.num_rows
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return rows


def by_file_name(names: Iterable[str]) -> dict[str, str]:
    """Returns names of models or tasks by the names of their files."""
    return {file_name(name): name for name in names}
