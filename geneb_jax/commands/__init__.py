"""The console command `geneb-jax`: one module a subcommand, imported when it is called.

A module offers `main(words) -> int`, which takes the words behind the subcommand's name, answers
`--help`, and returns the exit status. What it needs beyond its own help it imports inside.
"""

import difflib
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import NamedTuple

from geneb_jax.signals import GOES_ON, ending_on_signals
from model_ports.exits import DONE, WRONG, ended
from model_ports.screen_log import show_log

_SHOWN = 40  # letters of a wrong name
# What people call for that has another name here.
_MEANT: Mapping[str, str] = {
    "report": "tables",
    "leaderboard": "tables",
    "figures": "tables",
    "audit": "tasks --audit",
    "evaluate": "run",
    "plan": "run --plan",
}


class Command(NamedTuple):
    """A subcommand.

    Attributes:
        module: Offers its `main`.
        help: What it does, in a line.
        interrupted: What a signal that ends it leaves, and what the same command then does.
    """

    module: str
    help: str
    interrupted: str


_NOTHING = "nothing was written; the same command begins anew"
_WHOLE = "the files that are there are whole; the same command writes all of them anew"
COMMANDS: Mapping[str, Command] = {
    "run": Command("geneb_jax.commands.run", "evaluate models on tasks, from a config", GOES_ON),
    "tasks": Command(
        "geneb_jax.commands.tasks",
        "list the tasks, or describe those of a folder",
        "audits that were finished are kept; the same command goes on from them",
    ),
    "embed": Command("geneb_jax.commands.embed", "embed the sequences of a file", _NOTHING),
    "tables": Command(
        "geneb_jax.commands.tables", "tables, figures and report of scores that are there", _WHOLE
    ),
    "choices": Command(
        "geneb_jax.commands.choices", "how much layers, solvers, C, ... move the ranks", _WHOLE
    ),
    "submission": Command(
        "geneb_jax.commands.submission",
        "check a model's scores by GENEB's rules, and write a pull request of them",
        _NOTHING,
    ),
    "compare": Command("geneb_jax.commands.compare", "say what differs between two runs", _NOTHING),
    "export": Command(
        "geneb_jax.commands.export", "scores as Parquet, and as results of a model card", _WHOLE
    ),
    "workdir": Command(
        "geneb_jax.commands.workdir",
        "list what a workdir holds, and remove what nothing reads",
        "what was not removed yet is there; the same command removes it",
    ),
    "doctor": Command(
        "geneb_jax.commands.doctor",
        "say what of this machine will not work",
        "nothing was written; the same command looks again",
    ),
    "models": Command(
        "model_ports.commands",
        "list, fetch, convert and verify models",
        "what was fetched or converted is kept; the same command goes on from it",
    ),
}


def main(words: Sequence[str] | None = None) -> int:
    """Runs a subcommand and returns the exit status, one of `model_ports.exits`.

    Args:
        words: The command line behind the program's name; None: that of the process.
    """
    name, *rest = (sys.argv[1:] if words is None else words) or ["--help"]
    if name in _SAID:
        return ended(lambda: _say(_SAID[name]()))
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, [*COMMANDS, *_MEANT], 1)
        meant = _MEANT.get(near[0], near[0]) if near else ""
        hint = f"did you mean {meant}?" if near else f"valid: {', '.join(COMMANDS)}"
        print(f"geneb-jax: {name[:_SHOWN]!r} is not a command; {hint}", file=sys.stderr)
        return WRONG
    show_log()
    return ended(lambda: _run(COMMANDS[name], rest))


def _run(command: Command, words: Sequence[str]) -> int:
    with ending_on_signals(command.interrupted):
        return importlib.import_module(command.module).main(words)


def _say(text: str) -> int:
    print(text)
    return DONE


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.help}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: geneb-jax COMMAND ...",
            "",
            "The GENEB evaluation of genomic foundation models, natively in JAX.",
            "",
            *lines,
            "",
            "geneb-jax COMMAND --help tells more; geneb-jax --version prints the version.",
        ]
    )


# What is printed of options that stand in a command's stead.
_SAID: Mapping[str, Callable[[], str]] = {
    "-h": _help,
    "--help": _help,
    "--version": lambda: metadata.version("geneb-jax"),
}
