"""The run's config: one table of fields with default, check and help, in six groups.

A field is a line of a group below. `default_config`, the check of a config, `--help` and
docs/reference.md derive from these lines; functions receive the group, or the value, that they
use.
"""

import dataclasses
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import ml_collections

import probes as probe_kinds
from geneb_jax import config_checks as checks
from geneb_jax.benchmark import GENEB
from model_ports.catalog import CATALOG_DTYPE, DTYPES, PresetName

PaperVersion = Literal["v1", "v4"]
Letters = Literal["as-is", "upper", "dna"]
PRESETS: tuple[PresetName, ...] = get_args(PresetName)
PAPER_VERSIONS: tuple[PaperVersion, ...] = get_args(PaperVersion)
LETTERS: tuple[Letters, ...] = get_args(Letters)


_APART = "these would only be left out, while the others run:"


class ConfigError(ValueError):
    """Everything that is wrong with a run's config, one problem a line.

    Attributes:
        problems: What keeps the run from being started.
        left_out: What is wrong with models and tasks that would only be left out of it; these lines
            stand apart, behind the others.
    """

    def __init__(self, problems: Iterable[str], left_out: Iterable[str] = ()):
        self.problems, self.left_out = tuple(problems), tuple(left_out)
        apart = [_APART, textwrap.indent("\n".join(self.left_out), "  ")] if self.left_out else []
        super().__init__("\n".join([*self.problems, *apart]))


def _field(default: Any, check: Callable[[Any], Any], help: str) -> Any:
    """A field of a group: what a config holds by default, its check, and what help says of it."""
    return dataclasses.field(
        default_factory=lambda: check(default),
        metadata={"default": default, "check": check, "help": help},
    )


def _poolings() -> tuple[str, ...]:
    # The table of poolings loads JAX, which a config's help does without.
    from model_ports.pooling import POOLINGS  # noqa: PLC0415

    return (checks.OF_PRESET, *POOLINGS)


@dataclass(frozen=True)
class DataSettings:
    """Which models are evaluated on which tasks, and where their files are."""

    models: tuple[str, ...] = _field(
        "all",
        checks.names,
        "kmer-1 .. kmer-6 and shortcut-length, -gc, -unknown, -lowercase, -position, -composition, "
        "-ends, floors without a model; a model of the catalog by its id, its name in the paper or "
        "its repository on the hub; ID:random and ID:random:tiny, untrained controls at the "
        "checkpoint's and at small size, also with a seed, as ID:random:1; hf:FOLDER, "
        "hf:FOLDER+ADAPTER (LoRA) and hf:ORG/NAME@REVISION, a checkpoint of your own; "
        "embeddings:DIR, computed elsewhere; NAME=hf:... and NAME=embeddings:..., what such a "
        "model is called, and NAME:random beside it its untrained control; all: the paper's 40; "
        "more: the others that the package knows.",
    )
    controls: int = _field(
        0,
        checks.at_least(0),
        "Untrained controls of each model with a checkpoint, ID:random, ID:random:1, ...: the same "
        "model with random weights, drawn with so many seeds. Each takes as long as the model; "
        "--plan says how long.",
    )
    tasks: str = _field(
        "all",
        checks.comma_list,
        "Task ids, labels, categories, suites (NT, NT-rev, GUE, GB, PGB, iPro, 4mC, iDNA, iDHS), "
        "sentinel (one task a category), stability (the paper's appendix E), lite (16 tasks that "
        "order models as all do), or all; synthetic or ids of synthetic tasks, without others.",
    )
    tasks_dir: Path | None = _field(
        "",
        checks.directory,
        "Folder of TASK.csv (text, label, split) or TASK/{train,test}.csv, also .tsv and .gz; "
        "empty: the pinned data set from the hub. Names outside the benchmark are custom tasks, in "
        "no average.",
    )
    checkpoints_dir: Path | None = _field(
        "",
        checks.directory,
        "Folder with one checkpoint folder a model id; empty: the pinned checkpoints from the hub.",
    )
    catalog: Path | None = _field(
        "",
        checks.directory,
        "Folder of your own models, one .json each as `geneb-jax models describe FOLDER` writes "
        "it; their ids can be named in config.models.",
    )
    max_train: int = _field(
        0,
        checks.at_least(0),
        "Stratified, seeded subsample of the train split above this many rows; 0 keeps all.",
    )
    letters: Letters = _field(
        "as-is",
        checks.one_of(*LETTERS),
        "What models are given of the records: as-is, as the files hold them (GENEB's protocol); "
        "upper, lower-case (soft-masked) letters as upper-case ones; dna, upper, and U as T.",
    )
    fail_fast: bool = _field(
        False,
        checks.flag,
        "End at the first failure, and start nothing where a model or task cannot be run; "
        "otherwise the others go on, and a table and run.json list what failed.",
    )


