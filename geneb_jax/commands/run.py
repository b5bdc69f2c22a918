"""`geneb-jax run --config=NAME --workdir=DIR`: evaluates models on tasks, from a config."""

import logging as stdlib_logging
import sys
import textwrap
import traceback
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import ml_collections
from absl import flags
from ml_collections import config_flags

from geneb_jax.collector import collector_paused
from geneb_jax.config import ConfigError, fields, unknown_field
from geneb_jax.config_checks import local_path, nearest
from model_ports.exits import DONE, FAILED, SOME_FAILED
from model_ports.screen_log import show_log

_USAGE = """usage: geneb-jax run --config=CONFIG --workdir=DIR [--config.FIELD=VALUE ...]

Evaluates genomic models on tasks; a run killed at any point resumes in the same workdir.

  --config=CONFIG   {names}; or a file such as configs/full.py
  --workdir=DIR     folder of the results
  --plan            compute nothing: print what would be, and its cost (as --config.plan=True)
  --config.FIELD=VALUE changes a field; several values stand with commas: --config.C=0.1,1,10

The fields, with their defaults:
"""
_WIDTH = 100


def main(words: Sequence[str]) -> int:
    """Runs a config.

    Args:
        words: `--config=NAME_OR_FILE`, `--workdir=DIR` and fields as `--config.FIELD=VALUE`.

    Returns:
        The exit status, one of `model_ports.exits`.
    """
    if {"-h", "--help"}.intersection(words):
        print(help_text())
        return DONE
    config, workdir = _parse(["--config.plan=True" if word == "--plan" else word for word in words])
    try:
        with collector_paused(keep=True):  # from here on JAX is needed
            from geneb_jax.run import run

        show_log(stdlib_logging.INFO)
        outcome = run(config, workdir)
    except ConfigError as error:
        raise ValueError(f"nothing was started:\n{error}") from error
    except ValueError as error:  # with fail_fast
        print(error, file=sys.stderr)
        return FAILED
    return SOME_FAILED if outcome.failures else DONE


def help_text() -> str:
    """Returns the help: the usage, then every field of the config by group."""
    lines = [_USAGE.format(names=", ".join(config_names()))]
    for group, members in groupby(fields(), lambda field: field.group):
        lines.append(f"{group}:")
        for field in members:
            lines.append(f"  --config.{field.name}={field.default}")
            lines += textwrap.wrap(
                field.help, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6
            )
        lines.append("")
    return "\n".join(lines).rstrip()


def configs_folder() -> Path:
    """Returns the folder of the configs: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def config_names() -> list[str]:
    """Returns the names that `--config=NAME` knows."""
    return sorted(path.stem for path in configs_folder().glob("[!_]*.py"))


def config_file(config: str) -> Path:
    """Returns the file of a config.

    Args:
        config: A file, or the name of one of the package's configs.

    Raises:
        ValueError: There is no such file or name.
    """
    path = local_path(config)
    if path.is_file():
        return path
    if config in config_names():
        return configs_folder() / f"{config}.py"
    hint = nearest(path.stem, config_names())
    raise ValueError(f"--config={config}: no such file or config{hint}")


def _parse(words: Sequence[str]) -> tuple[ml_collections.ConfigDict, Path]:
    """Returns the config, with the fields that the words change, and the workdir.

    Raises:
        ValueError: A flag is missing, unknown, or its value not of the field's kind; or the
            config's file cannot be run.
    """
    values = flags.FlagValues()
    flags.DEFINE_string("config", None, "The config.", flag_values=values)
    flags.DEFINE_string("workdir", None, "Folder of the results.", flag_values=values)
    try:
        others = values(["run", *words], known_only=True)[1:]
    except flags.Error as error:
        raise ValueError(f"{error}; `geneb-jax run --help` shows all") from error
    missing = [name for name in ("config", "workdir") if not values[name].value]
    if missing:
        raise ValueError(
            f"{' and '.join(f'--{name}' for name in missing)} must be given, such as "
            "--config=quickstart --workdir=runs/quickstart; `geneb-jax run --help` shows all"
        )
    if problems := [problem for word in others if (problem := _word_problem(word))]:
        raise ValueError("\n".join(problems))
    workdir = local_path(str(values["workdir"].value))
    if workdir.exists() and not workdir.is_dir():
        raise ValueError(f"nothing was started:\n--workdir={workdir} is not a folder")
    config = _load_config(config_file(str(values["config"].value)))
    parsed = flags.FlagValues()
    argv = ["run", *others]
    config_flags.DEFINE_config_dict(
        "config", config, lock_config=False, flag_values=parsed, sys_argv=argv
    )
    try:
        rest = parsed(argv)[1:]
    except (flags.Error, ValueError, TypeError) as error:
        words_of_absl = " ".join(str(error).split())
        raise ValueError(f"{words_of_absl}; `geneb-jax run --help` shows all") from error
    if rest:  # the value of a flag that was written without a sign of equality
        raise ValueError(f"'{rest[0]}' is not a flag; `geneb-jax run --help` shows all")
    return config, workdir


def _word_problem(word: str) -> str | None:
    """Says what keeps a word of the command line from changing a field; None: nothing."""
    known = [field.name for field in fields()]
    name = word.lstrip("-").partition("=")[0]
    if not word.startswith("-"):  # the value of the flag before it, or refused later
        return None
    if name.startswith(("config.", "noconfig.")):
        field = name.partition(".")[2]
        return None if field in known else unknown_field(field)
    if name in known:
        return f"--{name}: fields of the config begin with config.: --config.{name}"
    flag_names = ["config", "workdir", *(f"config.{field}" for field in known)]
    return f"--{name} is not a flag{nearest(name, flag_names)}"


def _load_config(file: Path) -> ml_collections.ConfigDict:
    """Runs a config's file and returns what its `get_config` returns.

    Raises:
        ValueError: The file cannot be run, names the line, or has no such function, or it returns
            something else.
    """
    names: dict[str, Any] = {"__name__": file.stem, "__file__": str(file)}
    try:
        exec(compile(file.read_bytes(), file, "exec"), names)
        config = names["get_config"]() if "get_config" in names else None
    except (Exception, SystemExit) as error:  # whatever somebody's code raises
        raise ValueError(f"--config={file}: {_where(file, error)}") from error
    if "get_config" not in names:
        raise ValueError(f"--config={file}: defines no function get_config; see configs/full.py")
    if not isinstance(config, ml_collections.ConfigDict):
        raise ValueError(
            f"--config={file}: get_config returns {type(config).__name__}; let it return the "
            "ConfigDict of geneb_jax.config.default_config"
        )
    return config


def _where(file: Path, error: BaseException) -> str:
    """Returns an error of a config's file in one line, with the line in which it came up."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file)]
    if isinstance(error, SyntaxError) and error.filename == str(file):
        lines = [error.lineno]
    at = f"line {lines[-1]}: " if lines else ""
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{at}{type(error).__name__}: {' '.join(message.split())}"
