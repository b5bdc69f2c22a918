"""What a checkpoint folder says of its model: the catalog's entry of a model that is in no catalog.

The family follows from config.json, the limit of records from config and tokenizer, width and
parameters from the module, the precision from the weights.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from absl import logging
from flax import nnx

from geneb_jax.files.json_files import read_object
from geneb_jax.files.texts import FileError
from model_ports import catalog
from model_ports.contract.family import FINAL, family
from model_ports.known_defects import known_defects
from model_ports.loading import converted
from model_ports.loading.assignment import parameter_shapes
from model_ports.loading.planned import abstract_model, family_config
from model_ports.loading.tensors import (
    CheckpointError,
    open_checkpoint,
    read_config,
    refuse_quantised,
    weight_files,
)
from model_ports.tokenizers import build_tokenizer
from model_ports.tokenizers.auto import AutoTokenizer
from model_ports.tokenizers.json_file import JsonTokenizer
from model_ports.tokenizers.spaced import kmers_of
from model_ports.tokenizers.trial import check_reads_dna

# Kinds of tokenizers that repositories have as code.
_OF_CODE = ("character", "utf-8", "generator", "generanno")
_LONGEST = 10**9  # transformers writes 1e30 where a tokenizer has no limit
_SHOWN = 60  # letters of a value in an error


class Kind(NamedTuple):
    """What is known of a model by the name that config.json gives to its architecture.

    Attributes:
        family: Module of `model_ports.families`.
        like: The model of the catalog whose code it shares, where that is not transformers': its
            batching and unstated facts count, and its tokenizer where that is code too.
        prepared: Whether that model's tokenizer counts whatever the files are, as records are
            prepared for it.
    """

    family: str
    like: str | None = None
    prepared: bool = False


# In the paper's words, of families whose code is transformers' own; others have the word of the
# model whose code they share. docs/your-model.md explains them.
ARCHITECTURES: Mapping[str, str] = {
    "bert": "T-enc",
    "esm": "T-enc",
    "modernbert": "T-enc",
    "gpt2": "T-dec",
    "gpt_neox": "T-dec",
    "llama": "T-dec",
}


# By `model_type`, or by the module that `auto_map` names, whose code is known here.
KINDS: Mapping[str, Kind] = {
    "bert": Kind("bert"),
    "distilbert": Kind("bert"),
    "electra": Kind("bert"),
    "roberta": Kind("bert"),
    "roformer": Kind("bert"),
    "esm": Kind("esm"),
    "gpt2": Kind("gpt2"),
    "gpt_neox": Kind("gpt_neox"),
    "llama": Kind("llama"),
    "mistral": Kind("llama"),
    "olmo": Kind("llama"),
    "olmo2": Kind("llama"),
    "qwen2": Kind("llama"),
    "qwen3": Kind("llama"),
    "modernbert": Kind("modernbert"),
    "bert_layers": Kind("mosaic_bert", "dnabert2-no-flashattention"),
    "modeling_bert": Kind("bert", "gena-lm-bert-base"),
    "modeling_mutbert": Kind("bert", "MutBERT"),
    "modeling_esm": Kind("esm", "nucleotide-transformer-v2-50m-multi-species"),
    "modeling_generator": Kind("llama", "GENERator-eukaryote-1.2b-base"),
    "hyenadna": Kind("hyena", "hyenadna-medium-160k-seqlen-hf"),
    "generanno": Kind("llama", "GENERanno-eukaryote-0.5b-base"),
    "gLM2": Kind("glm2", "gLM2_650M", prepared=True),
    "caduceus": Kind("caduceus", "caduceus-ph_seqlen-1k_d_model-256_n_layer-4_lr-8e-3"),
    "stripedhyena": Kind("striped_hyena", "evo-1-131k-base"),
    "olmo-gfm": Kind("olmo", "Omni-DNA-300M"),
    "hf_olmo": Kind("olmo", "Omni-DNA-300M"),
    "lucaone": Kind("lucaone", "LucaOne-default-step36M"),
    "ConvNet": Kind("gpn", "gpn-brassicales"),
    "GPN": Kind("gpn", "gpn-animal-promoter"),
    "ntv3": Kind("ntv3", "NTv3_8M_pre"),
    "ntv3_posttrained": Kind("ntv3", "NTv3_8M_pre"),
    "borzoi": Kind("borzoi", "borzoi-replicate-0"),
}


def describe(
    folder: Path, name: str, stated: Mapping[str, Any] = MappingProxyType({})
) -> catalog.Entry:
    """Returns the catalog's entry of the model in a checkpoint folder.

    Records are cut to the shortest of the position table, the context that config.json states and
    the tokenizer's `model_max_length`. The hidden states of all tokens, special ones included,
    are averaged. Both presets are the same.

    Args:
        folder: config.json, tokenizer and weight files as transformers saves them, or a converted
            checkpoint. Where there is no weight file yet, config.json's word on the precision
            counts.
        name: What the model is called: the entry's `id`.
        stated: Fields of the entry that are known; they are not looked for. Objects among them,
            such as `presets`, may state some of their fields.

    Raises:
        CheckpointError: The family cannot be told or is not known, a file is damaged, a field of
            config.json is not computed here, or the weights are quantised.
        TokenizerError: The tokenizer's files are missing, cannot be read, or make no tokens of DNA.
    """
    content = read_config(folder)
    refuse_quantised(folder, content)
    kind = _of_family(stated["family"]) if "family" in stated else _kind(folder, content)
    like = catalog.get(kind.like) if kind.like else None
    batching = _batching(folder, kind, like)
    unstated = stated.get("unstated", like.unstated if like else {})
    entry = _unfilled_entry(name, kind.family, content, unstated, _dtype(folder, content))
    config, _ = family_config(entry, content)
    graphdef, abstract = abstract_model(kind.family, config)
    tokenizer = stated.get("tokenizer") or _tokenizer(folder, kind, like)
    _try_tokenizer(folder, tokenizer, config.vocab_size)
    params = sum(map(math.prod, parameter_shapes(abstract).values()))
    width = _width(graphdef, abstract)
    if stated.get("width", width) != width:
        raise CheckpointError(
            f"{folder}: its final hidden state is {width} wide, but width is stated as "
            f"{stated['width']}; leave it out"
        )
    limits = [config.max_tokens, *_stated_limits(folder, content)]
    presets = {
        "corrected": {
            "max_tokens": min((limit for limit in limits if limit is not None), default=None),
            "pooling": "mean",
            "batching": batching,
        },
        "published": catalog.UNPUBLISHED,
    }
    architecture = ARCHITECTURES.get(kind.family, kind.family)
    labels = {
        **catalog.plain_labels(kind.family, tokenizer, params),
        "architecture": like.labels["architecture"] if like else architecture,
        "tokenization": _tokenization(folder, tokenizer, like),
    }
    known = stated.get("presets", {})
    merged = {
        "id": name,
        "labels": labels | stated.get("labels", {}),
        "licence": {**entry.licence, **stated.get("licence", {})},
        "source": {**entry.source, **stated.get("source", {})},
        "presets": {
            "corrected": presets["corrected"] | known.get("corrected", {}),
            "published": known.get("published", presets["published"]),
        },
    }
    defects = (
        *known_defects(kind.family, content, tokenizer),
        *stated.get("known_defects", ()),
    )
    merged["known_defects"] = tuple(dict.fromkeys(defects))  # a file may repeat the general ones
    found = {"params": params, "width": width, "tokenizer": tokenizer}
    return replace(entry, **{**found, **stated, **merged})


def _unfilled_entry(
    name: str,
    family_name: str,
    content: Mapping[str, Any],
    unstated: Mapping[str, Any],
    dtype: str,
) -> catalog.Entry:
    """Returns the entry of a model of which only config.json and the precision are known."""
    return catalog.Entry(
        id=name,
        paper_name=name,
        family=family_name,
        labels={},
        labels_paper_v1={},
        params=0,
        width=0,
        source={"kind": catalog.FOLDER, "repo": None, "revision": None, "url": None},
        licence={"weights": None, "code": None},
        known_defects=(),
        tokenizer={},
        presets={},
        config=content,
        unstated=unstated,
        dtype=dtype,
    )


def _batching(folder: Path, kind: Kind, like: catalog.Entry | None) -> str:
    """Returns how records are batched, as `catalog.Preset.batching`.

    Raises:
        CheckpointError: All records are padded to one length, which no file states.
    """
    if like is None:
        return family(kind.family).BATCHING
    batching = like.preset("corrected").batching
    if batching == "fixed":
        raise CheckpointError(
            f"{folder}: family '{kind.family}' pads every record to a length that no file states; "
            f"name the catalog's model, such as '{like.id}', with the folder as "
            f"checkpoints_dir/{like.id}"
        )
    return batching


def _kind(folder: Path, content: Mapping[str, Any]) -> Kind:
    """Returns what is known of the architecture that config.json names.

    Raises:
        CheckpointError: It names none, one that is not known, or code that is not run.
    """
    modules = list(dict.fromkeys(_modules(content.get("auto_map"))))
    for module in modules:
        if module in KINDS:
            kind = KINDS[module]
            # The name of a file is all that is known: another repository may have other code in it.
            logging.warning(
                "%s: '%s.py', which config.json names, is taken to be the code of '%s'",
                folder, module[:_SHOWN], kind.like,
            )  # fmt: skip
            return kind
    model_type = content.get("model_type")
    kind = KINDS.get(model_type) if isinstance(model_type, str) else None
    if kind and (kind.like or not modules):
        return kind
    shown = f"'{str(model_type)[:_SHOWN]}'"
    if modules:
        raise CheckpointError(
            f"{folder}: config.json asks for code of the repository ('{modules[0][:_SHOWN]}.py', "
            f"model_type {shown}), which is not run; add a family (docs/adding-a-model.md), or "
            "remove auto_map from config.json where the model is transformers' own"
        )
    if model_type is None:
        raise CheckpointError(
            f"{folder}: config.json states no model_type: add it, or, for a model of the catalog, "
            "name it MODEL with the folder as checkpoints_dir/MODEL (`geneb-jax models list`)"
        )
    ported = [e.id for e in catalog.entries().values() if e.config.get("model_type") == model_type]
    stock = [name for name, kind in KINDS.items() if not kind.like]
    raise CheckpointError(
        f"{folder}: model_type {shown} is not known; known: {', '.join(stock)}; "
        + (
            f"if it is '{ported[0]}', name it so with the folder as checkpoints_dir/{ported[0]}"
            if ported
            else "a family is added as docs/adding-a-model.md says"
        )
    )


def _of_family(family: str) -> Kind:
    """Returns the first line of the table that has a family, or one like the catalog's model."""
    found = (kind for kind in KINDS.values() if kind.family == family)
    like = (entry.id for entry in catalog.entries().values() if entry.family == family)
    return next(found, None) or Kind(family, next(like, None))


