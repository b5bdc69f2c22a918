"""The convolution, state-space and hybrid families, and later ones, beside straightforward PyTorch.

    python -m benchmarks.long_families

One record a batch of 1,024 and of 8,192 tokens through the first layers of each model at its full
width, weights random; Evo-1 and Evo 2, whose layers are too large for that, have the width of
their conformance fixtures. JanusDNA runs at its one length of 1,024, and Enformer and SPACE at
their own input size with a record of 300 bases, where the peer computes the whole input. The peers
(`benchmarks.peers`) step through their scans and convolve by FFT, on the same device in the same
run; `ratio` above 1 says how many times faster the port is. `change` is the largest difference of
the mean-pooled final states, relative to their largest entry.

Needs a clone, and PyTorch (`pip install '.[convert]'`). `--out` holds these rows.
"""

# pyright: reportMissingImports=false

import importlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors.numpy import load_file, save_file

from benchmarks.embedding_engine import fixture
from benchmarks.needs import begin, fixtures, new_parser, packages
from benchmarks.rows import Rows
from model_ports import catalog
from model_ports.contract.family import FINAL, View
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.port import Port
from model_ports.running.embedder import embedder
from model_ports.running.records import collate, padded_length, tokenize

COLUMNS = {
    "model": "52s", "layers": "6", "tokens": "6", "torch_seconds": "8.3f", "jax_seconds": "8.3f",
    "ratio": "6.2f", "change": "8.1e",
}  # fmt: skip
_LENGTHS = (1024, 8192)
_BASES_PER_TOKEN = 4  # enough for `length` tokens of any of the tokenizers
_QUICK_SECONDS, _REPEATS = 2.0, 5  # a call this short is timed so often, and the median taken


@dataclass(frozen=True)
class Case:
    """A model of the table: its first layers at full width, or its fixture where `layers` is 0.

    Attributes:
        model_id: GENEB's model id.
        layers: Layers kept.
        depth: The field of config.json that counts them.
        lengths: Tokens of the records; bases where the input has one size.
    """

    model_id: str
    layers: int
    depth: str = "n_layer"
    lengths: Sequence[int] = _LENGTHS


CASES = (
    Case("hyenadna-medium-160k-seqlen-hf", 2),
    Case("gpn-brassicales", 2, "n_layers"),
    Case("gpn-animal-promoter", 2, "num_hidden_layers"),
    Case("megaDNA_phage_145M", 1, "depth"),
    Case("evo-1-131k-base", 0),
    Case("evo2_1b_base", 0),
    Case("caduceus-ph_seqlen-1k_d_model-256_n_layer-4_lr-8e-3", 2),
    Case("caduceus-ps_seqlen-131k_d_model-256_n_layer-16", 2),
    Case("PlantCaduceus_l32", 1),
    Case("PlantCAD2-Small-l24-d0768", 1),
    Case("eccdnamamba_weights", 1),
    Case("JanusDNA_72_w", 4, "num_hidden_layers", (1024,)),
    Case("NTv3_8M_pre", 1, "num_layers"),
    Case("borzoi-replicate-0", 1, "depth", (300,)),
    Case("flashzoi-replicate-0", 1, "depth", (300,)),
    Case("enformer-official-rough", 1, "depth", (300,)),
    Case("space", 1, "depth", (300,)),
    Case("GENERanno-eukaryote-0.5b-base", 1, "num_hidden_layers"),
    Case("gLM2_650M", 1, "depth"),
)


def peer(model_id: str) -> Any:
    """The module of the PyTorch peer, which offers `build(config, tensors)`."""
    return importlib.import_module(f"benchmarks.peers.{catalog.get(model_id).family}")


