"""`geneb-jax doctor`: looks whether this machine can run the program, in one screen."""

from collections import Counter
from collections.abc import Sequence

from geneb_jax.config_checks import local_path
from model_ports.exits import DONE, FAILED, Parser


def main(words: Sequence[str]) -> int:
    """Prints a line for each thing that runs need: ok, warn or fails, and what to do."""
    parser = Parser(prog="geneb-jax doctor", description=__doc__)
    parser.add_argument("--workdir", type=local_path, help="whether a run could write there")
    parser.add_argument(
        "--processes",
        default="",
        help="meet the other processes: auto, or I/N@HOST:PORT, as config.processes",
    )
    arguments = parser.parse_args(words)

    from geneb_jax.doctor import Asked, examine

    states = Counter[str]()
    for line in examine(Asked(arguments.workdir, arguments.processes)):
        states[line.state] += 1
        mend = f"\n{'':7}-> {line.mend}" if line.mend else ""
        print(f"{line.state:5}  {line.subject}: {line.found}{mend}", flush=True)
    counts = [f"{states[state]} {state}" for state in ("ok", "warn", "fails") if states[state]]
    print(", ".join(counts))
    return FAILED if states["fails"] else DONE
