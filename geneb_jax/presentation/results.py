"""Results tables: what the analysis reads, whatever the source.

One row a model, regime and task with the columns of `RESULT_COLUMNS`, each score the mean over
seeds. They come from the paper's published scores, a run, or a folder of GENEB submissions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from absl import logging

from geneb_jax.audit.findings import TaskAudit
from geneb_jax.audit.kept import read_audits
from geneb_jax.config_checks import local_path
from geneb_jax.files.counts import counted
from geneb_jax.files.json_files import read_object
from geneb_jax.files.texts import FileError
from geneb_jax.presentation.analysis import of_benchmark
from geneb_jax.presentation.published import PUBLISHED, paper_names, published_results
from geneb_jax.presentation.submission import read_submissions
from geneb_jax.scoring.predictions import predictions_folder
from geneb_jax.scoring.scores import METRIC_COLUMNS, protocol_rows, read_scores, task_means

RESULT_COLUMNS = ("model", "regime", "category", "task", *METRIC_COLUMNS)
ENOUGH = 0.9  # of the tasks: models with fewer are not compared with others
_SHOWN = 3  # models in a warning
_OWN = " (own)"  # follows the name of a model that stands beside its published namesake


def run_results(scores: pd.DataFrame) -> pd.DataFrame:
    """Returns the results table of a run's scores table: its rows after GENEB's protocol.

    Models of the catalog go by their names in the paper, others by their names in the run. A
    warning says where scores are means over fewer seeds than others.

    Raises:
        ValueError: No row follows the protocol, or a model stands there with several presets or
            precisions.
    """
    rows = protocol_rows(scores)
    if rows.empty:
        raise ValueError(
            "no row follows GENEB's protocol (logistic, solver geneb, C = 1, features as they are)"
        )
    ways = rows.groupby("model")[["preset", "dtype"]].nunique().max(axis=1)
    if (ways > 1).any():
        raise ValueError(
            f"several presets or precisions of {', '.join(ways[ways > 1].index)}; "
            "keep the rows of one"
        )
    _say_fewer_seeds(rows)
    means = task_means(rows)[list(RESULT_COLUMNS)]
    return means.assign(model=means["model"].replace(paper_names()))


def _say_fewer_seeds(rows: pd.DataFrame) -> None:
    seeds = rows.groupby(["regime", "model", "task"], sort=False)["seed"].nunique()
    most = seeds.groupby("regime").transform("max")
    pairs = rows.drop_duplicates(["regime", "model", "task"])["regime"].value_counts()
    for regime, fewer in seeds[seeds < most].groupby("regime", sort=False):
        _, model, task = fewer.index[0]
        logging.warning(
            "%s: %d of %s of model and task have fewer seeds than the others' %d, and their scores "
            "are means of fewer: '%s' on '%s' has %d",
            *(regime, len(fewer), counted(int(pairs[regime]), "pair")),
            *(most[fewer.index[0]], model, task, fewer.iloc[0]),
        )


def of_comparable_models(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of models that have nine tenths of the tasks that any model has, or more.

    Models are compared on the tasks that all of them have: one that failed on most tasks would
    leave the others a few.

    Args:
        rows: Columns model, regime and task; pairs of regime and task are counted.
    """
    counts = rows.drop_duplicates(["model", "regime", "task"])["model"].value_counts()
    return rows[rows["model"].isin(counts.index[counts >= ENOUGH * counts.max()])]


def say_fewer_tasks(results: pd.DataFrame) -> None:
    """Warns of models that lack tasks which others have: averages of different tasks are none."""
    rows = of_benchmark(results)
    tasks = rows.groupby("regime")["task"].nunique()
    counts = rows.groupby(["regime", "model"], sort=False)["task"].nunique()
    for regime in tasks.index:
        fewer = counts[regime][counts[regime] < tasks[regime]]
        if len(fewer):
            named = ", ".join(f"'{model}' ({n})" for model, n in fewer[:_SHOWN].items())
            more = f" and {len(fewer) - _SHOWN} more" if len(fewer) > _SHOWN else ""
            few = (fewer < ENOUGH * counts[regime].max()).any()
            left = "; with less than nine tenths of the tasks they have no intervals" if few else ""
            logging.warning(
                "%s: averages of these models are not over all of the %d tasks, and are not "
                "comparable: %s%s%s",
                *(regime, tasks[regime], named, more, left),
            )