def _random_tensor(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Values that keep a random model within range."""
    if name.endswith("A_log"):
        last = np.log(np.arange(1, shape[-1] + 1))
        return np.broadcast_to(last, shape).astype(np.float32).copy()
    if name.endswith("pos_emb.t"):
        return np.linspace(0, 1, shape[1], dtype=np.float32)[None, :, None]
    ones = re.search(r"norm\w*\.weight|norm\d?\.weight|running_var|\.D$|freq$|deltas$", name)
    if ones or (name.endswith((".weight", ".g")) and len(shape) == 1):
        return np.ones(shape, np.float32)
    if name.endswith("bias") or name.endswith("running_mean"):
        return np.zeros(shape, np.float32)
    return rng.normal(0, 0.02, shape).astype(np.float32)


def layer_of(name: str) -> int | None:
    """The number of the layer that a tensor belongs to by its name; None: it is of no layer."""
    found = re.search(r"(?:^|\.)(?:layers?|transformer|transformer_blocks|encoder)\.(\d+)\.", name)
    return int(found[1]) if found else None


def write_checkpoint(case: Case, folder: Path) -> None:
    """Writes config.json, tokenizer files and random tensors of the case's small model."""
    source = fixture(case.model_id)
    shutil.copytree(source, folder, dirs_exist_ok=True)
    (folder / "meta.json").unlink()
    if not case.layers:
        return
    config = json.loads((source / "full_config.json").read_text())
    inner = config["config"] if case.depth in config.get("config", ()) else config
    levels = inner[case.depth]  # of megaDNA, whose levels have depths
    inner[case.depth] = [case.layers] * len(levels) if isinstance(levels, list) else case.layers
    (folder / "config.json").write_text(json.dumps(config))
    shapes = json.loads((source / "full_keys.json").read_text())["tensors"]
    tiny = load_file(source / "model.safetensors")
    rng, tensors = np.random.default_rng(0), {}
    for name, shape in shapes.items():
        layer = layer_of(name)
        if layer is not None and layer >= case.layers:
            continue
        if name.endswith("complement_map"):
            pairs = {int(a): b for a, b in config["complement_map"].items()}
            tensors[name] = np.array([pairs[i] for i in sorted(pairs)], np.int64)
        elif name in tiny and not np.issubdtype(tiny[name].dtype, np.floating):
            tensors[name] = np.zeros(shape, np.int64)
        elif not re.match(
            r"_trunk|_heads|model\.(heads|tracks)|.*lm_head\.|(human|mouse)_head", name
        ):
            tensors[name] = _random_tensor(name, tuple(shape), rng)
    save_file(tensors, folder / "model.safetensors")


def seconds(call: Callable[[], object]) -> float:
    """Time of one call, or the median of several short ones."""
    times: list[float] = []
    while not times or (times[0] < _QUICK_SECONDS and len(times) < _REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def measure(port: Port, forward: Callable[..., Any], length: int) -> dict[str, Any]:
    """One row of the table."""
    import torch

    fixed = port.preset.batching == "fixed"
    bases = length if fixed else _BASES_PER_TOKEN * length
    if not fixed:
        port = replace(port, preset=replace(port.preset, max_tokens=None))
    sequence = "".join(np.random.default_rng(length).choice(list("ACGT"), bases))
    encoded = [tokenize(port, [sequence])[0][:length]]
    inputs = collate(port, encoded, padded_length(port, len(encoded[0])))
    whole = collate(port, encoded, port.preset.max_tokens or 0) if fixed else inputs
    arrays = whole["input_ids"].astype(np.int64), whole["attention_mask"]
    ids, mask = (torch.from_numpy(array).to(torch.get_default_device()) for array in arrays)
    expected = forward(ids, mask).mean(1).cpu().numpy()
    theirs = seconds(lambda: forward(ids, mask).mean(1).cpu())
    embed, placed = embedder(port, [View(FINAL, "mean-all-rows")]), jax.device_put(inputs)
    found = np.asarray(embed(port.state, placed))
    ours = seconds(lambda: embed(port.state, placed).block_until_ready())
    change = float(np.abs(found - expected).max() / np.abs(expected).max())
    return {
        "model": port.entry.id,
        "tokens": ids.shape[1],
        "torch_seconds": theirs,
        "jax_seconds": ours,
        "ratio": theirs / ours,
        "change": change,
    }


def measured(cases: Sequence[Case]) -> Iterator[dict[str, Any]]:
    """Yields a row of the table a model and length: seconds, ratio, and agreement."""
    for case in cases:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_checkpoint(case, folder)
            port = load_port(plan_checkpoint(catalog.get(case.model_id), folder))
            config = json.loads((folder / "config.json").read_text())
            forward = peer(case.model_id).build(config, load_file(folder / "model.safetensors"))
            for length in case.lengths:
                yield {"layers": case.layers or "tiny"} | measure(port, forward, length)


def compare(cases: Sequence[Case], out: Path | None) -> None:
    """Measures the cases, and writes their rows to a file where one is named."""
    from benchmarks.peers.parts import use_gpu

    use_gpu()
    rows = Rows(COLUMNS, out)
    for row in measured(cases):
        rows.add(row)


def main() -> None:
    """Measures the models that are asked for."""
    parser = new_parser(__doc__)
    known = [case.model_id for case in CASES]
    parser.add_argument("--models", nargs="+", default=known, choices=known)
    options = begin(parser, lambda _: [*packages("torch"), *fixtures()])
    compare([case for case in CASES if case.model_id in options.models], options.out)


if __name__ == "__main__":
    main()