@dataclass(frozen=True)
class EmbeddingSettings:
    """How records become features."""

    preset: PresetName = _field(
        "corrected",
        checks.one_of(*PRESETS),
        "corrected: a record's embedding depends on that record alone; published: what the "
        "paper's extractor did, where it differs and can be computed.",
    )
    published_batch_size: int = _field(
        8,
        checks.at_least(1),
        "Records of a batch where the published extractor lets records of a batch see each "
        "other's padding.",
    )
    taps: tuple[int | str, ...] = _field(
        checks.OF_PRESET,
        checks.taps,
        "Hidden states to probe, from one pass: preset (the model's, which is the final one unless "
        "its authors recommend another), -1 final, 0 embedding, i after block i, mlpi what the "
        "feed-forward of block i adds (Evo 2); or all.",
    )
    poolings: tuple[str, ...] = _field(
        checks.OF_PRESET,
        checks.some_of(_poolings),
        "Poolings of each hidden state: preset (the model's), mean, mean-all-rows, max, first, "
        "last, penultimate.",
    )
    window: str | tuple[int, int] = _field(
        "model",
        checks.window,
        "Cuts longer records into windows whose embeddings are averaged, weighted by tokens: "
        "LETTERS/STRIDE, such as 1024/512; LETTERS, with half of it as stride; none; or model: "
        "what the catalog states of each.",
    )
    strand: tuple[str, ...] = _field(
        "given",
        checks.some_of(lambda: ("given", "both")),
        "given: records as they are; both: embeddings averaged over a record and its reverse "
        "complement, as a model NAME:both; given,both: these beside each other, and how often "
        "predictions change under reverse complement. Every record is embedded twice for both.",
    )
    dtype: str = _field(
        CATALOG_DTYPE,
        checks.one_of(*DTYPES),
        "Precision of parameters and computation: float32, bfloat16, or model: what the catalog "
        "states of each.",
    )
    batch_tokens: int = _field(
        0,
        checks.at_least(0),
        "Tokens of a batch on one device, padding included; 0 chooses by the kind of device.",
    )
    embeddings_dir: str = _field(
        "",
        checks.any_path,
        "Where embeddings are kept for several runs: a folder, or gs://BUCKET/FOLDER with the "
        "extra gcs; empty: the workdir's embeddings/.",
    )


@dataclass(frozen=True)
class ProbeSettings:
    """What is fitted on the features."""

    probes: tuple[str, ...] = _field(
        "logistic",
        checks.some_of(lambda: tuple(probe_kinds.KINDS)),
        f"Kinds of probe: {', '.join(probe_kinds.KINDS)}.",
    )
    regimes: tuple[int | None, ...] = _field(
        "full,10shot,1shot",
        checks.shots,
        "full, and any number of rows a class, such as 10shot.",
    )
    seeds: tuple[int, ...] = _field(
        ",".join(map(str, GENEB.seeds)),
        checks.seeds,
        "Seeds of the few-shot rows, of what selects and of MLPs.",
    )
    C: tuple[float, ...] = _field(
        "1.0",
        checks.strengths,
        "Inverse strengths of the penalty, as scikit-learn's C; one fit serves all.",
    )
    solver: str = _field(
        "geneb",
        checks.one_of(*probe_kinds.SOLVERS),
        "Of logistic probes: geneb stops where the paper's scikit-learn stops, converged at the "
        "optimum; geneb-float32 and converged-float32 multiply features in float32; optax stops "
        "at the optimum too, fitted by optax.lbfgs in a compiled program.",
    )
    standardised: bool = _field(
        False, checks.flag, "Fit on features of mean 0 and variance 1 over the rows of the fit."
    )
    class_weight: tuple[str, ...] = _field(
        "none",
        checks.some_of(lambda: probe_kinds.CLASS_WEIGHTS),
        "none: every row counts alike; balanced: every class does.",
    )
    selection: str = _field(
        "none",
        checks.one_of(*probe_kinds.SELECTIONS),
        "none reports every C and class weight; folds and carve choose them on train, by MCC.",
    )
    cross_validate: bool = _field(
        False,
        checks.flag,
        "Score each head by five folds of its train rows too (column train_MCC), so that layers "
        "and poolings can be chosen without test rows; six fits instead of one.",
    )


