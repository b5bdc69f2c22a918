"""`geneb-jax embed`: the embeddings of any sequences, as geneb_jax.embed gives them."""

import functools
import io
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from geneb_jax.collector import collector_paused
from geneb_jax.config import LETTERS, PRESETS
from geneb_jax.config_checks import taps
from geneb_jax.files.counts import counted
from model_ports.catalog import CATALOG_DTYPE, DTYPES
from model_ports.exits import DONE, Parser

_POOLINGS = "preset,mean,mean-all-rows,max,first,last,penultimate"
_LETTERS_HELP = "upper: lower-case letters as upper-case ones; dna: and U as T"
_WINDOW_HELP = "cut longer records: LETTERS/STRIDE, such as 1024/512; none; model: the catalog's"
_LINE = 60.0  # seconds between two lines where there is no terminal
_TAPS = "preset, -1 final, 0 embedding, i after block i; several with commas, or all"


def main(words: Sequence[str]) -> int:
    """Embeds the records of a file into an .npz file."""
    parser = Parser(prog="geneb-jax embed", description=__doc__)
    parser.add_argument("--model", required=True, help="model id, ID:random[:tiny], kmer-4")
    parser.add_argument(
        "--input", type=Path, required=True, help=".fa, .fq, .csv, .tsv, .txt; or .gz"
    )
    parser.add_argument("--out", type=Path, required=True, help=".npz of `ids` and `embeddings`")
    parser.add_argument("--checkpoints_dir", type=Path, help="one folder a model id; else the hub")
    parser.add_argument("--catalog", type=Path, help="folder of your own models, one .json each")
    parser.add_argument("--taps", default="preset", help=_TAPS)
    parser.add_argument("--poolings", default="preset", help=_POOLINGS)
    parser.add_argument("--preset", default="corrected", choices=PRESETS)
    parser.add_argument("--letters", default="as-is", choices=LETTERS, help=_LETTERS_HELP)
    parser.add_argument("--window", default="model", help=_WINDOW_HELP)
    parser.add_argument("--dtype", default=CATALOG_DTYPE, choices=DTYPES)
    arguments = parser.parse_args(words)

    with collector_paused(keep=True):
        import numpy as np
        from rich.console import Console
        from rich.progress import Progress

        from geneb_jax.devices.programs import keep_programs
        from geneb_jax.embedding.embed import embed_views
        from geneb_jax.files.atomic import write_whole
        from geneb_jax.tasks.sequences import read_sequences

    keep_programs()
    names, sequences = read_sequences(arguments.input, arguments.letters)
    if arguments.out.suffix != ".npz":
        raise ValueError(f"{arguments.out}: name a file that ends with .npz")
    if not arguments.out.absolute().parent.is_dir():
        raise ValueError(f"{arguments.out.absolute().parent}: no such folder")
    screen, total = Console(stderr=True), len(set(sequences))
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bars:
        bar = bars.add_task(arguments.model, total=total)
        tell = _line_a_minute(total)
        if screen.is_terminal:
            tell = functools.partial(bars.advance, bar)
        views = embed_views(
            arguments.model,
            sequences,
            checkpoints_dir=arguments.checkpoints_dir,
            catalog=arguments.catalog,
            taps=_taps(arguments.taps),
            poolings=arguments.poolings.split(","),
            preset=arguments.preset,
            dtype=arguments.dtype,
            letters=arguments.letters,
            window=arguments.window,
            names=names,
            advance=tell,
        )
    called = {
        view: "embeddings" if len(views) == 1 else f"{view.tap}/{view.pooling}" for view in views
    }
    arrays = {called[view]: array for view, array in views.items()}
    buffer = io.BytesIO()
    np.savez(buffer, ids=np.array(names), **arrays)  # pyright: ignore (its stub)
    write_whole(arguments.out, buffer.getvalue())
    for view, array in views.items():
        which = f"hidden state {view.tap}, pooling {view.pooling}"
        print(f"{called[view]}: float32 {list(array.shape)}, {which}")
    print(f"ids: {counted(len(names), 'name')}; all in {arguments.out}")
    return DONE


def _line_a_minute(total: int) -> Callable[[int], None]:
    """Returns what prints how many sequences are done, where a bar cannot be seen."""
    done, said = 0, time.monotonic()

    def tell(more: int) -> None:
        nonlocal done, said
        done += more
        if time.monotonic() - said >= _LINE:
            said = time.monotonic()
            print(f"{done:,} of {total:,} sequences", file=sys.stderr, flush=True)

    return tell


def _taps(text: str) -> tuple[int | str, ...]:
    try:
        return taps(text)
    except ValueError as error:
        raise ValueError(f"--taps: {error}; valid: {_TAPS}") from None
