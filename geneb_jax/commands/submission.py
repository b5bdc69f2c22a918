"""`geneb-jax submission WORKDIR --model M --out DIR`: a pull request to GENEB's leaderboard."""

import argparse
import re
import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from geneb_jax.config_checks import local_path
from model_ports.exits import DONE, WRONG, Parser

# Options that say what a run cannot know, by the field of the submission that they replace.
_SAID = {
    "id": ("model_id", "what the leaderboard's file is called (letters, digits, . _ -)"),
    "name": ("display", "the model's name for people"),
    "params": ("params", "its number of parameters, as 3B, 50M, 650k or 71184"),
    "url": ("url", "where its weights are"),
    "training-data": ("training_data", "what it was trained on"),
    "submitted-by": ("submitted_by", "who submits"),
}
_NUMBER = re.compile(r"(\d+(?:\.\d+)?|\d{1,3}(?:[,_]\d{3})+) ?([kmb]?)", re.IGNORECASE)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}


def number_of_parameters(text: str) -> int:
    """Returns a number of parameters as people write it: 3B, 1.2b, 50M, 650k, 71184 or 71,184.

    Raises:
        argparse.ArgumentTypeError: It is not written so, or no whole number.
    """
    match = _NUMBER.fullmatch(text.strip())
    number = match and Decimal(re.sub("[,_]", "", match[1])) * _UNITS[match[2].lower()]
    if number is None or number % 1:
        raise argparse.ArgumentTypeError(
            f"'{text[:40]}' is no number of parameters; write it as 3B, 50M, 650k or 71184"
        )
    return int(number)


def main(words: Sequence[str]) -> int:
    """Checks a model's scores by GENEB's rules; writes the pull request where all are met."""
    parser = Parser(prog="geneb-jax submission", description=__doc__)
    parser.add_argument("workdir", type=local_path, help="a run's workdir")
    parser.add_argument("--model", required=True, help="its name in scores.csv, or in submissions/")
    parser.add_argument("--out", type=local_path, required=True, help="new folder to write")
    for option, (field, what) in _SAID.items():
        kind = number_of_parameters if field == "params" else str
        parser.add_argument(f"--{option}", dest=field, type=kind, metavar="X", help=what)
    parser.add_argument(
        "--zero-shot",
        action=argparse.BooleanOptionalAction,
        help="claim that pretraining saw no task of the benchmark",
    )
    parser.add_argument(
        "--genebs-tasks",
        action="store_true",
        help="say that the files of config.tasks_dir are GENEB's, of its pinned revision",
    )
    arguments = parser.parse_args(words)

    from geneb_jax.files.counts import counted
    from geneb_jax.presentation.genebs_tasks import from_files
    from geneb_jax.presentation.pull_request import pull_request, write_folder
    from geneb_jax.presentation.submission_checks import problems, read_model_run

    given = vars(arguments)
    fields = [*(field for field, _ in _SAID.values()), "zero_shot"]
    said: dict[str, Any] = {name: given[name] for name in fields if given[name] is not None}
    run = read_model_run(arguments.workdir, arguments.model)
    if found := problems(run, said, genebs_tasks=arguments.genebs_tasks):
        print("\n".join(found), file=sys.stderr)
        count = counted(len(found), "problem keeps", "problems keep")
        print(f"{count} '{run.model}' from being submitted; nothing is written", file=sys.stderr)
        return WRONG
    files = pull_request(run, said)
    write_folder(arguments.out, files)
    print("\n".join(str(arguments.out / name) for name in files))
    if from_files(run.record):
        print("the cards and provenance.json say that the tasks are GENEB's by your word")
    print(
        "the cards say *to be filled in* where a run does not know; for the pull request, copy "
        "submissions/, harness/ and model_cards/ over a clone of GENEB's repository"
    )
    return DONE