def _modules(auto_map: Any) -> Iterator[str]:
    """Yields the modules of code that `auto_map` names for models, without their repository."""
    for name, value in auto_map.items() if isinstance(auto_map, Mapping) else ():
        if name.startswith("AutoModel") and isinstance(value, str):
            yield value.rpartition("--")[2].partition(".")[0]


def _dtype(folder: Path, content: Mapping[str, Any]) -> str:
    """Returns 'bfloat16' where most of the weights are, else 'float32', which holds float16 too."""
    sizes: Counter[str] = Counter()
    if converted.is_converted(folder):
        for facts in converted.read_manifest(folder)["parameters"].values():
            sizes[str(facts.get("dtype"))] += math.prod(facts["shape"])
    elif weight_files(folder):
        for stored in open_checkpoint(folder).stored.values():
            sizes[stored.dtype] += math.prod(stored.shape)
    else:
        sizes[str(content.get("dtype", content.get("torch_dtype")))] = 1
    return "bfloat16" if 2 * sizes["bfloat16"] > sizes.total() else "float32"


def _width(graphdef: nnx.GraphDef, abstract: nnx.State) -> int:
    """Returns the width of the final hidden state."""

    def final(state: nnx.State) -> jax.Array:
        inputs = {
            "input_ids": jnp.zeros((1, 8), jnp.int32),
            "attention_mask": jnp.ones((1, 8), bool),
        }
        return nnx.merge(graphdef, state)(inputs, (FINAL,)).states[FINAL]

    return jax.eval_shape(final, abstract).shape[-1]


