"""One task in one representation of a model: its probes, and the files that take what they gave."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from geneb_jax.config import ProbeSettings
from geneb_jax.devices.programs import make_room_for_programs
from geneb_jax.embedding.source import Representation
from geneb_jax.files.atomic import write_whole
from geneb_jax.scoring.cells import Cell
from geneb_jax.scoring.heads import head_columns, probes_of
from geneb_jax.scoring.predictions import predictions_file, with_earlier_heads
from geneb_jax.tasks.task import Task
from probes import evaluate_task, host_memory


class Probed(NamedTuple):
    """What the probes of a task gave.

    Attributes:
        rows: Rows of scores.csv, one a head.
        predictions: The file of predictions (see `predictions_file`); empty: it is not kept.
    """

    rows: pd.DataFrame
    predictions: bytes = b""


class Asked(NamedTuple):
    """What is fitted, and what of each head is kept beside its scores.

    Attributes:
        probes: What is fitted.
        predictions: Whether predictions are kept.
        decision_values: Whether they and decision values are, in all tasks that are asked for.
        other_strand: Whether predictions on the other strand are, where a model gives features.
    """

    probes: ProbeSettings
    predictions: bool
    decision_values: bool
    other_strand: bool = False


def probe(
    asked: Asked,
    name: str,
    task: Task,
    representation: Representation,
    features: tuple[np.ndarray, np.ndarray],
    turned: np.ndarray | None = None,
) -> Probed:
    """Fits and scores the probes of a task.

    Args:
        asked: What is fitted.
        name: The model's name.
        task: The task.
        representation: What is probed.
        features: Of its train and test rows, float32 [N_train, D] and [N_test, D].
        turned: Of its test rows on the other strand, float32 [N_test, D]; None: not asked for.
    """
    make_room_for_programs()
    x_train, x_test = features
    heads = evaluate_task(
        x_train,
        task.train.labels,
        x_test,
        task.test.labels,
        probes=probes_of(asked.probes),
        shots=asked.probes.regimes,
        seeds=asked.probes.seeds,
        x_more=turned if asked.other_strand else None,
    )
    columns = {
        "model": name,
        **representation.columns,
        "task": task.info.id,
        "category": task.info.category,
    }
    rows = pd.DataFrame([columns | head_columns(head) for head in heads])
    if not (asked.predictions or asked.decision_values or asked.other_strand):
        return Probed(rows)
    values, on_other = asked.decision_values, asked.other_strand and turned is not None
    return Probed(
        rows, predictions_file(task, heads, rows, decision_values=values, turned=on_other)
    )


def probing_memory(asked: Asked, task: Task, widths: Sequence[int]) -> int | None:
    """Returns the bytes that `probe` takes beside features; None: it must run alone.

    Args:
        asked: What is fitted.
        task: The task.
        widths: Widths D of the features; none: they are not known.
    """
    if not widths:
        return None
    return host_memory(task.train.labels, max(widths), probes_of(asked.probes))


def keep(probed: Probed, cell: Cell, predictions: Path) -> None:
    """Writes what the probes of a task gave, beside what others of these features have given.

    Args:
        probed: What they gave.
        cell: Takes the rows.
        predictions: The file that takes the predictions, where there are some.

    Raises:
        CellError: Reading would refuse the rows.
    """
    content = probed.predictions
    if content:
        # Rows of other features, as of other weights, are none of the cell's, and are replaced.
        if predictions.is_file() and len(cell.read()):
            content = with_earlier_heads(content, predictions)
        write_whole(predictions, content)
    cell.add(probed.rows)


def to_json(probed: Probed) -> dict[str, Any]:
    """Returns what another process is sent; floats keep all digits."""
    return {
        "columns": list(probed.rows.columns),
        "rows": probed.rows.to_numpy(object).tolist(),
        "predictions": base64.b64encode(probed.predictions).decode(),
    }


def from_json(sent: Mapping[str, Any]) -> Probed:
    """Returns what `to_json` was given."""
    rows = pd.DataFrame(sent["rows"], columns=sent["columns"])
    return Probed(rows, base64.b64decode(sent["predictions"]))