@dataclass(frozen=True)
class AuditSettings:
    """What is asked of the tasks themselves."""

    audit: bool = _field(
        True,
        checks.flag,
        "Look in each task for test records that stand in train, for shuffle twins and near "
        "copies, and for rules that answer it without a model; with predictions, score the other "
        "test records too. A task is audited once for all runs of a user (see cache_dir).",
    )
    leaky_copies: float = _field(
        0.1,
        checks.positive,
        "Share of test records that are copies or near copies of train, from which on a task is "
        "called leaky; from half of it caution is due.",
    )
    leaky_median: float = _field(
        1.0,
        checks.positive,
        "Share of the published models' median MCC, or of 1 where there are no published scores, "
        "that a rule without a model reaches, from which on a task is called leaky; from half of "
        "it caution is due.",
    )
    leaky: str = _field(
        "",
        checks.text,
        "Whose leaky tasks intervals of macro MCC, pairs and the paper's statements are computed "
        "without, too. Empty: those of this run's audit; shipped: those of the audit that comes "
        "with the package, of files like those of 52 of the 100 tasks; or the CSV of an audit. "
        "tables/leaky_tasks names them.",
    )


@dataclass(frozen=True)
class DeviceSettings:
    """What computes."""

    mesh: int = _field(
        "model=1",
        checks.model_axis,
        "model=N: N devices share a copy of a model's parameters, batches are spread over the "
        "copies. A device that holds the model is fastest alone. Probes stay on one device.",
    )
    processes: str = _field(
        "",
        checks.processes,
        "Processes that embed and probe together, each on its own devices: empty: this one alone; "
        "auto: as JAX finds them (Slurm, Open MPI, Kubernetes, TPU pods); I/N@HOST:PORT: process I "
        "of N and the first one's address. All need the same workdir or embeddings_dir.",
    )
    peer_seconds: int = _field(
        300,
        checks.at_least(1),
        "How long processes wait for one that has not come, and for a sign of life of one that has "
        "(it gives one every 5 s, or sooner). One that has died is noticed at once.",
    )
    cache_dir: str = _field(
        "",
        checks.any_path,
        "Keeps compiled programs, at most 2 GiB, and audits of tasks, at most 64 MiB, for all "
        "later runs: a folder; empty: geneb_jax in the user's cache; none: they are not kept.",
    )
    profile: bool = _field(
        False,
        checks.flag,
        "Write a JAX profiler trace of each model into the workdir's profile/; for runs of few "
        "tasks.",
    )


