"""The report: one HTML file, opened without a network, of own scores beside the published ones."""

import base64
import math
from collections.abc import Mapping, Sequence
from importlib import metadata, resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jinja2
import markupsafe
import pandas as pd
import vl_convert

from geneb_jax.benchmark import CUSTOM, GENEB
from geneb_jax.config import PaperVersion
from geneb_jax.files.atomic import write_whole
from geneb_jax.presentation.figures import CAPTIONS
from geneb_jax.presentation.published import model_labels
from geneb_jax.presentation.results import labels_of, namesake
from geneb_jax.scoring.scores import METRIC_COLUMNS
from model_ports.catalog import entries

# What the charting library leaves to the page's script.
_EXPORTS = "window.vegaEmbed = vegaEmbed;"
_DECIMALS = 6  # of the scores, as in the published ones


def write_report(
    path: Path,
    results: pd.DataFrame,
    own: Sequence[str] = (),
    *,
    version: PaperVersion = "v1",
    statistics: pd.DataFrame | None = None,
    figures: Path | None = None,
    unfinished: Mapping[str, int] = MappingProxyType({}),
    provenance: Mapping[str, Any] | None = None,
    intervals: pd.DataFrame | None = None,
) -> None:
    """Writes the report.

    Args:
        path: The HTML file.
        results: Results table of everything that is shown.
        own: Models of `results` that are not the published ones.
        version: Whose labels to use.
        statistics: Table of the paper's statistics; None: that part is left out.
        figures: Folder of the figures' .svg files; None: that part is left out.
        unfinished: How many fits of each model met no tolerance (see `summary.unfinished_fits`).
        provenance: Content of run.json; None: the report is of published scores alone.
        intervals: Table `intervals_macro` (see `intervals.interval_tables`); None: there is none.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("geneb_jax", "data"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html.j2")
    text = template.render(
        data=report_data(results, own, version)
        | {"intervals": [] if intervals is None else intervals.to_dict("records")},
        statistics=_rows(statistics) if statistics is not None else [],
        figures=_figures(figures) if figures is not None else [],
        failures=(provenance or {}).get("failures", []),
        unseen=_unseen((provenance or {}).get("unseen", {})),
        unfinished=dict(unfinished),
        provenance=_provenance(provenance or {}),
        models=results["model"].nunique(),
        tasks=results["task"].nunique(),
        version=metadata.version("geneb-jax"),
        charts=markupsafe.Markup(vl_convert.javascript_bundle(_EXPORTS)),
        style=markupsafe.Markup(_data("report.css")),
        script=markupsafe.Markup(_data("report.js")),
    )
    write_whole(path, text.encode())


def report_data(
    results: pd.DataFrame, own: Sequence[str] = (), version: PaperVersion = "v1"
) -> dict[str, Any]:
    """Returns what the page's script reads, JSON-serialisable.

    Args:
        results: Results table.
        own: Models that are not the published ones.
        version: Whose labels to use.

    Returns:
        regimes, metrics and categories (names), tasks and models (lists of objects), and scores:
        by regime and metric a matrix [models, tasks] with null where there is no score.
    """
    models = list(dict.fromkeys(results["model"]))
    order = {task.id: i for i, task in enumerate(GENEB.tasks)}
    found = results.drop_duplicates("task").set_index("task")["category"]
    tasks = sorted(found.index, key=lambda task: (order.get(task, len(order)), task))
    info = {task.id: task for task in GENEB.tasks}
    labels = labels_of(models, model_labels(version)).to_dict("index")
    licences = {entry.paper_name: entry.licence_shown for entry in entries().values()}
    regimes = [name for name in GENEB.regimes if (results["regime"] == name).any()]
    regimes += sorted(set(results["regime"]) - set(regimes))
    categories = [name for name in (*GENEB.categories, CUSTOM) if name in set(found)]
    return {
        "regimes": regimes,
        "metrics": [name for name in METRIC_COLUMNS if results[name].notna().any()],
        "categories": categories,
        "tasks": [
            {
                "id": task,
                "label": info[task].label if task in info else task,
                "category": found[task],
            }
            for task in tasks
        ],
        "models": [
            {
                "name": model,
                "own": model in own,
                "licence": licences.get(namesake(model)),
                **labels.get(
                    model,
                    dict.fromkeys(("params", "architecture", "tokenization", "pretraining")),
                ),
            }
            for model in models
        ],
        "scores": {
            regime: {
                metric: _matrix(results[results["regime"] == regime], metric, models, tasks)
                for metric in METRIC_COLUMNS
                if results[metric].notna().any()
            }
            for regime in regimes
        },
    }


def _matrix(
    rows: pd.DataFrame, metric: str, models: list[str], tasks: list[str]
) -> list[list[float | None]]:
    table = rows.pivot(index="model", columns="task", values=metric)
    table = table.reindex(index=models, columns=tasks)
    return [
        [None if math.isnan(value) else round(value, _DECIMALS) for value in row]
        for row in table.to_numpy(float).tolist()
    ]


def _rows(statistics: pd.DataFrame) -> list[dict[str, str]]:
    shown = statistics[statistics["ours"].notna()]
    return [
        {
            "statistic": row["statistic"],
            "ours": _number(row["ours"]),
            "paper": _number(row["paper"]),
            "difference": _number(row["difference"], "+"),
            "note": row["note"],
        }
        for row in shown.to_dict("records")
    ]


def _number(value: float, sign: str = "") -> str:
    whole = float(value).is_integer()
    return f"{value:{sign}.0f}" if whole else f"{value:{sign}z.3f}"


def _figures(folder: Path) -> list[dict[str, str]]:
    """Figures as data addresses; an image of its own cannot reach into the page."""
    found = []
    for name, caption in CAPTIONS.items():
        path = folder / f"{name}.svg"
        if path.is_file():
            code = base64.b64encode(path.read_bytes()).decode()
            address = f"data:image/svg+xml;base64,{code}"
            found.append({"name": name, "caption": caption, "address": address})
    return found


def _unseen(content: Mapping[str, Any]) -> list[dict[str, str]]:
    """A row for each model and kind of records that it does not see in full, over all tasks."""
    rows = []
    for model, tasks in content.items():
        for kind in dict.fromkeys(kind for found in tasks.values() for kind in found):
            of_kind = {task: found[kind] for task, found in tasks.items() if kind in found}
            shares = {task: facts["records"] / facts["of"] for task, facts in of_kind.items()}
            most = max(shares, key=lambda task: shares[task])
            letters = {letter for facts in of_kind.values() for letter in facts.get("letters", "")}
            rows.append(
                {
                    "model": model,
                    "kind": kind,
                    "letters": " ".join(sorted(letters)),
                    "tasks": f"{len(of_kind)}",
                    "records": f"{sum(facts['records'] for facts in of_kind.values()):,}",
                    "most": f"{most}: {of_kind[most]['records']:,} of {of_kind[most]['of']:,}",
                }
            )
    return rows


def _provenance(content: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Sections of rows out of run.json; nested values as `name: value` lists."""
    sections = []
    for name, value in content.items():
        rows = value.items() if isinstance(value, Mapping) else [("", value)]
        sections.append((name, [(str(key), _plain(item)) for key, item in rows]))
    return sections


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return str(value)


def _data(name: str) -> str:
    return (resources.files("geneb_jax") / "data" / name).read_text(encoding="utf-8")
