"""The catalog: what is known of each model, one JSON file a model in `data/`.

Adding a model of a known family adds one file here and no code. `data/more/` has models beyond the
paper's 40. Some of its files state all that a model needs; the others leave to the checkpoint what
is not known, and are read with it (`loading.local_catalog`).
"""

import difflib
import functools
import importlib.util
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

from absl import logging

from geneb_jax.files.json_files import read_object
from geneb_jax.files.texts import FileError
from model_ports.known_defects import known_defects

PresetName = Literal["corrected", "published"]
CATALOG_DTYPE = "model"  # asks for the precision that the catalog states of each model
DTYPES = (CATALOG_DTYPE, "float32", "bfloat16")

# The `kind` of source of models that are described from their files: in a folder, or on the hub.
FOLDER, REPOSITORY = "folder", "repository"

# Fields of config.json that tell the sizes of a model from another's of its family.
_SIZES = ("vocab_size", "hidden_size", "num_hidden_layers", "d_model", "n_layer", "n_embd")

_SHOWN = 100  # letters of a name that no model has

# What the file of a model beyond the paper's 40 must state, null where a part of the source is not
# known; and what it must state so that the model is known without its checkpoint.
_NEEDED = (
    *("id", "paper_name", "family"),
    *(f"source.{part}" for part in ("kind", "repo", "revision", "url")),
)
_WHOLE = (
    *("tokenizer.kind", "config", "width", "params"),
    *(f"presets.corrected.{name}" for name in ("max_tokens", "pooling", "batching")),
)
_OBJECTS = (
    *(
        "labels",
        "labels_paper_v1",
        "source",
        "licence",
        "tokenizer",
        "presets",
        "config",
        "unstated",
    ),
    *("presets.corrected", "presets.published"),
)
_COUNTS = ("params", "width")
# The published preset of a model that the paper does not have.
UNPUBLISHED: Mapping[str, str] = {"same_as_corrected": "the model is not one of the paper's"}

BATCHINGS = {
    "masked": "bucketed: padding is hidden from the model by its mask",
    "causal": "bucketed: padding stands on the right, where a causal model cannot see it",
    "exact": "records of one token length run together, without padding",
    "fixed": "every record is padded to `max_tokens`, which is part of the model",
    "input-order": "batches of records in input order, padded to their longest, which they see",
}


class CatalogError(ValueError):
    """Raised for a model or preset that the catalog lacks, or that cannot be computed.

    Also for a file of the catalog that does not say what it must.
    """