@dataclass(frozen=True)
class LoadedScores:
    """Scores to be presented.

    Attributes:
        results: Their results table.
        scores: The run's scores table; None: they are not of a run.
        provenance: Content of the run's run.json; None: there is none.
        predictions: Folder of the kept predictions of each of the run's models; None: there is no
            run.
        audits: Audits of the run's tasks.
    """

    results: pd.DataFrame
    scores: pd.DataFrame | None = None
    provenance: Mapping[str, Any] | None = None
    predictions: Mapping[str, Path] | None = None
    audits: Sequence[TaskAudit] = ()


def read_source(source: str) -> LoadedScores:
    """Reads scores.

    Args:
        source: 'published', a run's workdir or its scores.csv, or a folder of submission files.

    Raises:
        ValueError: No such source, or everything that is wrong with its files.
    """
    if source == PUBLISHED:
        return LoadedScores(published_results())
    path = local_path(source)
    file = path / "scores.csv" if path.is_dir() else path
    if file.is_file():
        scores = read_scores(file)
        try:
            results = run_results(scores)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
        predictions = {
            model: predictions_folder(file.parent, model) for model in scores["model"].unique()
        }
        audits = read_audits(file.parent / "audit")
        provenance = _provenance(file.with_name("run.json"))
        return LoadedScores(results, scores, provenance, predictions, audits)
    if path.is_dir():  # of submissions, or what `geneb-jax submission` writes
        check_has_scores(path)
        inside = path / "submissions"
        return LoadedScores(read_submissions(inside if inside.is_dir() else path))
    raise ValueError(
        f"'{source}' is neither '{PUBLISHED}' nor a scores.csv, a run's workdir or a folder of "
        "submission files"
    )


def check_has_scores(workdir: Path) -> None:
    """Checks that a folder is not one that shows the scores of another.

    Raises:
        ValueError: It holds a report, and no scores.csv.
    """
    if (workdir / "report" / "index.html").is_file() and not (workdir / "scores.csv").is_file():
        raise ValueError(
            f"{workdir} shows scores of elsewhere and has no scores.csv; give the workdir of the "
            f"run that computed them, or '{PUBLISHED}' where they are the paper's"
        )


def check_out(out: Path, source: str) -> None:
    """Checks that tables of some scores do not take the place of those of a run.

    Args:
        out: Takes tables, figures and report.
        source: See `read_source`.

    Raises:
        ValueError: The folder is the workdir of a run with other scores.
    """
    if not (out / "scores.csv").is_file():
        return
    read = None if source == PUBLISHED else local_path(source).resolve()
    if read not in (out.resolve(), (out / "scores.csv").resolve()):
        raise ValueError(
            f"{out} is a run's workdir, whose tables, figures and report these would replace; "
            f"give another folder, or its scores ({out})"
        )


def _provenance(file: Path) -> Mapping[str, Any] | None:
    """Returns the content of a run.json; None: there is none, or it is damaged, with a warning."""
    if not file.exists():
        return None
    try:
        content = read_object(file)
        taken = content.get("taken", {})
        models = taken.values() if isinstance(taken, Mapping) else [taken]
        if not all(map(_are_seconds, [content.get("seconds", {}), *models])):
            raise FileError(f"{file}: seconds, or those that models have taken, are not numbers")
        if not _are_cards(content.get("cards", {})):
            raise FileError(f"{file}: cards are not objects whose params are whole numbers")
    except FileError as error:
        logging.warning("%s; the report says nothing of how the scores were computed", error)
        return None
    return content


