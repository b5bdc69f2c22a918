"""The extractor module of a model: the code that GENEB's harness takes embeddings from.

GENEB's CONTRIBUTING.md asks for one module under `harness/extractors/`, a subclass of
`BaseEmbeddingExtractor` that is made with `name_model` and `device` and whose
`extract_embeddings(sequences, batch_size)` returns one row a sequence. The module that is written
here lets geneb_jax compute the embeddings, so that the harness gets those that were scored.
"""

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

_WORD = re.compile("[A-Za-z0-9]+")

_MODULE = '''"""Frozen embeddings of {display} for the GENEB harness.

{facts}

The embeddings are computed by geneb_jax {version}, whose scores are submitted. With the package
installed, the harness takes them so:

    python3 harness/run_GENEB.py --extractor {name} --module {module} \\
        --name_model {address} --model_id {model_id} --display {title} --params {params} \\
        --data_dir GENEB_data
"""

import numpy as np
{imports}
from .base import BaseEmbeddingExtractor

{constants}

class {name}(BaseEmbeddingExtractor):
    """Embeds DNA sequences as geneb_jax did for the submitted scores."""

    def __init__(self, name_model: str, device: str = "cpu") -> None:
        """Takes the model's address; the weights are loaded with each call that embeds.

        Args:
            name_model: {name_model}
            device: Is not used: JAX computes on the accelerator that it finds, and on the CPU
                where JAX_PLATFORMS=cpu is set.
        """
        self.name_model = name_model
        self.device = device

    def extract_embeddings(self, sequences: list[str], batch_size: int = 8) -> np.ndarray:
        """Returns one row a sequence, float32 [N, D].

        Args:
            sequences: N DNA sequences.
            batch_size: Is not used: geneb_jax chooses its batches.
        """
        {body}
'''
_UNKNOWN = """raise NotImplementedError(
            "{model} was scored from embeddings that geneb_jax did not compute; load the model in "
            "__init__ and compute them here"
        )"""


class Kind(NamedTuple):
    """How an extractor finds a model.

    Attributes:
        model: The expression that names the model to `geneb_jax.embed`, with VARIANT for what
            stands behind the name of a model with random weights; '': nothing does.
        options: Keyword arguments of that call that depend on where the model is, in code.
        name_model: What the harness's argument `--name_model` says.
        address: A word for it on the command line; '': the model's name.
    """

    model: str
    options: str = ""
    name_model: str = "Is not used: the model has one name in geneb_jax."
    address: str = ""


# By what is known of where a model comes from; see `kind_of`.
KINDS: Mapping[str, Kind] = {
    "catalog": Kind("MODEL"),
    "folder": Kind(
        "MODEL",
        "checkpoints_dir=self.name_model, ",
        "Folder that holds the checkpoint's folder, as geneb_jax's checkpoints_dir.",
        "CHECKPOINTS_DIR",
    ),
    "described": Kind(
        'f"{MODEL}=hf:{self.name_model}VARIANT"',
        "",
        "A folder as transformers saves it, FOLDER+ADAPTER, or ORG/NAME@REVISION.",
        "CHECKPOINT",
    ),
    "catalog folder": Kind(
        "MODEL",
        "catalog=self.name_model, ",
        "Folder of the model's entry, as geneb_jax's catalog.",
        "CATALOG",
    ),
    "unknown": Kind("", "", "Whatever the model is found by."),
}


def kind_of(
    identity: Mapping[str, Any], config: Mapping[str, Any], *, listed: bool, local: bool
) -> str:
    """Returns the name in `KINDS` that fits a model.

    Args:
        identity: What run.json says of the model.
        config: The run's config.
        listed: Whether the package's catalog has the model.
        local: Whether its weights are of a folder and not known to be the authors'.
    """
    if identity.keys() & {"folder", "function"}:
        return "unknown"
    if "described" in identity and not listed:
        return "catalog folder" if config.get("catalog") else "described"
    return "folder" if local else "catalog"


