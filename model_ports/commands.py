"""The commands list, verify, fetch, convert and describe: ports and their checkpoints.

Imports that take long stand in the functions that need them: `--help` and `list` answer at once.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model_ports import catalog
from model_ports.exits import DONE, FAILED, WRONG, Parser, ended

if TYPE_CHECKING:
    from model_ports.verification.verify import Verdict

_SHOWN = 60  # letters of words in an error
_UNKNOWN = "unknown until the checkpoint is there"

HELP = "list models, verify their ports, fetch, convert and describe checkpoints"


def main(words: Sequence[str] | None = None, program: str = "geneb-jax models") -> int:
    """Runs one of the five commands.

    Args:
        words: The command line behind the program's name; None: that of the process.
        program: How help and errors call the program.

    Returns:
        The exit status, one of `exits`.
    """
    parser = Parser(prog=program, description=HELP)
    commands = parser.add_subparsers(dest="model_command", metavar="COMMAND", required=True)
    listed = commands.add_parser("list", help="the paper's 40 models and others, and their ports")
    listed.add_argument(
        "words", nargs="*", metavar="WORD", help="only models with a family or a name that has it"
    )
    checked = commands.add_parser(
        "verify", help="compare ports with the original code: of checkpoints, and of fixtures"
    )
    checked.add_argument(
        "folders",
        nargs="*",
        type=Path,
        metavar="DIR",
        help="a checkpoint folder, FOLDER+ADAPTER, or a fixture",
    )
    checked.add_argument("--real", metavar="MODEL", help="the real checkpoint, against its anchors")
    checked.add_argument("--source", type=Path, metavar="DIR", help="its folder, else from the hub")
    checked.add_argument(
        "--against",
        choices=["transformers"],
        help="compare checkpoint folders with the original code in transformers",
    )
    checked.add_argument("--model", metavar="MODEL", help="which model the folders are of")
    checked.set_defaults(usage_error=checked.error)
    made = commands.add_parser("convert", help="write an Orbax checkpoint of the authors' files")
    made.add_argument("model", metavar="MODEL")
    made.add_argument("--source", type=Path, metavar="DIR", help="else from the hub")
    made.add_argument("--out", type=Path, metavar="DIR", required=True, help="gets DIR/MODEL")
    staged = commands.add_parser("fetch", help="stage the authors' files for checkpoints_dir")
    staged.add_argument("models", nargs="+", metavar="MODEL", help="model ids, or 'all'")
    staged.add_argument("--to", type=Path, metavar="DIR", required=True, help="gets DIR/MODEL")
    told = commands.add_parser(
        "describe", help="show what is known of a model, or write the catalog's file of your own"
    )
    told.add_argument(
        "address",
        metavar="MODEL",
        help="of the catalog; or FOLDER, FOLDER+ADAPTER, ORG/NAME@REVISION",
    )
    told.add_argument("--name", metavar="NAME", help="what it is called; else its folder's name")
    arguments = parser.parse_args(words)
    return ended(lambda: COMMANDS[arguments.model_command](arguments))


def list_models(arguments: argparse.Namespace) -> int:
    """Prints the paper's 40 models and the others that are known, with sizes and licences.

    Raises:
        ValueError: No model has the words that are asked for.
    """
    words = [word.casefold() for word in arguments.words]

    def asked(*names: str | None) -> bool:
        return not words or any(word in (name or "").casefold() for name in names for word in words)

    papers = [
        entry
        for entry in catalog.entries().values()
        if asked(entry.id, entry.family, entry.paper_name, entry.source["repo"])
    ]
    others = {
        model_id: model
        for model_id, model in catalog.more().items()
        if asked(
            model_id,
            *(model.fields[name] for name in ("family", "paper_name")),
            model.fields["source"]["repo"],
        )
    }
    if not papers and not others:
        raise ValueError(
            f"no model or family has '{' or '.join(arguments.words)[:_SHOWN]}' in its name; "
            "`geneb-jax models list` prints all"
        )
    if papers:
        _print_papers(papers)
    if others:
        _print_others(others)
    return DONE


def _print_papers(models: Sequence[catalog.Entry]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    table.add_column("model", no_wrap=True)
    table.add_column("family")
    table.add_column("parameters", justify="right")
    table.add_column("width", justify="right")
    table.add_column("precision")
    table.add_column("weights' licence")
    table.add_column("port")
    for entry in models:
        table.add_row(
            entry.id,
            entry.family,
            f"{entry.params / 1e6:,.0f}M",
            str(entry.width),
            entry.dtype,
            entry.licence_shown,
            "yes" if entry.ported else "not yet",
        )
    console = Console(width=Console(width=10**4).measure(table).maximum)
    console.print(table)
    console.print(f"{sum(entry.ported for entry in models)} of {len(models)} models are ported\n")


def _print_others(models: Mapping[str, catalog.More]) -> None:
    from rich.console import Console
    from rich.table import Table

    more = Table(box=None)
    for column in ("more models", "family", "repository", "proven by", "sizes and tokenizer"):
        more.add_column(column, no_wrap=True)
    for model_id, model in models.items():
        more.add_row(
            model_id,
            model.fields["family"],
            model.fields["source"]["repo"] or model.fields["source"]["url"],
            model.proven_by,
            "stated" if model.entry else "come with the checkpoint",
        )
    console = Console(width=Console(width=10**4).measure(more).maximum)
    console.print(more)
    console.print(
        "fixture: the port gives the original code's outputs on a small checkpoint; family: its "
        "family does, on other models; not yet: model_ports/families lacks its family"
    )
    told: dict[str, list[str]] = {}  # the sizes of a model mostly have the same to tell
    for model_id, model in models.items():
        for text in model.known_defects:
            told.setdefault(text, []).append(model_id)
    for text, names in told.items():
        print(f"\n{', '.join(names)}: {text}")


def verify_folders(arguments: argparse.Namespace) -> int:
    """Checks fixture folders or a real checkpoint, a line each; returns FAILED if any fails."""
    from model_ports.verification.verify import verify

    if bool(arguments.folders) == bool(arguments.real):
        arguments.usage_error("name fixture folders, or --real MODEL")
    if arguments.against and arguments.real:
        arguments.usage_error("--against compares folders: name them instead of --real MODEL")
    if arguments.model and not arguments.against:
        arguments.usage_error("--model goes with --against: a fixture says whose it is")
    if arguments.source and not arguments.real:
        arguments.usage_error("--source goes with --real MODEL")
    if arguments.against:
        return _verify_against_transformers(arguments.folders, arguments.model)
    if arguments.real:
        return _verify_real(arguments.real, arguments.source)
    failed = False
    # What a shell makes of FOLDER/* may hold a file of notes beside the folders.
    notes = [path for path in arguments.folders if path.is_file()]
    folders = [path for path in arguments.folders if path not in notes] or notes
    for path in notes if folders is not notes else ():
        print(f"{path}: skipped, it is no folder", flush=True)
    for folder in folders:
        try:
            verdict = verify(folder)
        except (ValueError, FileNotFoundError) as error:
            print(f"{folder} FAIL: {str(error).removeprefix(f'{folder}: ')}", flush=True)
            failed = True
            continue
        print(_verdict_text(verdict), flush=True)
        failed |= not verdict.passed
    return FAILED if failed else DONE


def _verify_real(name: str, source: Path | None) -> int:
    from model_ports.loading.fetch import fetch_checkpoint
    from model_ports.verification.anchors import anchors_of, verify_real

    entry = catalog.get(catalog.resolve(name))
    anchors = anchors_of(entry)
    results = verify_real(entry, source or fetch_checkpoint(entry), anchors)
    for result in results:
        tokens = {None: "not recorded", "": "ok"}.get(result.tokens, "differ")
        print(
            f"{entry.id} {result.sequence}: tokens {tokens}; differences: first 16 "
            f"{result.first:.1e} (cosine {result.cosine:.7f}), norm {result.norm:.1e}, "
            f"mean {result.mean:.1e}; tolerance {result.tolerance:.1e}: "
            + ("PASS" if result.passed else "FAIL")
        )
        if result.tokens:
            print(f"  {result.tokens}")
    return DONE if all(result.passed for result in results) else FAILED


def _verify_against_transformers(folders: Sequence[Path], name: str | None) -> int:
    """Prints a table a folder: how far its port is from the original code, by hidden state."""
    verdicts: dict[Path, str] = {}
    for folder in folders:
        try:
            verdicts[folder] = "PASS" if _is_like_transformers(folder, name) else "FAIL"
        except (ValueError, FileNotFoundError) as error:
            named = str(error).startswith(str(folder))  # as errors of its files are
            print(error if named else f"{folder}: {error}", flush=True)
            verdicts[folder] = "not compared"
    if len(folders) > 1:
        print("\n".join(["", *(f"{verdict}: {folder}" for folder, verdict in verdicts.items())]))
    if "FAIL" in verdicts.values():
        return FAILED
    return WRONG if "not compared" in verdicts.values() else DONE


def _is_like_transformers(folder: Path, name: str | None) -> bool:
    """Prints how far the port of a folder is from the original code; says whether it is close."""
    from rich.console import Console
    from rich.table import Table

    from model_ports.loading.address import parse_address
    from model_ports.loading.describe import describe
    from model_ports.loading.planned import plan_checkpoint
    from model_ports.loading.ports import load_port
    from model_ports.verification.original import TOLERANCE, compare_with_transformers
    from model_ports.verification.verify import entry_of

    given, (base, adapter, *_) = folder, parse_address(str(folder))
    if base is None:
        raise ValueError("no such folder; only folders are compared")
    folder = base
    if name:
        entry = catalog.get(catalog.resolve(name))
    elif (folder / "meta.json").is_file():  # a fixture
        entry = entry_of(folder)
    else:
        entry = describe(folder, folder.resolve().name)
    port = load_port(plan_checkpoint(entry, folder, adapter=adapter))
    found = compare_with_transformers(port, folder, adapter=adapter)
    table = Table(box=None)
    table.add_column("hidden state")
    table.add_column("largest difference", justify="right")
    table.add_column("of the largest value", justify="right")
    rows = {("final" if tap < 0 else str(tap)): far for tap, far in found.states.items()}
    for words, far in (rows | {f"embedding ({port.preset.pooling})": found.pooled}).items():
        table.add_row(words, f"{far.absolute:.1e}", f"{far.relative:.1e}")
    print(
        f"{given}: {found.records} records of random DNA in a padded batch, float32, against "
        f"transformers' {found.original}"
        + (" with the sums of weights and adapter" if adapter else "")
    )
    Console().print(table)
    for letters, ids in found.tokens.items():
        verdict = "the same" if ids.verdict == "same" else ids.verdict
        print(f"token ids of {letters}: {verdict}" + (f": {ids.why}" if ids.why else ""))
    rounding = f"differences up to {TOLERANCE:.0e} of the largest value are rounding"
    if found.passed:
        print(f"PASS: {rounding}", flush=True)
    else:
        far = any(each.relative > TOLERANCE for each in (*found.states.values(), found.pooled))
        why = [f"other values ({rounding})"] * far + ["other token ids"] * found.tokens_differ
        print(f"FAIL: {' and '.join(why)}", flush=True)
    return found.passed


def _verdict_text(verdict: "Verdict") -> str:
    """Returns a line on a fixture, and one more for each problem."""
    computed = {n: d for n, d in verdict.presets.items() if not isinstance(d, str)}
    hidden = [d.hidden for d in computed.values() if d.hidden is not None]
    pooled = max((d.pooled for d in computed.values()), default=float("nan"))
    words = [
        verdict.model_id,
        "tokens=" + ("differ" if any(d.tokens for d in computed.values()) else "ok"),
        f"hidden={max(hidden):.1e}" if hidden else "hidden=none",
        f"pooled={pooled:.1e}",
        f"tol={verdict.tolerance:.0e}",
        "keys=" + {None: "none", "": "ok"}.get(verdict.keys, "differ"),
        "PASS" if verdict.passed else "FAIL",
    ]
    notes = [f"  {name}: {d.tokens}" for name, d in computed.items() if d.tokens]
    notes += [f"  {name}: {d}" for name, d in verdict.presets.items() if isinstance(d, str)]
    notes += [f"  keys: {verdict.keys}"] if verdict.keys else []
    return "\n".join([" ".join(words), *notes])


def convert_model(arguments: argparse.Namespace) -> int:
    """Converts a checkpoint."""
    from model_ports.loading.convert import convert
    from model_ports.loading.fetch import fetch_checkpoint

    def progress(name: str, done: int, total: int) -> None:
        print(f"  {done}/{total} {name}", flush=True)

    entry = catalog.get(catalog.resolve(arguments.model))
    source = arguments.source or fetch_checkpoint(entry)
    folder, done = convert(entry, source, arguments.out, progress)
    print(f"{folder}: " + ("converted" if done else "already converted, every file is whole"))
    return DONE


def fetch_models(arguments: argparse.Namespace) -> int:
    """Stages checkpoints, a line each; returns FAILED if any could not be staged."""
    from model_ports.loading.fetch import stage

    everything = "all" in arguments.models
    names = catalog.entries() if everything else [*map(catalog.resolve, arguments.models)]
    failed = False
    for name in names:
        try:
            print(f"{stage(catalog.get(name), arguments.to)}: complete", flush=True)
        except ValueError as error:
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            failed = True
    return FAILED if failed else DONE


def describe_model(arguments: argparse.Namespace) -> int:
    """Prints what the catalog knows of a model, or the file of a checkpoint for a local catalog."""
    model_id = catalog.find(arguments.address)
    if model_id is not None and not Path(arguments.address).exists():
        _print_facts(model_id)
        return DONE
    from model_ports.loading.address import parse_address
    from model_ports.loading.hub import describe_address
    from model_ports.loading.local_catalog import model_text

    address = parse_address(arguments.address)
    name = arguments.name or address.name
    entry = describe_address(address, name)
    if catalog.find(name):
        raise ValueError(f"'{name}' is a model of the catalog; give another name with --name")
    print(model_text(entry, address.path), end="")
    return DONE


def _print_facts(model_id: str) -> None:
    """Prints what the catalog states of a model; the rest comes with the checkpoint."""
    model = catalog.more().get(model_id)
    fields: Mapping[str, Any] = model.fields if model else asdict(catalog.entries()[model_id])
    source, licence = fields["source"], fields.get("licence", {})
    preset = fields.get("presets", {}).get("corrected", {})
    longest = _UNKNOWN
    if "max_tokens" in preset:
        limit = preset["max_tokens"]
        longest = "no limit" if limit is None else f"{limit:,} tokens"
    if preset.get("window"):
        longest += f", windows of {preset['window']:,} letters every {preset['stride']:,}"
    tap = preset.get("tap", -1)
    facts = {
        "name": fields["paper_name"],
        "family": fields["family"],
        "source": source["repo"] or source["url"],
        "revision": source["revision"] or "unknown",
        "weights' licence": licence.get("weights") or "unknown",
        "code's licence": licence.get("code") or "unknown",
        "parameters": f"{fields['params']:,}" if "params" in fields else _UNKNOWN,
        "width": fields.get("width", _UNKNOWN),
        "precision": fields.get("dtype", "float32"),
        "tokenizer": fields["tokenizer"]["kind"] if "tokenizer" in fields else _UNKNOWN,
        "longest input": longest,
        "pooling": preset.get("pooling", "mean"),
        "hidden state": "final" if tap == -1 else tap,
        "proven by": model.proven_by if model else "fixture",
    }
    widest = max(map(len, facts))
    print(model_id)
    for name, value in facts.items():
        print(f"  {name:{widest}}  {value}")
    told = model.known_defects if model else fields["known_defects"]
    if told:
        print("\nwhat to know of it:" if model else "\nwhat is wrong with what is published of it:")
    for text in told:
        print(f"  - {text}")


COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "list": list_models,
    "verify": verify_folders,
    "convert": convert_model,
    "fetch": fetch_models,
    "describe": describe_model,
}
