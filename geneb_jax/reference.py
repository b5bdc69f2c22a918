"""docs/reference.md: every field of a config, column of scores.csv and file of a workdir.

python -m geneb_jax.reference > docs/reference.md
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from geneb_jax.config import fields
from geneb_jax.scoring.scores import COLUMNS

# What a run writes, by path in its workdir; MODEL and TASK are names made into file names.
WORKDIR: Mapping[str, str] = {
    "scores.csv": "Every score, one row a head; see above.",
    "run.json": "What the scores depend on: config, versions, devices, engines, identities of "
    "models, what a submission says of them, sizes and fingerprints of tasks, what models do not "
    "see of their records, failures, how fast the last run embedded, its seconds by stage, and "
    "what embedding and probing each model has taken in all runs, the peaks of memory by stage, "
    "and of several processes the others.",
    "status.json": "Where the run is, about once a second: state (running, done, interrupted, "
    "failed), model (empty before the first and after the last), its number of models, stage, done "
    "of total units, what is compiling, elapsed seconds of the run, remaining ones of the run and "
    "of the stage (null: not known), what each model has taken in all runs, how many failures "
    "there are, what failed, process, host, time.",
    "log.txt": "Every line that the runs in the workdir said, and the tracebacks of failures.",
    "log-NUMBER.txt": "The same of another process of the run than the first.",
    "run.lock, owner.json": "Who owns the workdir while a run goes on.",
    "audit.csv, rules.csv, copies_across.csv": "What was found of the tasks: a row a task with its "
    "verdict, a row a rule and shortcut, and test records that stand in other tasks.",
    "audit/TASK.json": "The audit of a task, and which test records are copies, twins and near "
    "copies (rows from 0).",
    "submissions/MODEL.json": "The scores that follow GENEB's protocol, in its submission format.",
    "scores.parquet, predictions.parquet": "With `geneb-jax export`: scores.csv, and every head's "
    "predictions by test row, as Parquet.",
    "model-index/MODEL.yaml": "With `geneb-jax export --model-index`: the scores for the front "
    "matter of a model card on the Hugging Face hub.",
    "tables/NAME.{csv,md,tex}": "The paper's tables, of this run, its intervals, pairs, choices "
    "and the paper's statements; of custom tasks task_scores, intervals_custom, pairs_custom, "
    "audit, clean_scores and lift_tasks; .md and .tex have the columns and rows that a page takes.",
    "figures/NAME.{svg,png}": "The paper's figures, of this run, and the heat map scores.",
    "figures/captions.md": "What each figure shows, and what to see in it.",
    "report/index.html": "The report, one file that needs no network.",
    "predictions/MODEL/TASK.npz": "Every head's predictions, with save_predictions their decision "
    "values on the test rows, with strand=given,both predictions on the other strand. Other hidden "
    "states and poolings than the preset's stand in a folder each.",
    "cells/MODEL/REPRESENTATION/TASK.json": "Finished model-task pairs, from which a killed run "
    "resumes.",
    "embeddings/MODEL/REPRESENTATION/": "Kept embeddings: chunks keys-K-V.npy and values-V.npy, "
    "named by their digests, and store.json, which says what they were computed with.",
    "devices/KIND.json": "What was measured of this kind of device: how fast it multiplies, how "
    "fast each model was embedded, and what did not fit it.",
    "profile/MODEL/": "With profile: a trace for the JAX profiler.",
}


def reference() -> str:
    """Returns the page, in Markdown."""
    parts = [
        "# Reference",
        "Made by `make docs`; a test says when it is stale.",
        "## Config",
        "`--config.FIELD=VALUE` changes a field on the command line; a config file is a function "
        "`get_config()` that returns `default_config()` with its changes. Fields that take "
        "several values take them with commas.",
    ]
    for group, members in groupby(fields(), lambda field: field.group):
        rows = [(f"`{field.name}`", f"`{field.default!r}`", field.help) for field in members]
        parts += [f"### {group}", _table(("field", "default", "what it does"), rows)]
    columns = [(f"`{name}`", kind, meaning) for name, (kind, meaning) in COLUMNS.items()]
    files = [(f"`{path}`", what) for path, what in WORKDIR.items()]
    parts += [
        "## scores.csv",
        _table(("column", "holds", "meaning"), columns),
        "## Files of a workdir",
        _table(("file", "what it holds"), files),
    ]
    return "\n\n".join(parts) + "\n"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


if __name__ == "__main__":
    print(reference(), end="")