# How a sequence becomes tokens, by the kind of a catalog's tokenizer (`model_ports.tokenizers`).
_TOKENIZERS: Mapping[str, str] = {
    "kmer": "{k}-mers that do not overlap",
    "overlapping-kmer": "overlapping {k}-mers",
    "json": "the checkpoint's tokenizer.json",
    "auto": "the checkpoint's tokenizer, as transformers reads its files",
    "character": "a token each letter",
    "utf-8": "a token each byte of the text",
    "bases": "one-hot letters",
    "generanno": "a token each letter, by the checkpoint's vocab.txt",
    "generator": "{k}-mers that do not overlap, as the checkpoint's tokenizer makes them",
    "dna-gpt": "{k}-mers and shorter rests, as DNA-GPT's code makes them",
}


def tokenizer_text(options: Mapping[str, Any]) -> str:
    """Returns how a model tokenizes, in words; '': it is not known.

    Args:
        options: `tokenizer` of a catalog's entry: its kind and options; may be empty.
    """
    kind = str(options.get("kind", ""))
    text = _TOKENIZERS.get(kind, kind).format_map({"k": options.get("k", "k")})
    spaced = ", k-mers written with blanks between them" if options.get("spaced") else ""
    letters = (
        f", after the letters: {options['letters']}"
        if kind == "json" and "letters" in options
        else ""
    )
    return f"{text}{spaced}{letters}"


def class_name(model_id: str) -> str:
    """Returns the name of a model's extractor class, such as 'MyModel300mExtractor'."""
    words = "".join(word[0].upper() + word[1:] for word in _WORD.findall(model_id))
    return f"{words if words and words[0].isalpha() else f'Model{words}'}Extractor"


def module_name(model_id: str) -> str:
    """Returns the name of a model's extractor module, such as 'my_model_300m'."""
    words = "_".join(_WORD.findall(model_id)).lower()
    return words if words and words[0].isalpha() else f"model_{words}"


def extractor(
    model: str,
    model_id: str,
    kind: str,
    options: Mapping[str, Any],
    *,
    display: str,
    params: int,
    facts: Mapping[str, str],
    version: str,
) -> str:
    """Returns the code of a model's extractor module.

    Args:
        model: The model's name for `geneb_jax.embed`.
        model_id: Its name in the submission.
        kind: A name in `KINDS`.
        options: Further keyword arguments of `geneb_jax.embed`.
        display: The model's name for people.
        params: Its number of parameters.
        facts: What is known of how it is loaded, tokenized and pooled, by the word for it.
        version: geneb_jax's, whose embeddings were scored.
    """
    how = KINDS[kind]
    lines = [f"{name}: {value}" for name, value in facts.items() if value]
    if how.model:
        # A folder may have the name of a model of the catalog: it is called as it was in the run.
        of_files = "VARIANT" in how.model
        called, colon, variant = model.partition(":") if of_files else (model, "", "")
        named = how.model.replace("VARIANT", f"{colon}{variant}")
        body = f"return geneb_jax.embed({named}, sequences, {how.options}**OPTIONS)"
        constants = [("MODEL", called), ("OPTIONS", dict(options))]
    else:
        body, constants = _UNKNOWN.format(model=model.replace('"', "")), []
    return _MODULE.format(
        display=_plain(display),
        facts=_plain("\n".join(lines)),
        version=version,
        imports="\nimport geneb_jax\n" if how.model else "",
        constants="".join(f"{name} = {json.dumps(value)}\n" for name, value in constants),
        name=class_name(model_id),
        module=module_name(model_id),
        address=how.address or _plain(model),
        model_id=model_id,
        title=_plain(shlex.quote(display)),
        params=params,
        name_model=how.name_model,
        body=body,
    )


def _plain(text: str) -> str:
    """Returns a text that a docstring holds as it is."""
    return text.replace("\\", "/").replace('"""', "'''")
