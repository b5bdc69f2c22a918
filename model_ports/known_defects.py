"""What a user must know of an architecture, whoever trained the weights and wherever they lie.

It is said of the catalog's models, of `hf:` folders and repositories, and of files of a catalog of
one's own. What concerns one model alone is in `known_defects` of its file in `data/more/`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

_ANY: Mapping[str, Any] = MappingProxyType({})


class Note(NamedTuple):
    """A clause on the models of a family, or on some of them.

    Attributes:
        family: Module of `model_ports.families`.
        text: What is said.
        config: Fields of config.json that these models have, with their values.
        tokenizer: Options of the tokenizer that they have, with the values of which it has one.
        trained: Whether it concerns trained weights alone, and not random ones.
    """

    family: str
    text: str
    config: Mapping[str, Any] = _ANY
    tokenizer: Mapping[str, tuple[Any, ...]] = _ANY
    trained: bool = False


_UNMASKED_DNABERT = (
    "DNABERT's authors' own BertModel adds the mask to the scores, so that padding is attended to; "
    "here a record is computed as it is alone"
)
_ONE_CASE = (
    "lower-case letters are read as upper case, as the vocabulary of k-mers has no others; its "
    "tokenizer in transformers reads a k-mer with one of them as unknown"
)

NOTES: tuple[Note, ...] = (
    Note("bert", _UNMASKED_DNABERT, tokenizer={"kind": ("overlapping-kmer",)}, trained=True),
    # DNABERT's authors train with a transformers of theirs, whose config.json has this field.
    Note("bert", _UNMASKED_DNABERT, {"split": 10}, {"spaced": (3, 4, 5, 6)}, trained=True),
    Note("bert", _ONE_CASE, tokenizer={"kind": ("overlapping-kmer",)}),
    Note("bert", _ONE_CASE, tokenizer={"spaced": tuple(range(2, 9))}),  # whatever k is
    Note(
        "borzoi",
        "every record stands in the middle of a window, of 524,288 bases in the published models, "
        "that are unknown but for it, and longer ones are cut to their middle; the place is this "
        "port's choice, as the model has no published extractor",
    ),
    Note(
        "borzoi",
        "the embedding is the mean of the output bins of 32 bases that hold a letter of the "
        "record; pooling mean-all-rows averages all kept bins, of which a short record fills few",
    ),
    Note(
        "borzoi",
        "the original runs on a GPU in half precision alone: float32 is the same mathematics and "
        "not the same numbers",
        config={"flashed": True},
        trained=True,
    ),
    Note(
        "glm2",
        "upper-case letters are amino acids to this model: records are given in lower case behind "
        "<+>, the token of the forward strand, and an N is unknown to it",
    ),
    Note(
        "gpn",
        "its authors' code has no mask, so that the padding of a batch changes shorter records; "
        "here a record is computed as it is alone",
    ),
    Note(
        "gpn",
        "its authors average a window at the centre of a sequence over both strands; here the "
        "embedding is the mean over the whole record as it is given",
    ),
    Note(
        "llama",
        "GENERanno's published tokenizer was not seen: the vocabulary is that of a public "
        "converter, and it is assumed that lower case is read as upper case, that every letter but "
        "A, C, G and T is N, and that <s> stands on both sides of a record, as in the authors' "
        "fine-tuning script",
        tokenizer={"kind": ("generanno",)},
        trained=True,
    ),
    Note("megadna", "letters other than A, C, G and T are read as A, as in its authors' code"),
    Note(
        "megadna",
        "it is published as a pickled module, which is refused, as reading it runs its code; "
        "docs/your-model.md says how its tensors and a config.json are saved once",
        trained=True,
    ),
    Note(
        "ntv3",
        "records are filled with N on the right to a multiple of 2^num_downsamples letters, 128 in "
        "the main models, and the fill is context that they see; never with <pad>, on which the "
        "models were not trained",
    ),
    Note(
        "ntv3",
        "there are two kinds of upsampling with tensors of the same shapes: config.json alone "
        "(deconv_upsample_type) tells which one a checkpoint has",
        trained=True,
    ),
    Note(
        "ntv3",
        "conditioned on a species: all records are human, unless `unstated` of a catalog file of "
        "your own names another species of config.json's species_to_token_id (docs/your-model.md)",
        config={"model_type": "ntv3_posttrained"},
    ),
    Note(
        "striped_hyena2",
        "its authors serve it with fp8 projections, which are not computed here: of evo2_1b_base, "
        "which was trained with them and is not run without by its authors, float32 and bfloat16 "
        "are faithful to the weights and are not the published model; the 7B models may run "
        "without, as their authors say, and are the safer choice",
        config={"use_fp8_input_projections": True},
        trained=True,
    ),
)


def known_defects(
    family: str,
    config: Mapping[str, Any],
    tokenizer: Mapping[str, Any],
    *,
    trained: bool = True,
) -> tuple[str, ...]:
    """Returns what a user must know of a model for its architecture, in clauses.

    Args:
        family: Module of `model_ports.families`.
        config: The content of config.json, as far as it is known.
        tokenizer: The options of its tokenizer, as far as they are known; see `catalog.Entry`.
        trained: Whether the weights are trained; of random ones only what holds for all is said.
    """
    return tuple(
        note.text
        for note in NOTES
        if note.family == family
        and (trained or not note.trained)
        and all(config.get(name) == value for name, value in note.config.items())
        and all(tokenizer.get(name) in values for name, values in note.tokenizer.items())
    )
