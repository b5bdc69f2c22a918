"""`geneb-jax submission WORKDIR --model M --out DIR`: a pull request to GENEB's leaderboard."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from geneb_jax.config_checks import local_path
from model_ports.exits import DONE, WRONG, Parser

# Options that say what a run cannot know, by the field of the submission that they replace.
_SAID = {
    "id": ("model_id", "what the leaderboard's file is called (letters, digits, . _ -)"),
    "name": ("display", "the model's name for people"),
    "params": ("params", "its number of parameters"),
    "url": ("url", "where its weights are"),
    "training-data": ("training_data", "what it was trained on"),
    "submitted-by": ("submitted_by", "who submits"),
}


def main(words: Sequence[str]) -> int:
    """Checks a model's scores by GENEB's rules; writes the pull request where all are met."""
    parser = Parser(prog="geneb-jax submission", description=__doc__)
    parser.add_argument("workdir", type=local_path, help="a run's workdir")
    parser.add_argument("--model", required=True, help="its name in scores.csv, or in submissions/")
    parser.add_argument("--out", type=local_path, required=True, help="new folder to write")
    for option, (field, what) in _SAID.items():
        kind = int if field == "params" else str
        parser.add_argument(f"--{option}", dest=field, type=kind, metavar="X", help=what)
    parser.add_argument(
        "--zero-shot",
        action=argparse.BooleanOptionalAction,
        help="claim that pretraining saw no task of the benchmark",
    )
    parser.add_argument(
        "--genebs-tasks",
        action="store_true",
        help="say that the files of config.tasks_dir are GENEB's",
    )
    arguments = parser.parse_args(words)

    from geneb_jax.presentation.pull_request import pull_request, write_folder
    from geneb_jax.presentation.submission_checks import problems, read_model_run

    given = vars(arguments)
    fields = [*(field for field, _ in _SAID.values()), "zero_shot"]
    said: dict[str, Any] = {name: given[name] for name in fields if given[name] is not None}
    run = read_model_run(arguments.workdir, arguments.model)
    if found := problems(run, said, genebs_tasks=arguments.genebs_tasks):
        print("\n".join(found), file=sys.stderr)
        count = "a problem keeps" if len(found) == 1 else f"{len(found)} problems keep"
        print(f"{count} '{run.model}' from being submitted; nothing is written", file=sys.stderr)
        return WRONG
    files = pull_request(run, said)
    write_folder(arguments.out, files)
    print("\n".join(str(arguments.out / name) for name in files))
    print(
        "the cards say *to be filled in* where a run does not know; for the pull request, copy "
        "submissions/, harness/ and model_cards/ over a clone of GENEB's repository"
    )
    return DONE