def _stated_limits(folder: Path, content: Mapping[str, Any]) -> Iterator[int | None]:
    """Yields the longest inputs that config.json and the tokenizer's file state."""
    of_tokenizer = _fields(folder, "tokenizer_config.json").get("model_max_length")
    contexts = map(content.get, ("max_position_embeddings", "max_sequence_length"))
    for limit in (*contexts, of_tokenizer):
        if isinstance(limit, int) and not isinstance(limit, bool) and 0 < limit < _LONGEST:
            yield limit


def _tokenizer(folder: Path, kind: Kind, like: catalog.Entry | None) -> Mapping[str, Any]:
    """Returns the options of the folder's tokenizer.

    Raises:
        TokenizerError: There is none, or it cannot be read.
    """
    if like and kind.prepared:
        return like.tokenizer
    if (folder / "tokenizer.json").is_file():
        options: dict[str, Any] = {"kind": "json"}
    elif like and like.tokenizer["kind"] in _OF_CODE:
        return like.tokenizer
    else:
        options = {"kind": "auto"}
    tokenizer = build_tokenizer(folder, options)
    assert isinstance(tokenizer, JsonTokenizer | AutoTokenizer)
    if k := kmers_of(tokenizer.tokenizer.get_vocab()):
        # Its k-mers are upper-case: those of other letters would be unknown.
        options |= {"letters": "upper", "spaced": k}
    if _fields(folder, "tokenizer_config.json").get("truncation_side") == "left":
        options |= {"truncation": "left"}
    return options


