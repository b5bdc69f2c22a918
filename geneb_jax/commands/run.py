"""`geneb-jax run --config=NAME --workdir=DIR`: evaluates models on tasks, from a config."""

import difflib
import logging as stdlib_logging
import sys
import textwrap
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from absl import flags, logging
from ml_collections import config_flags

from geneb_jax.config import ConfigError, fields, unknown_field

_USAGE = """usage: geneb-jax run --config=CONFIG --workdir=DIR [--config.FIELD=VALUE ...]

Evaluates genomic models on tasks; a run killed at any point resumes in the same workdir.

  --config=CONFIG   {names}; or a file such as configs/full.py
  --workdir=DIR     folder of the results
  --config.FIELD=VALUE changes a field; several values stand with commas: --config.C=0.1,1,10

The fields, with their defaults:
"""
_WIDTH = 100


def main(words: Sequence[str]) -> int:
    """Runs a config.

    Args:
        words: `--config=NAME_OR_FILE`, `--workdir=DIR` and fields as `--config.FIELD=VALUE`.

    Returns:
        The exit status: 0; 1 where nothing was started.
    """
    if {"-h", "--help"}.intersection(words):
        print(help_text())
        return 0
    try:
        parsed = _parse(words)
    except (ValueError, flags.Error) as error:
        print(error, file=sys.stderr)
        return 1
    workdir = Path(parsed.workdir).expanduser()
    if workdir.exists() and not workdir.is_dir():
        print(f"nothing was started:\n--workdir={workdir} is not a folder", file=sys.stderr)
        return 1
    # From here on JAX is needed.
    from geneb_jax.run import run

    _log_progress()
    try:
        run(parsed.config, workdir)
    except ConfigError as error:
        print(f"nothing was started:\n{error}", file=sys.stderr)
        return 1
    return 0


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
    path = Path(config).expanduser()
    if path.is_file():
        return path
    if config in config_names():
        return configs_folder() / f"{config}.py"
    near = difflib.get_close_matches(path.stem, config_names(), 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else f"valid: {', '.join(config_names())}"
    raise ValueError(f"--config={config}: no such file or config; {hint}")


def _parse(words: Sequence[str]) -> flags.FlagValues:
    """Returns the flags `config` and `workdir`.

    Raises:
        ValueError, flags.Error: A flag is missing, unknown, or its value not of the field's kind.
    """
    values = flags.FlagValues()
    flags.DEFINE_string("config", None, "The config.", flag_values=values)
    flags.DEFINE_string("workdir", None, "Folder of the results.", flag_values=values)
    others = values(["run", *words], known_only=True)[1:]
    missing = [name for name in ("config", "workdir") if not values[name].value]
    if missing:
        raise ValueError(
            f"{' and '.join(f'--{name}' for name in missing)} must be given; "
            "`geneb-jax run --help` shows all"
        )
    known = {field.name for field in fields()}
    changed = [word.lstrip("-").removeprefix("no").partition("=")[0] for word in others]
    names = [name.removeprefix("config.") for name in changed if name.startswith("config.")]
    if unknown := [unknown_field(name) for name in names if name not in known]:
        raise ValueError("\n".join(unknown))
    file = config_file(str(values["config"].value))
    parsed = flags.FlagValues()
    flags.DEFINE_string("workdir", values["workdir"].value, "", flag_values=parsed)
    argv = ["run", f"--config={file}", *others]
    config_flags.DEFINE_config_file("config", lock_config=False, flag_values=parsed, sys_argv=argv)
    rest = parsed(argv)[1:]
    if rest:
        raise ValueError(f"'{rest[0]}' is not a flag; `geneb-jax run --help` shows all")
    return parsed


def _log_progress() -> None:
    """Shows what the run says of itself, and of the libraries' words warnings alone."""
    flags.FLAGS(["geneb-jax"])  # absl's flags, which its log reads, stay as they are
    logging.use_absl_handler()
    logging.set_verbosity(logging.INFO)
    form = stdlib_logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S")
    logging.get_absl_handler().setFormatter(form)
    for library in ("jax", "fsspec"):
        stdlib_logging.getLogger(library).setLevel(stdlib_logging.WARNING)
    # Orbax tells of every step through absl's log.
    logging.get_absl_handler().addFilter(
        lambda line: line.levelno > stdlib_logging.INFO or "orbax" not in line.pathname
    )