@dataclass(frozen=True)
class Preset:
    """The way from records to embeddings under one preset.

    Attributes:
        max_tokens: Longest input in tokens, special tokens included; None: no limit.
        pooling: A name of `pooling.POOLINGS`.
        batching: A name of `BATCHINGS`.
        tap: The hidden state that is pooled: the final one, unless the authors recommend another;
            see `contract.family.Hidden`.
        padding_side: Where padding stands in a batch, 'right', 'left' or 'both', the odd token
            then on the right.
        masked: Whether the model is given the attention mask.
        window: Letters of the windows that longer records are cut into; None: they are not cut.
        stride: Letters from the start of a window to that of the next.
        reason: Why the published preset differs from the corrected one.
    """

    max_tokens: int | None
    pooling: str
    batching: str
    tap: int | str = -1
    padding_side: Literal["right", "left", "both"] = "right"
    masked: bool = True
    window: int | None = None
    stride: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Entry:
    """A model of the catalog.

    Attributes:
        id: GENEB's model id.
        paper_name: The name in the paper's tables.
        family: Module of `model_ports.families` that computes it.
        labels: architecture, tokenization, params and pretraining, as in the fourth version of
            the paper.
        labels_paper_v1: Labels that differ in the first version of the paper.
        params: Parameter count as published.
        width: Width D of the pooled embedding at full size.
        source: kind, repo, revision and url of the authors' checkpoint.
        licence: Licences of weights and code; None where none is stated.
        known_defects: What a user must know: of the paper's models what is wrong with the published
            extractor, of others what is wrong with the model as it is published, or assumed of it,
            and what is true of all models of its architecture (`known_defects.NOTES`).
        tokenizer: `kind` of `tokenizers.KINDS` and its options.
        presets: The fields of `Preset` by preset name, or `same_as_corrected` or `unavailable`
            with the reason.
        config: The full-size checkpoint's config.json.
        unstated: Facts that the computation needs and config.json leaves out, as further fields.
        dtype: Precision of a run that asks for none: float32, or bfloat16 where the authors'
            weights and code are in it.
        files: The files of a checkpoint that is not on the hub: the `name` of each where it is
            published, the address (`at`), the name in the checkpoint folder (`to`), the `size` in
            bytes and the `sha256` (None: unknown).
    """

    id: str
    paper_name: str
    family: str
    labels: Mapping[str, str]
    labels_paper_v1: Mapping[str, str]
    params: int
    width: int
    source: Mapping[str, str | None]
    licence: Mapping[str, str | None]
    known_defects: tuple[str, ...]
    tokenizer: Mapping[str, Any]
    presets: Mapping[str, Mapping[str, Any]]
    config: Mapping[str, Any]
    unstated: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = "float32"
    files: Sequence[Mapping[str, Any]] = ()

    @property
    def licence_shown(self) -> str:
        """The licence of the weights, marked where it forbids commercial use."""
        licence = self.licence["weights"]
        return f"{licence} (non-commercial)" if self.non_commercial else licence or "not stated"

    @property
    def non_commercial(self) -> bool:
        """Whether the licence of the weights forbids commercial use."""
        words = (self.licence["weights"] or "").lower().split("-")
        return "nc" in words or "noncommercial" in words

    @property
    def ported(self) -> bool:
        """Whether the family of the model has a port."""
        return is_ported(self.family)

    def preset(self, name: PresetName) -> Preset:
        """Returns the preset of that name.

        Raises:
            CatalogError: The published embedding of this model cannot be computed.
        """
        fields = self.presets[name]
        if "unavailable" in fields:
            raise CatalogError(
                f"model '{self.id}': preset '{name}' cannot be computed: {fields['unavailable']}; "
                "use preset 'corrected'"
            )
        if "same_as_corrected" in fields:
            fields = self.presets["corrected"]
        return Preset(**fields)


def is_ported(family: str) -> bool:
    """Says whether a family has a module in `model_ports.families`."""
    return importlib.util.find_spec(f"model_ports.families.{family}") is not None


@functools.cache
def entries() -> Mapping[str, Entry]:
    """Returns all models by id, the largest first.

    Raises:
        CatalogError: A file is no entry; names the file, the model and the field.
    """
    found = []
    for path in (Path(str(resources.files("model_ports"))) / "data").glob("*.json"):
        stated = _read(path)
        found.append(_entry(path, stated | {"known_defects": stated.get("known_defects", ())}))
    return {entry.id: entry for entry in sorted(found, key=lambda e: (-e.params, e.id))}


class More(NamedTuple):
    """A model beyond the paper's 40.

    Attributes:
        path: Its file.
        fields: What the file states: fields of `Entry`, and `proof`, 'fixture' where outputs of the
            original code are compared with; otherwise its family alone speaks for it.
        entry: The entry; None where the file leaves something to the checkpoint.
    """

    path: Path
    fields: Mapping[str, Any]
    entry: Entry | None

    @property
    def stated(self) -> Mapping[str, Any]:
        """The fields of `Entry` that the file states, without `id` and `config`."""
        kept = self.fields.keys() - {"id", "config", "proof"}
        return {name: self.fields[name] for name in kept}

    @property
    def lacking(self) -> tuple[str, ...]:
        """The fields that the file leaves to the checkpoint; none where there is an entry."""
        return _missing(self.fields, _WHOLE)

    @property
    def proven_by(self) -> str:
        """What speaks for the port: 'fixture', 'family' or, where there is no port, 'not yet'."""
        ported = is_ported(self.fields["family"])
        return self.fields.get("proof", "family") if ported else "not yet"

    @property
    def known_defects(self) -> tuple[str, ...]:
        """What a user must know of the model, as far as the file tells."""
        return _defects_of(self.fields)