def _are_seconds(by_stage: Any) -> bool:
    return isinstance(by_stage, Mapping) and all(
        isinstance(value, int | float) and 0 <= value < float("inf") for value in by_stage.values()
    )


def _are_cards(by_model: Any) -> bool:
    return isinstance(by_model, Mapping) and all(
        isinstance(card, Mapping) and isinstance(card.get("params", 0), int)
        for card in by_model.values()
    )


def beside_published(results: pd.DataFrame) -> pd.DataFrame:
    """Returns the published results followed by others, whose namesakes get the suffix '(own)'."""
    published = published_results()
    taken = set(published["model"])
    names = results["model"].map(lambda name: name + _OWN if name in taken else name)
    return pd.concat([published, results.assign(model=names)], ignore_index=True)


def common_cells(results: pd.DataFrame) -> pd.DataFrame:
    """Keeps the tasks of each regime that every model has, so that averages can be compared.

    Raises:
        ValueError: The models share no task.
    """
    models = results["model"].nunique()
    shared = results.groupby(["regime", "task"])["model"].transform("nunique") == models
    if not shared.any():
        raise ValueError("no task has scores of every model; compare fewer models")
    return results[shared].reset_index(drop=True)


def own_name(model: str, results: pd.DataFrame) -> str:
    """Returns what a results table calls a run's model that may stand beside its namesake."""
    return model + _OWN if (results["model"] == model + _OWN).any() else model


def as_own(table: pd.DataFrame, results: pd.DataFrame) -> pd.DataFrame:
    """Returns a table of a run with the names that its models have beside the published ones.

    Args:
        table: Its columns model, of, A and B, those that there are, name models of the run alone.
        results: Results table of both; see `beside_published`.
    """
    own = {namesake(model): model for model in results["model"].unique() if model.endswith(_OWN)}
    columns = [name for name in ("model", "of", "A", "B") if name in table]
    return table.assign(**{name: table[name].replace(own) for name in columns})


def namesake(model: str) -> str:
    """Returns the published model that a run's model is a namesake of, or the name itself."""
    return model.removesuffix(_OWN)


def run_names(models: Sequence[str]) -> dict[str, str]:
    """Returns what a run calls its models, by their names in a results table."""
    ids = {name: model for model, name in paper_names().items()}
    return {model: ids.get(namesake(model), namesake(model)) for model in models}


def labels_of(models: Sequence[str], labels: pd.DataFrame) -> pd.DataFrame:
    """Returns the labels of these models; a run's model has those of its published namesake.

    Args:
        models: Names in a results table.
        labels: See `published.model_labels`.

    Returns:
        The columns of `labels` by model, without the models that have none.
    """
    namesakes = {model: namesake(model) for model in models}
    known = {model: name for model, name in namesakes.items() if name in labels.index}
    return labels.loc[list(known.values())].set_axis(pd.Index(list(known)))


def with_cards(
    models: Sequence[str], labels: pd.DataFrame, cards: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """Returns the labels of these models; a run's card speaks for a model that has none otherwise.

    Args:
        models: Names in a results table.
        labels: See `published.model_labels`.
        cards: What a run says of its models (see `OpenSource.card`), by their names in the run. One
            without parameters, as of k-mers, says nothing here.

    Returns:
        What `labels_of` returns, then the other models of which a card has the parameters; labels
        that their cards lack are missing values.
    """
    published = labels_of(models, labels)
    said = {
        key: {name: card.get(str(name)) for name in labels}
        for model, card in cards.items()
        if card.get("params")
        for key in (model, card.get("model_id", model))  # tables may call it by its id
    }
    own = {model: said[model] for model in models if model in said and model not in published.index}
    if not own:
        return published
    return pd.concat([published, pd.DataFrame.from_dict(own, orient="index")[list(labels)]])
