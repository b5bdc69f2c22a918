"""`geneb-jax workdir DIR`: how its last run ended, what it holds; removes what is named."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from geneb_jax.config_checks import local_path
from model_ports.exits import DONE, Parser

if TYPE_CHECKING:
    from geneb_jax.workdir import Contents

_SHOWN = 12  # digits of an identity, and paths that are removed


def main(words: Sequence[str]) -> int:
    """Prints a table of the models in a workdir, or removes files; asks for --yes before."""
    parser = Parser(prog="geneb-jax workdir", description=__doc__)
    parser.add_argument("workdir", type=local_path, help="a run's workdir")
    task = parser.add_mutually_exclusive_group()
    task.add_argument("--remove", metavar="MODEL", help="remove all of a model")
    task.add_argument(
        "--prune",
        action="store_true",
        help="remove scores and embeddings of other weights or records than the newest scores "
        "are of, and what killed runs have left",
    )
    parser.add_argument(
        "--yes", action="store_true", help="do it; without, what would be removed is listed"
    )
    arguments = parser.parse_args(words)

    from geneb_jax.ownership import owned
    from geneb_jax.workdir import look

    contents = look(arguments.workdir)
    if not (arguments.remove or arguments.prune):
        _print_contents(contents)
    elif not arguments.yes:
        if listed := _list_removed(contents, arguments.remove)[1]:
            print(f"{listed} would be removed: give --yes too")
    else:
        with owned(contents.folder):
            _remove(look(contents.folder), arguments.remove)  # a run may have ended since
    return DONE


def _list_removed(contents: "Contents", model: str | None) -> tuple[list[Path], str]:
    """Prints what is to be removed; returns the paths and their size, '' where there is nothing.

    Args:
        contents: What the workdir holds.
        model: The model of which all goes; None: what belongs to nothing.
    """
    from geneb_jax.files.sizes import shown_size, size_of
    from geneb_jax.workdir import belongs_to_nothing, files_of

    paths = files_of(contents, model) if model else belongs_to_nothing(contents)
    for path in paths[:_SHOWN]:
        print(f"{shown_size(size_of(path)):>10}  {path}")
    if len(paths) > _SHOWN:
        print(f"{'...':>10}  and {len(paths) - _SHOWN} more")
    if not paths:
        print("nothing is to be removed")
    return paths, shown_size(sum(map(size_of, paths))) if paths else ""


def _remove(contents: "Contents", model: str | None) -> None:
    """Lists what is to be removed, and removes it."""
    from geneb_jax.workdir import remove

    paths, size = _list_removed(contents, model)
    if paths:
        remove(contents.folder, paths, model)
        print(f"{size} removed; the next run writes tables and report without it")


def _print_contents(contents: "Contents") -> None:
    from rich.table import Table

    from geneb_jax.files.counts import counted
    from geneb_jax.files.sizes import shown_size, size_of
    from geneb_jax.last_run import last_run
    from geneb_jax.presentation.console import wide_console
    from geneb_jax.workdir import belongs_to_nothing

    for line in last_run(contents.folder):
        print(line)
    table = Table(title=f"{contents.folder}, {shown_size(size_of(contents.folder))}")
    table.add_column("model", overflow="fold")
    for name in ("representations", "tasks scored", "scores", "embeddings", "others"):
        table.add_column(name, justify="right")
    table.add_column("weights")
    for model in contents.models:
        scored = {cell.task for cell in model.cells if cell.belongs}
        views = {cell.path.parent.name for cell in model.cells if cell.belongs}
        sizes = (
            sum(size_of(cell.path) for cell in model.cells),
            sum(size_of(store.path) for store in model.stores),
            sum(map(size_of, model.others)),
        )
        # A model with an adapter has two digests.
        digests = str((model.weights or {}).get("weights", "")).split("+")
        weights = "+".join(digest.removeprefix("sha256:")[:_SHOWN] for digest in digests)
        table.add_row(
            model.name,
            f"{len(views or model.stores)}",
            f"{len(scored)}",
            *(shown_size(size) if size else "-" for size in sizes),
            weights or "-",
        )
    console = wide_console(140)
    console.print(table)
    for line in contents.unreadable:
        console.print(line, highlight=False, soft_wrap=True)
    for failure in contents.failures:
        who = " on ".join(str(failure[key]) for key in ("model", "task") if failure.get(key))
        line = f"failed in the last run: {who}: {failure.get('reason', '')}"
        console.print(line, highlight=False, soft_wrap=True)
    stale = belongs_to_nothing(contents)
    if stale:
        size = shown_size(sum(map(size_of, stale)))
        count = counted(len(stale), "file or folder", "files and folders")
        line = f"of nothing that is here: {count}, {size}; --prune lists them"
        console.print(line, highlight=False, soft_wrap=True)