def _try_tokenizer(folder: Path, options: Mapping[str, Any], rows: int) -> None:
    """Reads random DNA with the tokenizer, unless it is one whose rule is written here.

    Raises:
        TokenizerError: It cannot be built, or does not read DNA.
    """
    tokenizer = build_tokenizer(folder, options)
    if isinstance(tokenizer, JsonTokenizer | AutoTokenizer):
        check_reads_dna(tokenizer, folder, rows)


def _tokenization(folder: Path, options: Mapping[str, Any], like: catalog.Entry | None) -> str:
    """Returns how a record becomes tokens, in the catalog's words where it has one.

    These are `SN`, single letters; `k-mer`, k letters each, side by side; `overlapping k-mers`; the
    kind of a vocabulary of pieces, such as BPE, WordPiece or Unigram; and that of a rule that is
    written here.
    """
    if like and options == like.tokenizer:
        return like.labels["tokenization"]
    tokenizer = build_tokenizer(folder, options)
    if not isinstance(tokenizer, JsonTokenizer | AutoTokenizer):
        return options["kind"]
    if tokenizer.spaced:
        return f"overlapping {tokenizer.spaced}-mers"
    vocabulary = {word.upper() for word in tokenizer.tokenizer.get_vocab()}
    words = {word for word in vocabulary if word and set(word) <= set("ACGT")}
    lengths = {len(word) for word in words}
    if lengths == {1}:
        return "SN"
    if len(words) == 4 + 4 ** max(lengths, default=0) and len(lengths) == 2:
        return "k-mer"  # and letters for what remains at the end
    return tokenizer.model_name


def _fields(folder: Path, name: str) -> Mapping[str, Any]:
    """Returns the fields of a JSON file of the folder; none where there is no such file."""
    if not (folder / name).is_file():
        return {}
    try:
        return read_object(folder / name)
    except FileError as error:
        raise CheckpointError(str(error)) from error
