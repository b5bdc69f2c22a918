"""`geneb-jax tables`: the paper's tables, figures and a report of scores that are there already."""

import argparse
import logging as stdlib_logging
from collections.abc import Sequence
from pathlib import Path

from geneb_jax.config import PAPER_VERSIONS
from geneb_jax.presentation.console import wide_console
from model_ports.exits import DONE, Parser
from model_ports.screen_log import show_log


def main(words: Sequence[str]) -> int:
    """Writes tables, figures and report of a set of scores; prints the paper's statistics."""
    parser = Parser(prog="geneb-jax tables", description=__doc__)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--scores", type=Path, help="scores.csv of a run, or its workdir")
    source.add_argument("--submissions", type=Path, help="folder of GENEB submission files")
    parser.add_argument(
        "--published",
        action="store_true",
        help="the published 40 (the default), beside --scores or --submissions on common tasks",
    )
    parser.add_argument(
        "--labels", choices=PAPER_VERSIONS, default="v1", help="the paper's version"
    )
    parser.add_argument(
        "--subsets",
        action="store_true",
        help="judge subsets of tasks too: how few order the models as all do (half a minute)",
    )
    parser.add_argument(
        "--leaky",
        metavar="shipped|CSV",
        help="leaderboard, pairs and the paper's statements without leaky tasks, too: by the audit "
        "that is shipped, of files like those of 52 of the 100 tasks (docs/audit.md), or by a CSV "
        "with the columns task and verdict, as `geneb-jax tasks --audit` writes it; "
        "tables/leaky_tasks names them",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args(words)

    from geneb_jax.ownership import held

    with held(arguments.out):
        return _present(arguments)


def _present(arguments: argparse.Namespace) -> int:
    """Writes and prints what is asked for."""
    import pandas as pd

    from geneb_jax.files.counts import counted
    from geneb_jax.presentation.auditing import print_hidden
    from geneb_jax.presentation.present import present
    from geneb_jax.presentation.published import PUBLISHED, published_results
    from geneb_jax.presentation.results import check_out, read_source
    from geneb_jax.presentation.subsets import (
        lite_table,
        subset_agreement,
        subset_lines,
        subset_table,
    )
    from geneb_jax.presentation.summary import (
        print_claims,
        print_intervals,
        print_order_without_leaky,
        print_statistics,
    )
    from geneb_jax.presentation.tables import without_rows, write_table
    from geneb_jax.presentation.verdicts import counted_words, read_verdicts

    show_log(stdlib_logging.INFO)
    verdicts = read_verdicts(arguments.leaky) if arguments.leaky else None
    chosen = arguments.scores or arguments.submissions
    check_out(arguments.out, str(chosen or PUBLISHED))
    scores = read_source(str(chosen)) if chosen else None
    tables = present(
        scores.results if scores else None,
        arguments.out,
        scores=scores.scores if scores else None,
        provenance=scores.provenance if scores else None,
        version=arguments.labels,
        beside=arguments.published,
        audits=scores.audits if scores else (),
        predictions=scores.predictions if scores else None,
        verdicts=verdicts,
        called=arguments.scores.resolve().name if arguments.scores else None,
    )
    console = wide_console(160)
    for name in ("intervals_macro", "intervals_custom"):
        print_intervals(tables.get(name, pd.DataFrame()), console)
    print_order_without_leaky(tables, console)
    print_hidden(tables, console)
    print_statistics(tables["paper_statistics"], console)
    print_claims(tables.get("claims", pd.DataFrame()), console)
    if verdicts is not None:
        named = "; tables/leaky_tasks has those of these scores" if "leaky_tasks" in tables else ""
        print(f"--leaky={arguments.leaky}: {counted_words(verdicts)}{named}")
    if arguments.subsets:
        results = scores.results if scores else published_results()
        agreement = subset_agreement(results)
        of_subsets = {"subsets": subset_table(agreement), "lite": lite_table()}
        for name, table in of_subsets.items():
            write_table(table, arguments.out / "tables" / name)
        tables |= of_subsets
        print("\n".join(subset_lines(results, agreement)))
    written = [name for name in tables if (arguments.out / "tables" / f"{name}.csv").is_file()]
    leaky = verdicts is not None or "leaky_tasks" in tables
    if lacking := without_rows(written, leaky):
        print(f"not written, as these scores have nothing for them: {', '.join(lacking)}")
    count = counted(len(written), "table")
    print(f"{count}, the figures and report/index.html are in {arguments.out}")
    return DONE
