"""The first impression: what a run on generated tasks says to somebody who never saw one."""

import re
from pathlib import Path

import pandas as pd
from rich.console import Console

from geneb_jax.presentation.published import published_leaderboard
from geneb_jax.presentation.summary import data_note

# What a row is, by a pattern of its model's name; the first that fits.
_KINDS = {
    r"kmer-(\d)": "how often each word of {} letters occurs in a sequence: no model at all, "
    "and what a model has to beat",
    r".*:random(:tiny)?": "the architecture with random weights, trained on nothing: what "
    "pretraining adds is the distance to it",
}
_NEXT = "geneb-jax run --config=full --workdir=runs/mine --config.tasks=sentinel"


def print_guide(scores: pd.DataFrame, report: Path | None, console: Console) -> None:
    """Prints what the rows are, what a good score is, and what to do next.

    Runs on other than generated tasks print nothing of it: whoever has data knows what they are.

    Args:
        scores: The run's scores table.
        report: The run's report; None: it has none.
        console: Shows it.
    """
    if not data_note(scores):
        return
    console.print("\nWhat this shows", style="bold")
    for model in dict.fromkeys(scores["model"]):
        meaning = what_it_is(str(model))
        if meaning:
            console.print(f"  {model}: {meaning}.")
    console.print(
        "  The tasks are made up, one for each kind of question, and easier than real ones: the "
        "numbers show that everything works here, and nothing of biology."
    )
    console.print(
        "  MCC is 1 for a perfect probe and 0 for guessing. On the 100 real tasks the paper's 40 "
        f"models reach {_published('full')} in full, {_published('10shot')} in 10-shot and "
        f"{_published('1shot')} in 1-shot (median and best macro)."
    )
    console.print("Where to go from here", style="bold")
    if report:
        console.print(f"  open {report} in a browser")
    console.print("  your model, in a folder as transformers saves it, on thirteen real tasks:")
    console.print(f"    {_NEXT} --config.models=kmer-4,mine=hf:FOLDER", soft_wrap=True)


def what_it_is(model: str) -> str:
    """Returns what a row of a run is that is no pretrained model, or nothing.

    Args:
        model: As scores.csv names it, such as `kmer-4` or `ID:random:tiny`.
    """
    for pattern, meaning in _KINDS.items():
        if found := re.fullmatch(pattern, model):
            return meaning.format(*found.groups())
    return ""


def _published(regime: str) -> str:
    """The median and the best published macro MCC of a regime, as in '0.51 and 0.60'."""
    board = published_leaderboard()
    macro = board.xs(regime, level="regime")["macro"]
    return f"{macro.median():.2f} and {macro.max():.2f}"