@functools.cache
def more() -> Mapping[str, More]:
    """Returns the models beyond the paper's 40, by id in alphabetical order.

    Raises:
        CatalogError: See `read_more`.
    """
    folder = Path(str(resources.files("model_ports") / "data" / "more"))
    paths = sorted(folder.glob("*.json"), key=lambda path: path.name.lower())
    return {found.fields["id"]: found for found in map(read_more, paths)}


def read_more(path: Path) -> More:
    """Reads the file of a model beyond the paper's 40.

    Raises:
        CatalogError: It is not JSON, lacks a field that must be stated, or has one that is not
            known or of another kind of value; names the file, the model and the field.
    """
    stated = _read(path)
    _refuse(path, stated, _missing(stated, _NEEDED), "is missing; state it")
    return More(path, stated, _whole_entry(path, stated))


def _read(path: Path) -> dict[str, Any]:
    try:
        stated = read_object(path)
    except FileError as error:
        raise CatalogError(str(error)) from error
    _check_kinds(path, stated)
    return stated


def _refuse(path: Path, stated: Mapping[str, Any], names: Iterable[str], why: str) -> None:
    """Raises CatalogError where something is wrong with fields of a file; names all of them."""
    lines = [f"{path}: model '{stated.get('id', path.stem)}': {name} {why}" for name in names]
    if lines:
        raise CatalogError("\n".join(lines))


def _missing(stated: Mapping[str, Any], names: Iterable[str]) -> tuple[str, ...]:
    """Returns which fields a file lacks: of a part of an object, that object where it lacks it."""

    def lack(name: str) -> str:
        found, parts = stated, name.split(".")
        for depth, part in enumerate(parts, start=1):
            if part not in found:
                return ".".join(parts[:depth])
            found = found[part]
        return ""

    return tuple(dict.fromkeys(filter(None, map(lack, names))))


def _check_kinds(path: Path, stated: Mapping[str, Any]) -> None:
    """Raises CatalogError where a field of a file is not of its kind of value."""
    values = {**stated} | {f"presets.{name}": each for name, each in _presets(stated).items()}
    objects = [name for name in _OBJECTS if not isinstance(values.get(name, {}), Mapping)]
    _refuse(path, stated, objects, "is no object of JSON")
    counts = [name for name in _COUNTS if type(values.get(name, 1)) is not int]
    _refuse(path, stated, counts, "is no whole number")


def _presets(stated: Mapping[str, Any]) -> Mapping[str, Any]:
    presets = stated.get("presets")
    return presets if isinstance(presets, Mapping) else {}


def _entry(path: Path, given: Mapping[str, Any]) -> Entry:
    """Returns the entry of these fields; raises CatalogError where they are not those of one."""
    needed = [
        each.name
        for each in fields(Entry)
        if each.default is MISSING and each.default_factory is MISSING
    ]
    _refuse(path, given, _missing(given, needed), "is missing; state it")
    _refuse(path, given, _unknown(given), "is not known; remove it")
    return Entry(**{**given, "known_defects": tuple(given["known_defects"])})


def _unknown(stated: Mapping[str, Any]) -> list[str]:
    """Returns which fields of a file, or of its presets, no entry has."""
    of_preset = {*_names_of(Preset), "same_as_corrected", "unavailable"}
    return [
        *(name for name in stated if name not in _names_of(Entry)),
        *(
            f"presets.{preset}.{name}"
            for preset, its_fields in _presets(stated).items()
            for name in its_fields
            if name not in of_preset
        ),
    ]


def _names_of(kind: type[Entry] | type[Preset]) -> set[str]:
    return {each.name for each in fields(kind)}


