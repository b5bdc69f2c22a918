"""`geneb-jax export WORKDIR`: scores as Parquet, and as results of a model card."""

import argparse
from collections.abc import Sequence

from geneb_jax.config_checks import local_path
from model_ports.exits import DONE, Parser


def main(words: Sequence[str]) -> int:
    """Writes what is asked for beside scores.csv, or into another folder."""
    parser = Parser(prog="geneb-jax export", description=__doc__)
    parser.add_argument("workdir", type=local_path, help="a run's workdir")
    parser.add_argument("--out", type=local_path, help="folder to write (default: the workdir)")
    parser.add_argument(
        "--predictions",
        action="store_true",
        help="predictions.parquet too; with decision values of a run with "
        "--config.save_predictions=True",
    )
    parser.add_argument(
        "--model-index",
        action="store_true",
        help="model-index/MODEL.yaml too: scores for the front matter of a model card on the hub",
    )
    parser.add_argument(
        "--genebs-tasks",
        action="store_true",
        help="say that the files of config.tasks_dir are GENEB's, of its pinned revision, for "
        "--model-index",
    )
    arguments = parser.parse_args(words)

    from geneb_jax.ownership import held

    with held(arguments.out or arguments.workdir):
        return _export(arguments)


def _export(arguments: argparse.Namespace) -> int:
    """Writes what is asked for."""
    from geneb_jax.files.atomic import write_whole
    from geneb_jax.files.counts import counted
    from geneb_jax.files.json_files import read_object
    from geneb_jax.files.names import file_name
    from geneb_jax.presentation.genebs_tasks import (
        contradictions,
        in_lines,
        source_of_tasks,
        unanswered,
    )
    from geneb_jax.presentation.model_card import model_index
    from geneb_jax.presentation.parquet import (
        by_file_name,
        write_predictions_parquet,
        write_scores_parquet,
    )
    from geneb_jax.presentation.results import check_has_scores
    from geneb_jax.scoring.scores import read_scores

    workdir, out = arguments.workdir, arguments.out or arguments.workdir
    check_has_scores(workdir)
    scores = read_scores(workdir / "scores.csv")
    record = read_object(workdir / "run.json") if arguments.model_index else {}
    if arguments.model_index:  # asked before anything is written
        found = [*unanswered(record, said=arguments.genebs_tasks)]
        found += in_lines(contradictions(record))
        if found:
            raise ValueError("\n".join(f"no model-index: {line}" for line in found))
    write_scores_parquet(scores, out / "scores.parquet")
    print(f"{out / 'scores.parquet'}: {counted(len(scores), 'row')}")
    if arguments.model_index:
        cards = record.get("cards", {})
        for model, rows in scores.groupby("model", sort=False):
            shown = str(cards.get(model, {}).get("model_id", model))
            known = [source_of_tasks(record)]
            known += record.get("models", {}).get(model, {}).get("known_defects", [])
            if text := model_index(shown, rows, known):
                path = out / "model-index" / f"{file_name(str(model))}.yaml"
                write_whole(path, text.encode())
                print(path)
            else:
                print(f"{model}: no row of GENEB's tasks and protocol, so no model-index")
    if arguments.predictions:
        models, tasks = (by_file_name(scores[column].unique()) for column in ("model", "task"))
        path = out / "predictions.parquet"
        rows, without = write_predictions_parquet(workdir, models, tasks, path)
        print(f"{path}: {counted(rows, 'row')}")
        if without:
            print(
                f"column scores is empty for {counted(without, 'pair')} of model and task, as "
                "the run kept no decision values there; with --config.save_predictions=True it does"
            )
    return DONE
