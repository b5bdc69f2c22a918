"""Conformance: a port against a fixture of the original code's inputs and outputs.

A fixture folder holds a tiny checkpoint, `cases.json` (records), `golden.npz` (arrays),
`meta.json` (tolerances and which arrays to compare, per preset) and the full-size checkpoint's
`full_config.json` and `full_keys.json` (tensor shapes). docs/adding-a-model.md makes one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import numpy as np

from geneb_jax.files.json_files import read_object
from model_ports import catalog
from model_ports.contract.family import FINAL, family
from model_ports.contract.weights import Weight
from model_ports.loading.assignment import assign_tensors, parameter_shapes
from model_ports.loading.describe import describe
from model_ports.loading.names import read_names
from model_ports.loading.planned import abstract_model, family_config, plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.loading.tensors import CheckpointError, read_config
from model_ports.pooling import POOLINGS
from model_ports.port import Port
from model_ports.running.embedder import forward
from model_ports.running.records import collate, padded_length, tokenize
from model_ports.tokenizers import TokenizerError


@dataclass(frozen=True)
class Difference:
    """The largest differences between a port and its fixture under one preset.

    Attributes:
        tokens: Problem of the token ids; '' where they are equal.
        hidden: Largest absolute difference of the final hidden states; None: not recorded.
        pooled: Largest absolute difference of the pooled embeddings.
        excess: Largest difference beyond the fixture's tolerance; at most 0 passes.
    """

    tokens: str
    hidden: float | None
    pooled: float
    excess: float


@dataclass(frozen=True)
class Verdict:
    """The result of one fixture folder.

    Attributes:
        model_id: GENEB's model id.
        presets: Difference by preset; a text says why a preset was not computed.
        tolerance: The fixture's absolute tolerance of pooled embeddings.
        keys: Problem of the full-size tensor list; '' where all fit, None where there is none.
    """

    model_id: str
    presets: Mapping[str, Difference | str]
    tolerance: float
    keys: str | None

    @property
    def passed(self) -> bool:
        """Whether everything that was checked agrees."""
        found = [d for d in self.presets.values() if isinstance(d, Difference)]
        agree = all(not d.tokens and d.excess <= 0 for d in found)
        return bool(found) and agree and not self.keys


def verify(folder: Path) -> Verdict:
    """Compares a port with a fixture folder.

    Raises:
        CatalogError, CheckpointError, TokenizerError: The fixture cannot be loaded, or lacks what
            is compared.
        FileError: A JSON file of the fixture is missing or cannot be read.
        FileNotFoundError: The folder is no fixture, or has no golden.npz.
    """
    if not (folder / "meta.json").is_file():
        raise FileNotFoundError(
            f"{folder}: no meta.json: it is no fixture, which holds the original code's outputs"
        )
    meta, check = _meta_of(folder)
    entry = entry_of(folder)
    cases = read_object(folder / "cases.json")
    _require(folder / "cases.json", cases, ["sequences"])
    sequences = cases["sequences"]
    presets: dict[str, Difference | str] = {}
    embedded: dict[catalog.Preset, _Embedded] = {}  # the two presets of many models are the same
    with np.load(folder / "golden.npz") as arrays:
        asked = [name for fields in _presets_of(check).values() for name in _arrays_of(fields)]
        _require(folder / "golden.npz", arrays, asked)
        others = {name: arrays[name] for name in check.get("other_inputs", ()) if name in arrays}
        for name in _PRESETS:
            if check[name] is None:
                presets[name] = meta.get("published_reason") or check["published_reason"]
                continue
            preset = cast(catalog.PresetName, name)
            port = load_port(plan_checkpoint(entry, folder, preset))
            if port.preset not in embedded:
                embedded[port.preset] = _embed(port, sequences, others)
            presets[name] = _compare(port, embedded[port.preset], check, check[name], arrays)
    return Verdict(meta["geneb_model_id"], presets, check["pooled_atol"], verify_keys(folder))


# What meta.json states in `check`, and in each preset of it that is computed.
_PRESETS = ("corrected", "published")
_TOLERANCES = ("hidden_atol", "pooled_atol", "rtol")
_ARRAYS = ("input", "mask", "hidden", "pooled")  # of golden.npz; mask and hidden may be null


def _meta_of(folder: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Returns the meta.json of a fixture, and the `check` of it, which hold all that is needed.

    Raises:
        CheckpointError: Something is missing.
    """
    path = folder / "meta.json"
    meta = read_object(path)
    _require(path, meta, ["geneb_model_id", "check"])
    check = meta["check"]
    _require(path, check, [*_TOLERANCES, *_PRESETS], "check.")
    for name, fields in _presets_of(check).items():
        _require(path, fields, _ARRAYS, f"check.{name}.")
    if len(_presets_of(check)) < len(_PRESETS) and not meta.get("published_reason"):
        _require(path, check, ["published_reason"], "check.")
    return meta, check


