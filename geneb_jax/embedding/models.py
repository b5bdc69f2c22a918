"""What `config.models` can name: the kinds of sources, in the order in which they are asked.

kmer-4                    k-mer frequencies, k = 1 .. 6
shortcut-length           a shortcut, another floor; see `geneb_jax.audit.shortcuts`
embeddings:DIR            embeddings that somebody else computed
hf:FOLDER                 a checkpoint that is in no catalog; also hf:FOLDER+ADAPTER and
                          hf:ORG/NAME@REVISION
NAME=hf:..., NAME=embeddings:...   what such a model is called in scores and tables
NAME:random, NAME:both    a variant of it, beside NAME=... in the list; NAME:random:tiny likewise
ID                        a model of `config.catalog`; also ID:random and ID:random:tiny
MODEL                     a port with its checkpoint: the model's id, its name in the paper, or
                          its repository on the hub
MODEL:random              the port with random weights, the untrained control; its size is that of
                          the checkpoint's config.json where there is one, else the catalog's
MODEL:random:tiny         a tiny port with random weights
NAME:both                 NAME's embeddings averaged over both strands; see `config.strand`
MODEL:random:3            as MODEL:random, drawn with the seed 3; MODEL:random:tiny:3 likewise
all, more                 the paper's 40; the others that the package knows
"""

import importlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from geneb_jax.config import EmbeddingSettings, Settings, fields
from geneb_jax.config_checks import OF_PRESET
from geneb_jax.embedding.identity import BOTH_STRANDS
from geneb_jax.embedding.source import Source
from geneb_jax.embedding.strands import BothStrands, stranded
from model_ports import catalog
from model_ports.contract.family import FINAL

# Modules, each imported when it is asked. Its `source_of(name, settings)` returns the source that
# a name asks for, or None where the name is of another kind; the last one takes every name.
SOURCES: Sequence[str] = (
    "geneb_jax.embedding.kmers",
    "geneb_jax.embedding.shortcuts",
    "geneb_jax.embedding.stored",
    "geneb_jax.embedding.hf",
    "geneb_jax.embedding.local",
    "geneb_jax.embedding.ports",
)


# Names that stand for several models.
_GROUPS: Mapping[str, Callable[[], Iterable[str]]] = {"all": catalog.entries, "more": catalog.more}


# Fields that are of ports alone: the values that are true of every other model too, what such a
# model lacks, and what stands between the numbers of a value.
_OF_VIEWS: Mapping[str, tuple[Collection[object], str, str]] = {
    "taps": ({(OF_PRESET,), (FINAL,)}, "has no hidden states to choose among", ","),
    "poolings": ({(OF_PRESET,), ("mean",)}, "has no hidden states to pool", ","),
    "window": ({"model", "none"}, "reads records whole", "/"),
    "dtype": ({catalog.CATALOG_DTYPE, "float32"}, "is computed in float32 alone", ""),
}


class Ignored(NamedTuple):
    """A field that a model without hidden states would ignore.

    Attributes:
        field: Its name.
        problem: The field with its value, and why the model ignores it.
    """

    field: str
    problem: str


def ignored_fields(source: Source, settings: EmbeddingSettings) -> list[Ignored]:
    """Returns the fields that a model without hidden states would ignore.

    Args:
        source: The model; of one that has hidden states there are none.
        settings: What is asked of it.
    """
    if not source.viewless:
        return []
    given = {name: getattr(settings, name) for name in _OF_VIEWS}
    return [
        Ignored(name, f"{name}={_written(given[name], between)}: '{source.name}' {lack}")
        for name, (held, lack, between) in _OF_VIEWS.items()
        if given[name] not in held
    ]


def _written(value: str | tuple[int | str, ...], between: str) -> str:
    """Returns a field's value as it is given; no hidden state is written as all of them."""
    return value if isinstance(value, str) else between.join(map(str, value)) or "all"


def _written_out(name: str, models: Collection[str]) -> str:
    """Returns NAME=SPEC:VARIANT for NAME:VARIANT where NAME=SPEC is in the list, else the name."""
    base, separator, variant = name.partition(":")
    if not separator or "=" in base:
        return name
    given = [model for model in models if model.startswith(f"{base}=")]
    return f"{given[0]}:{variant}" if given else name


def _named_in_list(name: str, models: Collection[str]) -> str:
    """Returns what to write for NAME:VARIANT=SPEC where NAME=... is in the list; empty: nothing."""
    called, _, spec = name.partition("=")
    base, _, variant = called.partition(":")
    if not (spec and variant) or not any(model.startswith(f"{base}=") for model in models):
        return ""
    same = _written_out(called, models) == f"{base}={spec}"
    right = called if same else f"{base}-{variant.replace(':', '-')}={spec}"
    return f"'{name}': '{base}' is a name that this list gives; write {right}"


def find_sources(
    settings: Settings, given: Mapping[str, Source] = MappingProxyType({})
) -> tuple[list[Source], list[str]]:
    """Finds the source of every model that the settings name.

    'all' stands for the paper's 40, 'more' for the others that the package knows. Untrained
    controls that the settings ask for stand behind their models.

    Args:
        settings: Name the models.
        given: Sources that are there already, by the names that the settings have for them.

    Returns:
        The sources of the models that can be run; a problem for each that cannot, and for each
        field that all of them would ignore. Beside a model with hidden states others are baselines.
    """
    sources: dict[str, Source] = {}
    problems = []
    for name in settings.data.models:
        for wanted in _GROUPS.get(name, lambda: (name,))():  # noqa: B023 (called at once)
            try:
                written = _written_out(wanted, settings.data.models)
                source = given.get(wanted) or find_source(written, settings)
            except ValueError as error:
                mend = _named_in_list(wanted, settings.data.models)
                problems.append(f"config.models: {mend or error}")
                continue
            controls = (source.control(seed) for seed in range(settings.data.controls))
            wanted_of = [
                each
                for of in (source, *filter(None, controls))
                for each in stranded(of, settings.embedding.strand)
            ]
            for each in wanted_of:
                same = sources.setdefault(each.name, each)  # two names may be of one model
                if same != each:
                    problems.append(
                        f"config.models: '{name}': another model of the run is called "
                        f"'{each.name}' too; give one another name, as in NAME=hf:FOLDER"
                    )
    if sources and not problems and all(source.viewless for source in sources.values()):
        first = next(iter(sources.values()))
        default = {field.name: field.default for field in fields()}
        problems += [
            f"config.{each.problem}; write --config.{each.field}={default[each.field]}, or name a "
            "model with hidden states"
            for each in ignored_fields(first, settings.embedding)
        ]
    return list(sources.values()), problems


def find_source(name: str, settings: Settings) -> Source:
    """Finds the source of one model.

    Raises:
        ValueError: No kind of source knows the name, or the model's files are not there.
    """
    if name.endswith(BOTH_STRANDS):
        return BothStrands(find_source(name.removesuffix(BOTH_STRANDS), settings))
    asked = (importlib.import_module(module).source_of(name, settings) for module in SOURCES)
    return next(source for source in asked if source is not None)
