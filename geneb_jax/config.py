"""The run's config: its fields, their defaults, and the check of all of them at once."""

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import ml_collections

from geneb_jax.benchmark import GENEB
from geneb_jax.models import DTYPES, OWN_DTYPE
from geneb_jax.processes import parse_processes
from geneb_jax.published import PaperVersion
from model_ports.catalog import PresetName
from model_ports.contract.family import FINAL
from model_ports.pooling import POOLINGS
from probes import CLASS_WEIGHTS, KINDS, SELECTIONS, SOLVERS

PRESETS = ("corrected", "published")
LABELS = ("v1", "v4")
PRESET_POOLING = "preset"


class ConfigError(ValueError):
    """Everything that is wrong with a run's config, one problem a line."""

    def __init__(self, problems: Iterable[str]):
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True)
class Settings:
    """A checked config; see `default_config` for the fields' meaning."""

    models: tuple[str, ...]
    tasks: str
    tasks_dir: Path | None
    checkpoints_dir: Path | None
    embeddings_dir: str
    preset: PresetName
    published_batch_size: int
    taps: tuple[int, ...]
    poolings: tuple[str, ...]
    solver: str
    shots: tuple[int | None, ...]
    seeds: tuple[int, ...]
    probes: tuple[str, ...]
    C: tuple[float, ...]
    standardised: bool
    class_weight: tuple[str, ...]
    selection: str
    dtype: str
    batch_tokens: int
    mesh: int
    processes: str
    max_train: int
    save_predictions: bool
    skip_unavailable: bool
    profile: bool
    scores: str
    report: bool
    labels: PaperVersion


def default_config() -> ml_collections.ConfigDict:
    """Returns every field with its default; those that hold several take a comma list."""
    config = ml_collections.ConfigDict(type_safe=False)  # a list may be text, tuple or number
    # kmer-1 .. kmer-6, a model id, ID:random, ID:random:tiny, embeddings:DIR; or all 40.
    config.models = "all"
    # Task ids, labels, categories, suites, sentinel, stability, synthetic; or all.
    config.tasks = "all"
    # Folder of TASK.csv or TASK/{train,test}.csv; '' takes the pinned revision from the hub.
    config.tasks_dir = ""
    # Folder with one checkpoint folder a model id; '' takes the pinned revisions from the hub.
    config.checkpoints_dir = ""
    # Where embeddings are kept for other runs too, also gs://BUCKET/FOLDER with the extra `gcs`;
    # '' is the workdir's embeddings/.
    config.embeddings_dir = ""
    config.preset = "corrected"
    config.published_batch_size = 8
    # Hidden states to probe, from one pass: -1 final, 0 embedding, i after block i; or all.
    config.taps = "-1"
    # Poolings of each: preset, mean, max, first, last, ...
    config.poolings = "preset"
    # geneb stops where the harness stops, converged at the optimum; geneb-float32 and
    # converged-float32 multiply features in float32.
    config.solver = "geneb"
    config.regimes = "full,10shot,1shot"
    config.seeds = ",".join(map(str, GENEB.seeds))
    config.probes = "logistic"  # and ridge, mlp
    config.C = "1.0"
    # Features of mean 0 and variance 1 on train.
    config.standardised = False
    config.class_weight = "none"  # and balanced
    # none reports every C and class weight; folds and carve choose them on train, by MCC.
    config.selection = "none"
    # Of parameters and computation: float32, bfloat16, or model: each model's own, which the
    # catalog states (`python -m model_ports list`).
    config.dtype = OWN_DTYPE
    # Tokens of a batch on one device, padding included; 0 chooses by device.
    config.batch_tokens = 0
    # How many devices share a copy of a model's parameters; batches are spread over the copies.
    # A device that holds the model is fastest alone. Probes stay on one device: their features
    # are small, and scores do not depend on the number of devices.
    config.mesh = "model=1"
    # Processes of a run, each with devices of its own, that embed together: '' this one alone,
    # auto as JAX finds them (Slurm, Open MPI, Kubernetes, TPU pods), or I/N@HOST:PORT for process
    # I of N and the first one's address. All of them need the same workdir or embeddings_dir.
    config.processes = ""
    # Stratified, seeded subsample of the train split above this many rows; 0 keeps all.
    config.max_train = 0
    config.save_predictions = False
    # Leave out models that cannot be run instead of refusing to start.
    config.skip_unavailable = False
    # Write a JAX profiler trace of each model into the workdir's profile/; for runs of few tasks.
    config.profile = False
    # 'published', a run's workdir or scores.csv, or a folder of submissions: computes nothing,
    # writes tables, figures and report of these scores; '' evaluates the models.
    config.scores = ""
    # Write tables, figures and report at the end of an evaluation.
    config.report = True
    # The paper's version whose labels (sizes, corpora) count: its statistics are of the first.
    config.labels = "v1"
    return config


def regime_name(shots: int | None) -> str:
    """Returns the regime as scores.csv names it: 'full' or '10shot'."""
    return "full" if shots is None else f"{shots}shot"


def parse_config(config: ml_collections.ConfigDict) -> Settings:
    """Checks every field.

    Raises:
        ConfigError: Lists every unknown field and every value that is not valid.
    """
    problems: list[str] = []
    known = default_config()
    for name in config:
        if name not in known:
            problems.append(unknown_field(name))

    def field(name: str, parse: Callable[[str, Any], Any]) -> Any:
        try:
            return parse(name, config[name] if name in config else known[name])
        except ValueError as error:
            problems.append(str(error))
            return None

    fields = {name: field(name, parse) for name, parse in _FIELDS.items()}
    if problems:
        raise ConfigError(problems)
    return Settings(**cast(dict[str, Any], fields | {"shots": fields.pop("regimes")}))


