"""What the paper publishes: the scores of 40 models, their labels, and the figures it prints."""

import functools
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

import pandas as pd

from geneb_jax.benchmark import GENEB
from geneb_jax.config import PaperVersion
from geneb_jax.scoring.scores import METRIC_COLUMNS
from model_ports.catalog import entries

PUBLISHED = "published"  # the source's name in configs and on the command line
_UNITS = {"M": 1e6, "B": 1e9}


def paper_names() -> dict[str, str]:
    """Returns the names that the paper gives the models, by model id."""
    return {entry.id: entry.paper_name for entry in entries().values()}


def published_results() -> pd.DataFrame:
    """Returns the results table (see `presentation.results`) of the published submissions.

    Source: GENEB's repository, submissions of commit 095e35fdb411 (Apache-2.0), MCC to six
    decimals; the other metrics are missing values. Models go by their names in the paper.
    """
    wide = _read_csv("published_mcc.csv")
    categories = {task.id: task.category for task in GENEB.tasks}
    long = wide.melt(["model_id", "task_id"], var_name="regime", value_name="MCC")
    return pd.DataFrame(
        {
            "model": long["model_id"].map(paper_names()),
            "regime": long["regime"].str.removeprefix("mcc_"),
            "category": long["task_id"].map(categories),
            "task": long["task_id"],
            "MCC": long["MCC"],
        }
        | dict.fromkeys(METRIC_COLUMNS[1:], float("nan"))
    )


def published_leaderboard() -> pd.DataFrame:
    """Returns the published leaderboard.

    Returns:
        Index: the model's name in the paper and the regime; columns macro, micro and the 13
        categories: mean MCC.
    """
    table = _read_csv("published_leaderboard.csv").drop(columns="params")
    return table.assign(model=table["model"].map(paper_names())).set_index(["model", "regime"])


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
        size = changed.get("params")
        params = float(size[:-1]) * _UNITS[size[-1]] if size else float(entry.params)
        rows[entry.paper_name] = {**entry.labels, **changed, "params": params}
    return pd.DataFrame.from_dict(rows, orient="index")


@functools.cache
def paper() -> Mapping[str, Any]:
    """Returns the figures that the paper prints, and its lists of model pairs."""
    file = resources.files("geneb_jax") / "data" / "paper.json"
    return json.loads(file.read_text(encoding="utf-8"))


@functools.cache
def _read_csv(name: str) -> pd.DataFrame:
    with (resources.files("geneb_jax") / "data" / name).open() as file:
        return pd.read_csv(file)