def _presets_of(check: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {name: check[name] for name in _PRESETS if check[name] is not None}


def _arrays_of(fields: Mapping[str, Any]) -> list[str]:
    return [fields[name] for name in _ARRAYS if fields[name] is not None]


def _require(path: Path, content: Any, names: Iterable[str], within: str = "") -> None:
    """Raises CheckpointError where a file of a fixture lacks a name."""
    there = content if isinstance(content, Mapping) else {}
    for name in names:
        if name not in there:
            raise CheckpointError(
                f"{path}: '{within}{name}' is missing; docs/adding-a-model.md says what a fixture "
                "holds"
            )


def verify_keys(folder: Path) -> str | None:
    """Checks the full-size tensor list against the full-size module, without its memory.

    What full_config.json leaves out is taken from the catalog, and what is in neither, and has no
    default, from the fixture's config.json: such as the rows of a table that nobody has seen. A
    letter among the sizes of a tensor stands for one of these: it is taken to be the parameter's.

    Returns:
        '' where every tensor fills a parameter and every parameter has a tensor, else the
        differences; None where the folder holds no list.
    """
    if not (folder / "full_keys.json").is_file():
        return None
    fields, keys = read_object(folder / "full_config.json"), read_object(folder / "full_keys.json")
    _require(folder / "full_keys.json", keys, ["tensors"])
    shapes = keys["tensors"]
    entry = entry_of(folder)
    stated = {**catalog.stated_config(entry.id), **fields}
    config, _ = family_config(entry, stated, otherwise=read_config(folder))
    _, abstract = abstract_model(entry.family, config)
    rules, parameters = family(entry.family).weights(config), parameter_shapes(abstract)
    filled = {
        rule.source: parameters[rule.path]
        for rule in rules
        if isinstance(rule, Weight) and rule.layout is None
    }
    for name, shape in shapes.items():
        if any(isinstance(size, str) for size in shape):
            shapes[name] = filled.get(name, ())
    try:
        assign_tensors(rules, read_names(rules, shapes), shapes, parameters)
    except CheckpointError as error:
        return str(error)
    return ""


def entry_of(folder: Path) -> catalog.Entry:
    """Returns the entry of the model that a fixture is of, by its name or its repository.

    What the catalog leaves to the checkpoint is found out of the folder. So is all of a model that
    the catalog lacks, where config.json tells its family.

    Raises:
        FileNotFoundError: The folder is no fixture, and does not say.
        CatalogError: The catalog has no such model, and the folder does not say how it is computed.
        CheckpointError, TokenizerError: See `describe`, of a model that the catalog has; or
            meta.json names none.
    """
    if not (folder / "meta.json").is_file():
        raise FileNotFoundError(f"{folder}: no meta.json: name its model with --model MODEL")
    meta = read_object(folder / "meta.json")
    _require(folder / "meta.json", meta, ["geneb_model_id"])
    name = meta["geneb_model_id"]
    model_id = catalog.find(name) or catalog.find(meta.get("hf_repo") or "")
    if model_id is not None:
        known = catalog.known(model_id)
        return known or describe(folder, model_id, catalog.more()[model_id].stated)
    try:
        return describe(folder, name)
    except (CheckpointError, TokenizerError) as error:
        raise catalog.CatalogError(f"{catalog.unknown_model(name)}; and {error}") from error


class _Embedded(NamedTuple):
    """The records of a fixture under one preset.

    Attributes:
        batches: Rows of the records that ran together, and their padded length L.
        encoded: Token ids of each record.
        hidden: Final hidden state of each record, float32 [L', D] of its meaningful rows.
        pooled: Embeddings, float32 [N, D].
    """

    batches: list[tuple[list[int], int]]
    encoded: list[np.ndarray]
    hidden: list[np.ndarray]
    pooled: np.ndarray


def _embed(port: Port, sequences: Sequence[str], others: Mapping[str, np.ndarray]) -> _Embedded:
    """Embeds the records of a fixture; `others` are inputs beside them, a row a record."""
    encoded = tokenize(port, sequences)
    lengths = np.array([len(ids) for ids in encoded])
    groups = [list(range(len(encoded)))]
    if port.preset.batching == "exact":
        groups = [np.flatnonzero(lengths == length).tolist() for length in np.unique(lengths)]
    batches = [(rows, padded_length(port, int(lengths[rows].max()))) for rows in groups]
    run = jax.jit(lambda state, inputs: forward(port, state, inputs))
    hidden: dict[int, np.ndarray] = {}
    pooled: dict[int, np.ndarray] = {}
    for rows, length in batches:
        inputs = collate(port, [encoded[row] for row in rows], length)
        result = run(port.state, inputs | {name: array[rows] for name, array in others.items()})
        states = result.states[FINAL]
        vectors = POOLINGS[port.preset.pooling](states, result.rows(FINAL))
        for i, row in enumerate(rows):
            pooled[row] = np.asarray(vectors[i])
            hidden[row] = np.asarray(states[i], np.float32)[np.asarray(result.rows(FINAL)[i])]
    order = range(len(encoded))
    return _Embedded(
        batches,
        encoded,
        [hidden[row] for row in order],
        np.stack([pooled[row] for row in order]),
    )


def _compare(
    port: Port,
    embedded: _Embedded,
    check: Mapping[str, Any],
    names: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
) -> Difference:
    golden_ids = _codes(arrays[names["input"]])
    golden_mask = None if names["mask"] is None else arrays[names["mask"]].astype(bool)
    fixed = port.preset.batching == "fixed"  # the golden input is padded to the end
    for rows, length in embedded.batches:
        records = [embedded.encoded[row] for row in rows]
        inputs = collate(port, records, golden_ids.shape[1] if fixed else length)
        for i, row in enumerate(rows):
            mine = theirs = slice(None)
            if port.preset.batching != "input-order" and golden_mask is not None:
                mine, theirs = inputs["attention_mask"][i], golden_mask[row]
            ids, expected = inputs["input_ids"][i][mine], golden_ids[row][theirs]
            if not np.array_equal(ids, expected):
                problem = f"record {row}: {ids.tolist()} instead of {expected.tolist()}"
                return Difference(problem, None, float("nan"), float("inf"))

    rtol = check["rtol"]
    pooled_off, excess = _distance(
        embedded.pooled, arrays[names["pooled"]], check["pooled_atol"], rtol
    )
    hidden_off = None
    if names["hidden"] is not None:
        hidden_off = 0.0
        for row, found in enumerate(embedded.hidden):
            expected = arrays[names["hidden"]][row]
            expected = expected if golden_mask is None else expected[golden_mask[row]]
            off, over = _distance(found, expected, check["hidden_atol"], rtol)
            hidden_off, excess = max(off, hidden_off), max(excess, over)
    return Difference("", hidden_off, pooled_off, excess)


def _codes(golden: np.ndarray) -> np.ndarray:
    """Returns token ids as they are, one-hot rows [B, L, 4] as base codes, 4 where none is hot."""
    if golden.ndim == 2:
        return golden
    return np.where(golden.any(axis=2), golden.argmax(axis=2), golden.shape[2])


def _distance(
    found: np.ndarray, expected: np.ndarray, atol: float, rtol: float
) -> tuple[float, float]:
    """Returns the largest |a - b| and the largest |a - b| - (atol + rtol |b|).

    Both are infinite where the shapes differ or `found` holds a NaN or an infinity.
    """
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf"), float("inf")
    difference = np.abs(found.astype(np.float64) - expected)
    return float(difference.max()), float((difference - atol - rtol * np.abs(expected)).max())