def _whole_entry(path: Path, stated: Mapping[str, Any]) -> Entry | None:
    """Returns the entry that a file makes; None where what the computation needs is missing."""
    given = {name: value for name, value in stated.items() if name != "proof"}
    _refuse(path, stated, _unknown(given), "is not known; remove it")
    if _missing(stated, _WHOLE):
        return None
    labels = plain_labels(stated["family"], stated["tokenizer"], stated["params"])
    return _entry(
        path,
        {
            "labels_paper_v1": {},
            **given,
            "labels": labels | stated.get("labels", {}),
            "licence": {"weights": None, "code": None} | stated.get("licence", {}),
            "presets": {"published": UNPUBLISHED} | stated["presets"],
            "known_defects": _defects_of(stated),
        },
    )


def plain_labels(family: str, tokenizer: Mapping[str, Any], params: int) -> dict[str, str]:
    """Returns the `labels` of a model of which nobody states any.

    Args:
        family: A module of `model_ports.families`.
        tokenizer: See `Entry`.
        params: The parameter count.
    """
    return {
        "architecture": family,
        "tokenization": tokenizer["kind"],
        "params": f"{params / 1e6:.3g}M",
        "pretraining": "not stated",
    }


def _defects_of(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns what a user must know of a model: for its architecture, and what its file says."""
    config, tokenizer = fields.get("config", {}), fields.get("tokenizer", {})
    general = known_defects(fields["family"], config, tokenizer)
    return (*general, *fields.get("known_defects", ()))


def get(model_id: str) -> Entry:
    """Returns the entry of a model by its id.

    Raises:
        CatalogError: No such model; names the nearest. Or its file leaves something to the
            checkpoint.
    """
    entry = known(model_id)
    if entry is None and model_id in more():
        raise CatalogError(
            f"model '{model_id}': {more()[model_id].path} leaves "
            f"{', '.join(more()[model_id].lacking)} to the checkpoint; state them there to have "
            "the model without it"
        )
    if entry is None:
        raise unknown_model(model_id)
    return entry


def pooled_otherwise(entry: Entry) -> tuple[str, ...]:
    """Returns which models of the paper are pooled in another way than one of the same sizes.

    Weights that were trained on from a model of the paper are pooled by the mean where they are
    described from their files, which the model itself need not be.

    Args:
        entry: A model that was described from its files; of any other nothing is said.

    Returns:
        A clause for whoever compares the two; nothing where there is no such model.
    """
    if entry.source["kind"] not in (FOLDER, REPOSITORY):
        return ()
    pooling = entry.preset("corrected").pooling
    sizes = {name: entry.config.get(name) for name in _SIZES}
    others = {
        each.id: found
        for each in entries().values()
        if each.family == entry.family
        and {name: each.config.get(name) for name in _SIZES} == sizes
        and (found := each.preset("corrected").pooling) != pooling
    }
    if not others:
        return ()
    named = " and ".join(f"{model_id} by '{found}'" for model_id, found in others.items())
    return (
        f"its records are pooled by '{pooling}', but those of models of its family and sizes "
        f"otherwise: {named}; to compare it with these, state their pooling in a catalog of your "
        "own (docs/your-model.md)",
    )


def known(model_id: str) -> Entry | None:
    """Returns the entry of a model by its id; None where there is none without the checkpoint."""
    if model_id in entries():
        return entries()[model_id]
    return more()[model_id].entry if model_id in more() else None


def stated_preset(model_id: str, preset: str) -> Mapping[str, Any]:
    """Returns the fields of `Preset` that the catalog states of a model, their defaults left out.

    Args:
        model_id: The model; of one that the catalog lacks, nothing is stated.
        preset: Preset name; of any other, nothing is stated.
    """
    presets: Mapping[str, Mapping[str, Any]] = {}
    if model_id in entries():
        presets = entries()[model_id].presets
    elif model_id in more():
        presets = more()[model_id].fields.get("presets", {})
    fields = presets.get(preset, {})
    return presets["corrected"] if "same_as_corrected" in fields else fields


def stated_config(model_id: str) -> Mapping[str, Any]:
    """Returns the fields of the full-size config.json that the catalog states of a model.

    Args:
        model_id: The model; of one that the catalog lacks, nothing is stated.
    """
    if model_id in entries():
        return entries()[model_id].config
    return more()[model_id].fields.get("config", {}) if model_id in more() else {}


def resolve(name: str, others: Iterable[str] = ()) -> str:
    """Returns the id of a model by any of its names, in upper or lower case.

    These are the id, the name in the paper, and the repository on the hub, with or without its
    owner. A warning says which model another name than the id stands for.

    Args:
        name: What somebody calls the model.
        others: Names that are valid beside the catalog's where this is called, for the hint.

    Raises:
        CatalogError: No such model; names the nearest.
    """
    if name in entries() or name in more():
        return name
    found = find(name)
    if found is None:
        raise unknown_model(name, others)
    logging.warning("'%s' is the model '%s'", name, found)
    return found


def find(name: str) -> str | None:
    """Returns the id of the model that has a name, see `resolve`; None: no model has it."""
    return _names().get(name.casefold())


@functools.cache
def _names() -> Mapping[str, str]:
    """Returns the ids of all models by each of their names in lower case."""
    return {name.casefold(): model_id for model_id, name in _named()}


def _named() -> Iterator[tuple[str, str]]:
    """Yields the id of each model with each of its names, the id last."""
    named = [(e.id, e.paper_name, e.source["repo"]) for e in entries().values()]
    named += [(id, m.fields["paper_name"], m.fields["source"]["repo"]) for id, m in more().items()]
    for model_id, paper_name, repo in named:
        for name in (repo or "", (repo or "").rpartition("/")[2], paper_name, model_id):
            if name:
                yield model_id, name


def named_alike(name: str) -> set[str]:
    """Returns the ids of the models that a reader would take a name for.

    Args:
        name: What somebody calls a model. It is compared with all names that `resolve` takes, by
            their letters and digits alone: 'dnabert 2' is DNABERT-2.
    """
    letters = _letters(name)
    return {model_id for model_id, known in _named() if _letters(known) == letters}


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name).casefold()))


def at_address(url: str) -> set[str]:
    """Returns the ids of the models whose weights their authors publish at an address.

    Args:
        url: An address. It is compared with that of each model's source, in letters of either case,
            and may name a revision or a file there.
    """
    sources = {e.id: e.source for e in entries().values()}
    sources |= {model_id: m.fields["source"] for model_id, m in more().items()}
    asked = _address(url)
    return {
        model_id
        for model_id, source in sources.items()
        if (known := _address(source["url"] or ""))
        and (asked == known or (asked.startswith(known) and asked[len(known)] in "/?#@&"))
    }


def _address(url: str) -> str:
    """Returns an address without its scheme, in lower case, with one slash between its parts."""
    text = re.sub(r"^https?:/*(www\.)?", "", unquote(url).strip().casefold())
    text = re.sub("^hf\\.co/", "huggingface.co/", text)
    return re.sub("/+", "/", text).rstrip("/")


def unknown_model(name: str, others: Iterable[str] = ()) -> CatalogError:
    """Returns the error that no model of the catalog has a name, which names the nearest.

    Args:
        name: What somebody calls the model.
        others: Names that are valid beside the catalog's where this is said.
    """
    papers = (entry.paper_name for entry in entries().values())
    known = {spelled.casefold(): spelled for spelled in (*others, *papers, *entries(), *more())}
    near = difflib.get_close_matches(name.casefold(), known, n=3, cutoff=0.4)
    hint = f"; did you mean {' or '.join(known[n] for n in near)}?" if near else ""
    return CatalogError(f"model '{name[:_SHOWN]}' is not in the catalog{hint}")


def dtype_of(entry: Entry, asked: str) -> str:
    """Returns the precision that a model is computed in: 'float32' or 'bfloat16'.

    Args:
        entry: The model.
        asked: A name of `DTYPES`; 'model' stands for the entry's.
    """
    return entry.dtype if asked == CATALOG_DTYPE else asked
