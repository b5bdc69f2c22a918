"""Workdirs as runs leave them, for tests of what reads them: made by hand, in no time."""

import json

import pandas as pd
from score_rows import row

from geneb_jax.benchmark import GENEB
from geneb_jax.config import default_config
from geneb_jax.scoring.cells import cell_path
from geneb_jax.scoring.scores import complete, write_scores
from geneb_jax.tasks.sizes import published_sizes

COLUMNS = {"preset": "none", "dtype": "float32", "tap": "none", "pooling": "none"}
PORT = {"preset": "corrected", "dtype": "float32", "tap": "-1", "pooling": "mean"}
KMER_CARD = {
    "model_id": "kmer-4", "display": "kmer-4", "params": 0, "url": "", "training_data": "none",
}  # fmt: skip


def scores_of(model, columns=COLUMNS, tasks=GENEB.tasks, **fields):
    """The rows of a model on tasks, all regimes and seeds; MCC differs by task and seed."""
    return complete(pd.DataFrame([
        row(model=model, task=task.id, category=task.category, regime=regime, seed=seed,
            **columns, **{"MCC": round(0.01 * i - 0.001 * j, 6)} | fields)
        for i, task in enumerate(tasks) for regime in GENEB.regimes
        for j, seed in enumerate(GENEB.seeds)
    ]))  # fmt: skip


def write_cells(folder, scores, identity, digest="content of {}", **changes):
    """Writes the file of each task of one model's scores."""
    for task, rows in scores.groupby("task", sort=False):
        path = folder / "cells" / cell_path(rows.iloc[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "identity": {"model": identity, "task": digest.format(task), **changes},
            "columns": list(rows),
            "rows": rows.to_numpy(object).tolist(),
        }
        path.write_text(json.dumps(content))


def record_of(models, cards, columns, /, tasks=GENEB.tasks, **config):
    """The content of run.json."""
    classes = {
        info.id: size.classes for info, size in zip(GENEB.tasks, published_sizes(), strict=True)
    }

    def split(task):
        rows = [30_000 // classes[task.id]] * classes[task.id]
        return {"rows": sum(rows), "class_rows": rows, "sha256": "f" * 64}

    return {
        "config": default_config().to_dict() | {"models": ",".join(models)} | config,
        "geneb_jax": "0.1.0",
        "packages": {"jax": "0.10.2"},
        "devices": ["cpu: cpu"],
        "benchmark": {"harness_version": GENEB.harness_version, "data": GENEB.dataset_revision},
        "engines": {"logistic": "SciPy"},
        "models": models,
        "cards": cards,
        "representations": {name: [columns[name]] for name in models},
        "tasks": {
            task.id: {"category": task.category, "synthetic": False, "letters": "as-is",
                      "train": split(task), "test": split(task)}
            for task in tasks
        },
        "unseen": {},
        "failures": [],
    }  # fmt: skip


def write_run(folder, scores=None, *, identity=None, card=KMER_CARD, columns=COLUMNS, **config):
    """Writes scores.csv, cells/ and run.json of a run of one model, kmer-4 by default."""
    scores = scores_of("kmer-4", columns) if scores is None else scores
    model = scores["model"].iloc[0]
    identity = identity or {"model": "kmer-4", "numerics": 1}
    folder.mkdir(parents=True, exist_ok=True)
    write_scores(scores, folder / "scores.csv")
    write_cells(folder, scores, identity)
    record = record_of({model: identity}, {model: card}, {model: columns}, **config)
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def change_record(folder, **fields):
    """Replaces fields of a folder's run.json."""
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
