"""What the paper publishes: the scores of 40 models, their labels, and the figures it prints.

A results table is what the analysis reads, whatever its source: one row a model, regime and task
with the columns of `RESULT_COLUMNS`, each score the mean over seeds.
"""

import functools
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any, Literal

import pandas as pd

from geneb_jax.benchmark import GENEB
from geneb_jax.scores import METRIC_COLUMNS, protocol_rows, task_means
from model_ports.catalog import entries

RESULT_COLUMNS = ("model", "regime", "category", "task", *METRIC_COLUMNS)
PaperVersion = Literal["v1", "v4"]
_UNITS = {"M": 1e6, "B": 1e9}


def published_results() -> pd.DataFrame:
    """Returns the results table of the published submissions.

    Source: GENEB's repository, submissions of commit 095e35fdb411 (Apache-2.0), MCC to six
    decimals; accuracy and macro F1 are missing values. Models go by their names in the paper.
    """
    with (resources.files("geneb_jax") / "data" / "published_mcc.csv").open() as file:
        wide = pd.read_csv(file)
    names = {entry.id: entry.paper_name for entry in entries().values()}
    categories = {task.id: task.category for task in GENEB.tasks}
    long = wide.melt(["model_id", "task_id"], var_name="regime", value_name="MCC")
    return pd.DataFrame(
        {
            "model": long["model_id"].map(names),
            "regime": long["regime"].str.removeprefix("mcc_"),
            "category": long["task_id"].map(categories),
            "task": long["task_id"],
            "MCC": long["MCC"],
            "accuracy": float("nan"),
            "macro_F1": float("nan"),
        }
    )


def run_results(scores: pd.DataFrame) -> pd.DataFrame:
    """Returns the results table of a run's scores table: its rows after GENEB's protocol.

    Raises:
        ValueError: No row follows the protocol, or a model stands there with several presets,
            precisions, taps or poolings.
    """
    rows = protocol_rows(scores)
    if rows.empty:
        raise ValueError(
            "no row follows GENEB's protocol (logistic, solver geneb, C = 1, features as they are)"
        )
    ways = rows.groupby("model")[["preset", "dtype", "tap", "pooling"]].nunique().max(axis=1)
    if (ways > 1).any():
        raise ValueError(
            f"several presets, precisions, taps or poolings of {', '.join(ways[ways > 1].index)}; "
            "keep the rows of one"
        )
    names = {entry.id: entry.paper_name for entry in entries().values()}
    means = task_means(rows)[list(RESULT_COLUMNS)]
    return means.assign(model=means["model"].replace(names))


def model_labels(version: PaperVersion = "v1") -> pd.DataFrame:
    """Returns what the paper says of its 40 models.

    Args:
        version: The paper's first version, whose labels its printed statistics are of, or its
            fourth.

    Returns:
        Index: the name in the paper; columns params (a count), architecture, tokenization,
        pretraining.
    """
    rows = {}
    for entry in entries().values():
        changed = entry.labels_paper_v1 if version == "v1" else {}
        labels = dict(entry.labels) | dict(changed)
        size = changed.get("params")
        labels["params"] = float(size[:-1]) * _UNITS[size[-1]] if size else float(entry.params)
        rows[entry.paper_name] = labels
    return pd.DataFrame.from_dict(rows, orient="index")


@functools.cache
def paper() -> Mapping[str, Any]:
    """Returns the figures that the paper prints, and its lists of model pairs."""
    file = resources.files("geneb_jax") / "data" / "paper.json"
    return json.loads(file.read_text(encoding="utf-8"))
