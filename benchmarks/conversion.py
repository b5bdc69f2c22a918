"""Peak memory of converting a checkpoint of real tensor names and shapes with random contents.

    python -m benchmarks.conversion [--model MODEL] [--dir DIR] [--format safetensors|torch]

Layers are left out until the weights have the wanted size. The bound is 1.5 times the largest
stacked tensor plus 2 GB; the peak is the resident set of the converting process, whole.

Needs Linux, and PyTorch for the format `torch` (`pip install '.[convert]'`). The row, which `--out`
holds too, has in GB the `parameters`, the `largest` stacked tensor, the `bound`, the `peak` and of
it the `imports`, before anything is converted, and the `seconds`. Status 1: over the bound.
"""

# pyright: reportMissingImports=false

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.needs import FIXTURES, begin, fixtures, linux, new_parser, packages
from benchmarks.processes import peak_bytes
from benchmarks.rows import Rows
from model_ports import catalog

COLUMNS = {"model": "40s", "format": "11s"} | dict.fromkeys(
    ("parameters", "largest", "bound", "peak", "imports", "seconds"), "7.2f"
)
_LAYER_FIELDS = ("num_hidden_layers", "n_layers", "num_layers")


def write_checkpoint(model: str, folder: Path, gigabytes: float, kind: str) -> None:
    """Writes a random float32 checkpoint in the model's real names, in files of about 1 GB."""
    shapes = json.loads((FIXTURES / model / "full_keys.json").read_text())["tensors"]
    config = json.loads((FIXTURES / model / "full_config.json").read_text())
    number = re.compile(r"\.(\d+)\.")
    layers = sorted({int(m.group(1)) for name in shapes if (m := number.search(name))})

    def size(count: int) -> float:
        kept = (s for n, s in shapes.items() if not (m := number.search(n)) or int(m[1]) < count)
        return sum(4 * np.prod(s, dtype=np.int64) for s in kept) / 1e9

    count = next((c for c in range(1, len(layers)) if size(c) >= gigabytes), len(layers))
    field = next(name for name in _LAYER_FIELDS if name in config)
    for path in (FIXTURES / model).iterdir():
        if path.suffix in (".txt", ".json") and not path.name.startswith(("full_", "meta")):
            shutil.copyfile(path, folder / path.name)
    (folder / "config.json").write_text(json.dumps(config | {field: count}))
    generator = np.random.default_rng(0)
    part: dict[str, np.ndarray] = {}
    index = 0
    for name, shape in shapes.items():
        match = number.search(name)
        if match and int(match[1]) >= count:
            continue
        part[name] = generator.standard_normal(shape, np.float32)
        if sum(a.nbytes for a in part.values()) > 1e9:
            _save(part, folder, index, kind)
            part, index = {}, index + 1
    if part:
        _save(part, folder, index, kind)


def _save(part: dict[str, np.ndarray], folder: Path, index: int, kind: str) -> None:
    if kind == "torch":
        import torch

        tensors = {name: torch.from_numpy(array) for name, array in part.items()}
        torch.save(tensors, folder / f"pytorch_model-{index:05d}.bin")
    else:
        from safetensors.numpy import save_file

        save_file(part, folder / f"model-{index:05d}.safetensors")


def converting(model: str, source: Path, out: Path) -> dict[str, float]:
    """Converts in this process; returns peak memory before and after in bytes, and seconds."""
    from model_ports.loading.convert import convert

    imports = peak_bytes()
    start = time.perf_counter()
    convert(catalog.get(model), source, out)
    seconds = time.perf_counter() - start
    return {"imports": imports, "peak": peak_bytes(), "seconds": seconds}


def main() -> None:
    """Converts a checkpoint in another process, and prints the row."""
    parser = new_parser(__doc__)
    parser.add_argument("--model", default="GENERator-eukaryote-1.2b-base")
    parser.add_argument("--gigabytes", type=float, default=3.0)
    parser.add_argument("--format", choices=("safetensors", "torch"), default="safetensors")
    parser.add_argument("--dir", type=Path, help="where the files go for the time being")
    parser.add_argument("--converting", nargs=2, type=Path, help=argparse.SUPPRESS)

    def needs(options: argparse.Namespace) -> Iterator[str]:
        yield from (*linux(), *fixtures())
        yield from packages(*(["torch"] if options.format == "torch" else []))

    options = begin(parser, needs)
    if options.converting:
        print(json.dumps(converting(options.model, *options.converting)))
        return
    rows = Rows(COLUMNS, options.out)
    with tempfile.TemporaryDirectory(dir=options.dir) as name:
        source, out = Path(name) / "source", Path(name) / "out"
        source.mkdir()
        write_checkpoint(options.model, source, options.gigabytes, options.format)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.conversion", "--model", options.model,
             "--converting", source, out],
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        manifest = json.loads((out / options.model / "manifest.json").read_text())
    bytes_of = [4 * np.prod(p["shape"], dtype=np.int64) for p in manifest["parameters"].values()]
    sizes = {"parameters": sum(bytes_of), "largest": max(bytes_of)}
    facts = json.loads(done.stdout)
    sizes |= {
        "bound": 1.5 * max(bytes_of) + 2e9,
        "peak": facts["peak"],
        "imports": facts["imports"],
    }
    row = rows.add(
        {"model": options.model, "format": options.format, "seconds": facts["seconds"]}
        | {name: float(size / 1e9) for name, size in sizes.items()}
    )
    sys.exit(row["peak"] >= row["bound"])


if __name__ == "__main__":
    main()