def unknown_field(name: str) -> str:
    """Returns what to say of a field that the config does not have."""
    return f"config.{name}: no such field{_nearest(name, default_config())}"


def _nearest(value: str, valid: Iterable[str]) -> str:
    valid = list(valid)
    near = difflib.get_close_matches(str(value), valid, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else f"; valid: {', '.join(valid)}"


def _items(name: str, value: Any) -> tuple[Any, ...]:
    """The items of a comma list, a tuple or a single value, without repeats."""
    items = value.split(",") if isinstance(value, str) else value
    items = items if isinstance(items, Iterable) else (items,)
    stripped = [item.strip() if isinstance(item, str) else item for item in items]
    kept = tuple(dict.fromkeys(item for item in stripped if item != ""))
    if not kept:
        raise ValueError(f"config.{name} is empty; name at least one")
    return kept


def _one_of(valid: tuple[str, ...]) -> Callable[[str, Any], str]:
    def parse(name: str, value: Any) -> str:
        if value not in valid:
            raise ValueError(f"config.{name}: {value!r} is not valid{_nearest(value, valid)}")
        return value

    return parse


def _some_of(valid: tuple[str, ...]) -> Callable[[str, Any], tuple[str, ...]]:
    def parse(name: str, value: Any) -> tuple[str, ...]:
        return tuple(_one_of(valid)(name, item) for item in _items(name, value))

    return parse


def _at_least(low: int) -> Callable[[str, Any], int]:
    def parse(name: str, value: Any) -> int:
        number = _number(name, value, int)
        if number < low:
            raise ValueError(f"config.{name}: {value} is below {low}")
        return number

    return parse


def _number(name: str, value: Any, kind: type) -> Any:
    try:
        return kind(value)
    except (TypeError, ValueError):
        what = "an integer" if kind is int else "a number"
        raise ValueError(f"config.{name}: {value!r} is not {what}") from None


def _seeds(name: str, value: Any) -> tuple[int, ...]:
    seeds = tuple(_number(name, item, int) for item in _items(name, value))
    for seed in seeds:
        if not 0 <= seed < 2**32:
            raise ValueError(f"config.{name}: seed {seed} is not in 0 .. 2**32 - 1")
    return seeds


def _taps(name: str, value: Any) -> tuple[int, ...]:
    """Numbers of hidden states; none stands for all."""
    items = _items(name, value)
    if "all" in items:
        return ()
    taps = tuple(_number(name, item, int) for item in items)
    for tap in taps:
        if tap < FINAL:
            raise ValueError(
                f"config.{name}: no hidden state {tap}; valid: {FINAL} (final), 0 (embedding), "
                "1, 2, ... (blocks), all"
            )
    return taps


def _strengths(name: str, value: Any) -> tuple[float, ...]:
    strengths = tuple(_number(name, item, float) for item in _items(name, value))
    for strength in strengths:
        if not 0 < strength < float("inf"):
            raise ValueError(f"config.{name}: {strength} is not a positive number")
    return strengths


def _regimes(name: str, value: Any) -> tuple[int | None, ...]:
    shots: list[int | None] = []
    for regime in _items(name, value):
        match = re.fullmatch(r"([1-9]\d*)shot", regime)
        if regime != "full" and not match:
            raise ValueError(
                f"config.{name}: {regime!r} is not valid"
                f"{_nearest(regime, GENEB.regimes)} (any number of shots, such as 5shot, is)"
            )
        shots.append(int(match.group(1)) if match else None)
    return tuple(shots)


def _directory(name: str, value: Any) -> Path | None:
    if not value:
        return None
    path = Path(value).expanduser()
    if not path.is_dir():
        raise ValueError(f"config.{name}: {value}: no such folder")
    return path


def _path(_: str, value: Any) -> str:
    """A path of any file system, also gs://, which may not be there yet."""
    text = str(value)
    return str(Path(text).expanduser()) if text.startswith("~") else text


def _text(name: str, value: Any) -> str:
    return ",".join(_items(name, value))


def _mesh(name: str, value: Any) -> int:
    """Devices of the axis `model`."""
    match = re.fullmatch(r"model=([1-9]\d*)", str(value))
    if not match:
        raise ValueError(f"config.{name}: {value!r} is not valid; say model=N, such as model=4")
    return int(match.group(1))


def _processes(name: str, value: Any) -> str:
    try:
        if value:
            parse_processes(value)
    except ValueError as error:
        raise ValueError(f"config.{name}: {error}") from error
    return value


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"config.{name}: {value!r} is not True or False")
    return value


_FIELDS: dict[str, Callable[[str, Any], Any]] = {
    "models": _items,
    "tasks": _text,
    "tasks_dir": _directory,
    "checkpoints_dir": _directory,
    "embeddings_dir": _path,
    "preset": _one_of(PRESETS),
    "published_batch_size": _at_least(1),
    "taps": _taps,
    "poolings": _some_of((PRESET_POOLING, *POOLINGS)),
    "solver": _one_of(tuple(SOLVERS)),
    "regimes": _regimes,
    "seeds": _seeds,
    "probes": _some_of(tuple(KINDS)),
    "C": _strengths,
    "standardised": _flag,
    "class_weight": _some_of(CLASS_WEIGHTS),
    "selection": _one_of(SELECTIONS),
    "dtype": _one_of(DTYPES),
    "batch_tokens": _at_least(0),
    "mesh": _mesh,
    "processes": _processes,
    "max_train": _at_least(0),
    "save_predictions": _flag,
    "skip_unavailable": _flag,
    "profile": _flag,
    "scores": lambda name, value: str(value),
    "report": _flag,
    "labels": _one_of(LABELS),
}
