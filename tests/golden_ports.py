"""The conformance fixtures in tests/golden and tests/golden_more, and their checkpoints' ports."""

import functools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from model_ports import catalog
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.port import Port

GOLDEN = Path(__file__).parent / "golden"
MORE = GOLDEN.with_name("golden_more")
FIXTURES, MORE_FIXTURES = (
    sorted(path.name for path in root.iterdir() if (path / "meta.json").is_file())
    for root in (GOLDEN, MORE)
)
FOLDERS = {name: GOLDEN / name for name in FIXTURES} | {name: MORE / name for name in MORE_FIXTURES}


@functools.cache
def golden_port(model_id: str, dtype: str = "float32") -> Port:
    """Returns the port of a fixture under the corrected preset, loaded once a process."""
    return load_port(plan_checkpoint(catalog.get(model_id), FOLDERS[model_id]), dtype)


def golden_records(model_id: str) -> list[str]:
    """Returns the records of a fixture."""
    return json.loads((FOLDERS[model_id] / "cases.json").read_text())["sequences"]


def golden_layers(model_id: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns the hidden states of all layers of the corrected preset, and their mask.

    These are `all_hidden`, [layers + 1, N, L, D] with the final state as the last, and bool [N, L];
    None where the fixture holds none, or of another preset or other records.
    """
    check = json.loads((FOLDERS[model_id] / "meta.json").read_text())["check"]["corrected"]
    with np.load(FOLDERS[model_id] / "golden.npz") as arrays:
        if "all_hidden" not in arrays or check["hidden"] != "hidden" or not check["mask"]:
            return None
        golden, mask = arrays["all_hidden"], arrays[check["mask"]].astype(bool)
    return (golden, mask) if golden.shape[1] == len(mask) else None


def change_tensors(folder: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    """Rewrites the model.safetensors of a folder with `change` applied to its tensors."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