@dataclass(frozen=True)
class OutputSettings:
    """What is written."""

    intervals: bool = _field(
        True,
        checks.flag,
        "Keep every head's predictions in the workdir's predictions/, and make tables of intervals "
        "over other test records, few-shot draws and tasks.",
    )
    save_predictions: bool = _field(
        False,
        checks.flag,
        "Keep decision values beside predictions, and compute again the tasks that lack them.",
    )
    scores: str = _field(
        "",
        checks.text,
        "published, a run's workdir or scores.csv, or a folder of submissions: compute nothing, "
        "write tables, figures and report of these scores; empty: evaluate the models.",
    )
    report: bool = _field(True, checks.flag, "Write tables, figures and report at the end.")
    plan: bool = _field(
        False,
        checks.flag,
        "Compute and write nothing: print what the run would compute and what is there already, by "
        "model, with its cost.",
    )
    submission_name: str = _field(
        "",
        checks.text,
        "What a submission calls the model; empty: its name in the paper, with 'local weights' "
        "where they are not known to be the authors'.",
    )
    submission_url: str = _field(
        "",
        checks.text,
        "Where a submission says that the weights are; empty: the authors' address, of their "
        "weights alone.",
    )
    submission_training_data: str = _field(
        "",
        checks.text,
        "What a submission says that the model was trained on; empty: the paper's word, of the "
        "authors' weights alone.",
    )
    submitted_by: str = _field("", checks.text, "Who submits.")
    zero_shot: bool = _field(
        False,
        checks.flag,
        "Claim in a submission that pretraining saw no task of the benchmark.",
    )
    labels: PaperVersion = _field(
        "v1",
        checks.one_of(*PAPER_VERSIONS),
        "The paper's version whose labels (sizes, corpora) count: its statistics are of the first.",
    )


@dataclass(frozen=True)
class Settings:
    """A checked config: the groups of fields."""

    data: DataSettings = dataclasses.field(default_factory=DataSettings)
    embedding: EmbeddingSettings = dataclasses.field(default_factory=EmbeddingSettings)
    probes: ProbeSettings = dataclasses.field(default_factory=ProbeSettings)
    audit: AuditSettings = dataclasses.field(default_factory=AuditSettings)
    devices: DeviceSettings = dataclasses.field(default_factory=DeviceSettings)
    output: OutputSettings = dataclasses.field(default_factory=OutputSettings)


_GROUPS: Mapping[str, Any] = {
    group.name: group.default_factory for group in dataclasses.fields(Settings)
}


# Fields that say where things are on a host: processes of a run may have their own, and results do
# not depend on them.
OF_A_HOST = (
    "processes", "tasks_dir", "checkpoints_dir", "catalog", "embeddings_dir", "cache_dir",
)  # fmt: skip
_OF_SCORES = ("data", "embedding", "probes")  # groups that scores depend on


class Field(NamedTuple):
    """A field of the config.

    Attributes:
        group: Name of the group of `Settings` that it belongs to.
        name: Its name in the config: `config.NAME`.
        default: The value that a config holds by default.
        check: Takes a config's value and returns what the program uses; raises ValueError.
        help: What it does and what it takes.
    """

    group: str
    name: str
    default: Any
    check: Callable[[Any], Any]
    help: str


def fields() -> Iterator[Field]:
    """Yields every field of the config, group by group."""
    for group, kind in _GROUPS.items():
        for field in dataclasses.fields(kind):
            yield Field(group, field.name, **field.metadata)


def fields_of_scores() -> Iterator[Field]:
    """Yields the fields that a model's scores on a task depend on.

    Which models and tasks a run has, and where their files are, is left out.
    """
    for field in fields():
        named = (*OF_A_HOST, "models", "tasks", "fail_fast")
        if field.group in _OF_SCORES and field.name not in named:
            yield field


def default_config() -> ml_collections.ConfigDict:
    """Returns every field with its default; fields that hold several values take a comma list."""
    defaults = {field.name: field.default for field in fields()}
    return ml_collections.ConfigDict(defaults, type_safe=False)  # text, tuple or number


def parse_config(config: ml_collections.ConfigDict) -> Settings:
    """Checks every field of a config; those that it leaves out have their defaults.

    Raises:
        ConfigError: Lists every unknown field and every value that is not valid.
    """
    known = {field.name: field for field in fields()}
    problems = [unknown_field(name) for name in config if name not in known]
    values: dict[str, dict[str, Any]] = {group: {} for group in _GROUPS}
    for field in known.values():
        try:
            given = config.get(field.name, field.default)
            values[field.group][field.name] = field.check(given)
        except ValueError as error:
            problems.append(f"config.{field.name}: {error}")
    if problems:
        raise ConfigError(problems)
    return Settings(**{group: kind(**values[group]) for group, kind in _GROUPS.items()})


def unknown_field(name: str) -> str:
    """Returns what to say of a field that the config does not have."""
    return f"config.{name}: no such field{checks.nearest(name, [f.name for f in fields()])}"
