"""Evaluates genomic foundation models as GENEB does.

python run.py --config=configs/quickstart.py --workdir=runs/quickstart
"""

import logging as stdlib_logging
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags, logging
from ml_collections import config_flags

from geneb_jax.config import ConfigError, default_config, unknown_field
from geneb_jax.run import run

_CONFIG = config_flags.DEFINE_config_file("config", None, "The run's config.", lock_config=False)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the results.", required=True)
flags.mark_flag_as_required("config")


def parse_flags(arguments: Sequence[str]) -> list[str]:
    """Parses the command line; an unknown config field is answered with the nearest ones."""
    names = [
        a.lstrip("-").removeprefix("config.").split("=")[0]
        for a in arguments[1:]
        if a.lstrip("-").startswith("config.")
    ]
    unknown = [unknown_field(name) for name in names if name not in default_config()]
    if unknown:
        sys.exit("\n".join(unknown))
    return flags.FLAGS(list(arguments))


def main(_: Sequence[str]) -> None:
    """Runs the config."""
    logging.set_verbosity(logging.INFO)
    for library in ("jax", "fsspec"):
        stdlib_logging.getLogger(library).setLevel(stdlib_logging.WARNING)
    try:
        run(_CONFIG.value, Path(_WORKDIR.value))
    except ConfigError as error:
        sys.exit(f"nothing was started:\n{error}")


if __name__ == "__main__":
    app.run(main, flags_parser=parse_flags)
