"""LoRA adapters as PEFT saves them, merged into the weights of their base while these are read.

For each matrix that is adapted W becomes W + s B A with A [r, in], B [out, r] and the scale
s = alpha / r, or alpha / sqrt(r) of rank-stabilised adapters (Hu et al. 2021, arXiv 2106.09685;
Kalajdzievski 2023, arXiv 2312.03732). Modules that were trained as a whole replace the base's.
"""

import functools
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from model_ports.loading.tensors import (
    ADAPTER_CONFIG,
    CheckpointError,
    Stored,
    Tensors,
    is_weight_file,
    open_file,
    read_object_file,
)

_PREFIX = "base_model.model."
_LORA = re.compile(r"(.+)\.lora_(A|B)\.weight")
_MERGE_FIRST = "merge it first (`model.merge_and_unload().save_pretrained(...)`)"

# Fields of adapter_config.json that change what is added, by the values of a plain LoRA. Others
# say how the adapter was made or trained.
_PLAIN: Mapping[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "use_dora": (False, None),
    "use_qalora": (False, None),
    "use_bdlora": (False, None),
    "lora_bias": (False, None),
    "bias": ("none", None),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "layer_replication": (None,),
    "megatron_config": (None,),
    "trainable_token_indices": (None,),
    "target_parameters": (None, []),
    "alora_invocation_tokens": (None,),
    "arrow_config": (None,),
    # Others, such as pissa and olora, change the base's weights too.
    "init_lora_weights": (True, False, "gaussian", "eva", "orthogonal", None),
}


def is_adapter(folder: Path) -> bool:
    """Tells whether a folder holds a PEFT adapter and no model."""
    return (folder / ADAPTER_CONFIG).is_file() and not (folder / "config.json").is_file()


def base_of(adapter: Path) -> Path:
    """Returns the folder of the model that an adapter was trained on.

    Raises:
        CheckpointError: adapter_config.json names none that is a local folder.
    """
    base = read_object_file(adapter / ADAPTER_CONFIG).get("base_model_name_or_path")
    if isinstance(base, str) and base and Path(base).is_dir():
        return Path(base)
    raise CheckpointError(
        f"{adapter}: is a PEFT adapter of {base or 'a base model'}; name the folder of its base "
        "too, as in NAME=hf:FOLDER+ADAPTER_FOLDER"
    )


def adapter_files(adapter: Path) -> list[Path]:
    """Returns an adapter's config and its weight file.

    Raises:
        CheckpointError: One of them is missing, or there are several weight files.
    """
    weights = sorted(p for p in adapter.glob("adapter_model.*") if is_weight_file(p.name))
    if not (adapter / ADAPTER_CONFIG).is_file() or len(weights) != 1:
        raise CheckpointError(
            f"{adapter}: an adapter has {ADAPTER_CONFIG} and one of adapter_model.safetensors and "
            "adapter_model.bin"
        )
    return [adapter / ADAPTER_CONFIG, weights[0]]


def merged(tensors: Tensors, adapter: Path) -> Tensors:
    """Returns the tensors of a checkpoint with a LoRA adapter merged into them.

    Sums are computed in float64 and rounded to float32. Tensors are read when they are asked for.

    Args:
        tensors: The base's. Their names may have a prefix more, or less, than the adapter's.
        adapter: The adapter's folder.

    Raises:
        CheckpointError: It is no plain LoRA, or does not fit the base.
    """
    config, weights = adapter_files(adapter)
    fields = read_object_file(config)
    for name, values in _PLAIN.items():
        if not any(fields.get(name) == value for value in values):
            raise CheckpointError(
                f"{config}: {name} is {str(fields.get(name))[:60]!r}, which is not plain LoRA: "
                f"{_MERGE_FIRST}"
            )
    of_adapter = Tensors(open_file(weights))
    pairs: dict[str, dict[str, Stored]] = {}
    whole: dict[str, Stored] = {}
    for stored_name, stored in of_adapter.stored.items():
        of_adapter.dtype(stored_name)
        name = stored_name.removeprefix(_PREFIX)
        if match := _LORA.fullmatch(name):
            pairs.setdefault(match.group(1), {})[match.group(2)] = stored
        elif "lora_" in name or "token_adapter" in name:
            raise CheckpointError(
                f"{weights}: tensor '{name}' is not of plain LoRA: {_MERGE_FIRST}"
            )
        else:  # of `modules_to_save`
            whole[re.sub(r"\.(modules_to_save|original_module)(?=\.)", "", name)] = stored
    if not pairs:
        raise CheckpointError(f"{weights}: holds no tensors of LoRA; {_MERGE_FIRST}")
    changed: dict[str, Stored] = {}
    for module, pair in pairs.items():
        name = _base_name(f"{module}.weight", tensors)
        if name is None or pair.keys() != {"A", "B"}:
            what = "lora_A or lora_B is missing" if name else "the base has no such tensor"
            raise CheckpointError(f"{weights}: '{module}': {what}; is it the right base?")
        tensors.dtype(name)  # raises where it is not one of weights, such as a quantised one
        changed[name] = _sum(tensors.stored[name], name, pair, fields, config)
    for name, stored in whole.items():
        changed[_base_name(name, tensors) or name] = stored
    return Tensors({**tensors.stored, **changed})


def _base_name(name: str, tensors: Tensors) -> str | None:
    """Returns the base's name of a tensor; None: it has none, or there are several."""
    if name in tensors:
        return name
    found = [n for n in tensors if n.endswith(f".{name}") or name.endswith(f".{n}")]
    return found[0] if len(found) == 1 else None


def _sum(
    base: Stored, name: str, pair: Mapping[str, Stored], fields: Mapping[str, Any], config: Path
) -> Stored:
    """Returns W + s B A, to be read when it is asked for."""
    (rank, _), (_, columns) = (pair[side].shape if len(pair[side].shape) == 2 else (0, 0)
                               for side in "AB")  # fmt: skip
    alpha = fields.get("lora_alpha", 8)
    if rank < 1 or rank != columns or isinstance(alpha, bool) or not isinstance(alpha, int | float):
        raise CheckpointError(
            f"{config}: '{name}': lora_A is {list(pair['A'].shape)} and lora_B "
            f"{list(pair['B'].shape)}, with lora_alpha {str(alpha)[:60]}; they make no product"
        )
    scale = alpha / (math.sqrt(rank) if fields.get("use_rslora") else rank)
    transposed = bool(fields.get("fan_in_fan_out"))
    shape = (pair["B"].shape[0], pair["A"].shape[1])
    shape = shape[::-1] if transposed else shape
    if shape != base.shape:
        raise CheckpointError(
            f"{config}: '{name}' is {list(base.shape)}, but the adapter's product is "
            f"{list(shape)}; is it the right base?"
        )
    return Stored(
        base.shape, "float32", pair["A"].path,
        functools.partial(_read_sum, base, pair, scale, transposed),
    )  # fmt: skip


def _read_sum(
    base: Stored, pair: Mapping[str, Stored], scale: float, transposed: bool
) -> np.ndarray:
    a, b = (pair[side].read().astype(np.float64) for side in "AB")
    product = scale * (b @ a)
    total = base.read().astype(np.float64) + (product.T if transposed else product)
    return total.astype(np.float32)
