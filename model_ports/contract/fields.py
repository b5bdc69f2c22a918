"""The fields of config.json: read with their kind and range, fixed at what is computed, or unused.

Every field that a config.json states is one of four things to a family:

- `Config.from_json` reads it, and refuses a value that is not of its kind or range;
- the family's `FIXED` names it: the computation would depend on it, but only these values are
  computed, and any other is refused;
- the family's `UNUSED` or `COMMON_UNUSED` names it: it does not change a frozen embedding;
- nobody knows it: `Fields.unknown` names it, so that the run can say so.
"""

import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, overload

# Largest sizes that are read. No model comes near, and shapes stay within 32 bits.
SIZES = 2**20  # widths
ROWS = 2**26  # rows of a table: a vocabulary, positions
COUNTS = 2**12  # layers, heads, experts, and the width of a head

_SHOWN = 60  # characters of a value in an error
_NAMED = 8  # unknown fields, or allowed values, that are named; the others are counted


class FieldError(ValueError):
    """Raised for a field of config.json that is missing, malformed or not computed."""


@dataclass(frozen=True)
class Stated:
    """A value of `FIXED` that config.json must state: where it is absent, another one is meant.

    Attributes:
        value: The value that is computed.
    """

    value: Any


# What transformers' base configuration holds, and every family computes with one value.
COMMON_FIXED: Mapping[str, Any] = {
    "is_encoder_decoder": (False, None),
    "add_cross_attention": (False, None),
    "pruned_heads": ({}, None),
    "quantization_config": None,
    "per_layer_config": None,
}

# What transformers' base configuration (versions 4 and 5) and its tools write into any config.json
# and does not change a hidden state of a frozen model: names of classes and versions, precisions
# (the run chooses its own), ids of special tokens (the tokenizer knows them), heads and labels,
# what is returned, how text is generated, how memory is saved, and how weights were initialised.
COMMON_UNUSED = (
    "architectures", "auto_map", "model_type", "transformers_version", "torch_dtype", "dtype",
    "tokenizer_class", "name_or_path", "finetuning_task", "task_specific_params", "adapters",
    "custom_pipelines", "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id",
    "cls_token_id", "mask_token_id", "unk_token_id", "decoder_start_token_id", "id2label",
    "label2id", "num_labels", "problem_type", "tie_word_embeddings", "tie_encoder_decoder",
    "tie_last_hidden_states", "classifier_dropout", "use_cache", "return_dict",
    "use_return_dict", "output_hidden_states", "output_attentions", "torchscript",
    "chunk_size_feed_forward", "gradient_checkpointing", "use_bfloat16", "tf_legacy_loss",
    "attn_implementation", "experts_implementation", "initializer_range", "max_length",
    "min_length", "do_sample", "early_stopping", "num_beams", "num_beam_groups",
    "diversity_penalty", "cross_attention_hidden_size", "temperature", "top_k", "top_p",
    "typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "output_scores",
    "return_dict_in_generate", "forced_bos_token_id", "forced_eos_token_id",
    "remove_invalid_values", "exponential_decay_length_penalty", "suppress_tokens",
    "begin_suppress_tokens", "prefix",
)  # fmt: skip


class Fields:
    """The fields of a config.json while a family reads them; which it asked for is remembered.

    A name may be dotted: `ssm_cfg.d_state` is the field `d_state` of the object `ssm_cfg`. Several
    names are spellings of one field, and must agree where more than one is there. A field that is
    absent is refused, unless the call says what the original takes then (`absent`). Null is refused
    too: where it has a meaning, `is_null` or `unset` is asked before.
    """

    def __init__(
        self, values: Mapping[str, Any], otherwise: Mapping[str, Any] = MappingProxyType({})
    ):
        """Takes the content of a config.json.

        Args:
            values: The content.
            otherwise: The content of another one, which is asked for fields that are absent, and
                for which the original has no default.
        """
        self._values = values
        self._otherwise = otherwise
        self._asked: set[str] = set()

    def count(
        self, *names: str, least: int = 1, most: int = SIZES, absent: int | None = None
    ) -> int:
        """Returns a whole number of `least` to `most`; 12.0 is taken for 12.

        Raises:
            FieldError: It is absent or anything else.
        """
        name, value = self._value(names, absent)
        if not _is_count(value, least, most):
            raise _error(name, value, f"it must be a whole number from {least} to {most}")
        return int(value)

    def counts(self, name: str, *, least: int = 0, most: int = COUNTS) -> tuple[int, ...]:
        """Returns a list of different whole numbers of `least` to `most`.

        Raises:
            FieldError: It is absent or anything else.
        """
        _, values = self._value((name,), None)
        if (
            not isinstance(values, list)
            or not all(_is_count(value, least, most) for value in values)
            or len(set(values)) < len(values)
        ):
            mend = f"it must be a list of different whole numbers from {least} to {most}"
            raise _error(name, values, mend)
        return tuple(map(int, values))

    def sizes(
        self,
        name: str,
        *,
        length: int | None = None,
        most: int = SIZES,
        absent: tuple[int, ...] | None = None,
        repeated: bool = False,
    ) -> tuple[int, ...]:
        """Returns a list of whole numbers of 1 to `most`, which may be equal.

        Args:
            name: The field.
            length: How many there must be; None: any, but at least one.
            most: The largest.
            absent: What the original takes where the field is not there; None: it is refused.
            repeated: Whether a number alone stands for `length` equal ones.

        Raises:
            FieldError: It is absent or anything else.
        """
        _, values = self._value((name,), absent)
        if repeated and length and _is_count(values, 1, most):
            values = [values] * length
        if (
            not isinstance(values, list | tuple)
            or len(values) != (length or len(values) or 1)
            or not all(_is_count(value, 1, most) for value in values)
        ):
            mend = f"it must be a list of {length or 'some'} whole numbers from 1 to {most}"
            raise _error(name, values, mend)
        return tuple(map(int, values))

    def divisor(self, *names: str, of: str, whole: int, absent: int | None = None) -> int:
        """Returns a whole number that divides `whole`, the value of the field `of`.

        Raises:
            FieldError: It is absent or anything else.
        """
        number = self.count(*names, most=COUNTS, absent=absent)
        if whole % number:
            raise _error(names[0], number, f"it must divide {of}, which is {whole}")
        return number

    def number(
        self, *names: str, above: float = 0.0, most: float = 1.0, absent: float | None = None
    ) -> float:
        """Returns a number greater than `above` and not greater than `most`.

        Raises:
            FieldError: It is absent or anything else, such as NaN.
        """
        name, value = self._value(names, absent)
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        if not numeric or not above < value <= most:
            raise _error(name, value, f"it must be a number above {above:g} and up to {most:g}")
        return float(value)

    def flag(self, *names: str, absent: bool | None = None) -> bool:
        """Returns true or false.

        Raises:
            FieldError: It is absent or anything else.
        """
        name, value = self._value(names, absent)
        if not isinstance(value, bool):
            raise _error(name, value, "it must be true or false")
        return value

    def choice(
        self, *names: str, among: Iterable[str], absent: str | None = None, mend: str = ""
    ) -> str:
        """Returns one of some texts.

        Args:
            names: The field's spellings.
            among: The texts.
            absent: What the original takes where the field is not there; None: it is refused.
            mend: What is said of another value; '': that it must be one of these.

        Raises:
            FieldError: It is absent or anything else.
        """
        name, value = self._value(names, absent)
        among = tuple(among)
        if value not in among:
            raise _error(name, value, mend or f"it must be {_either(among)}")
        return value

    def choices(self, name: str, *, among: Iterable[str], length: int) -> tuple[str, ...]:
        """Returns a list of `length` texts, each one of some.

        Raises:
            FieldError: It is absent or anything else.
        """
        _, values = self._value((name,), None)
        among = tuple(among)
        if (
            not isinstance(values, list)
            or len(values) != length
            or any(value not in among for value in values)
        ):
            raise _error(name, values, f"it must be a list of {length}, each {_either(among)}")
        return tuple(values)

    def text(self, name: str) -> str:
        """Returns a text.

        Raises:
            FieldError: It is absent or anything else.
        """
        _, value = self._value((name,), None)
        if not isinstance(value, str):
            raise _error(name, value, "it must be a text")
        return value

    def object(self, name: str) -> Mapping[str, Any]:
        """Returns an object as it stands there; all its fields count as read.

        Raises:
            FieldError: It is absent or anything else.
        """
        _, value = self._value((name,), None)
        if not isinstance(value, Mapping):
            raise _error(name, value, "it must be an object")
        return value

    def has(self, name: str) -> bool:
        """Tells whether a field is there, null or not."""
        self._asked.add(name)
        return self._found(name)[0]

    def is_null(self, name: str) -> bool:
        """Tells whether a field is there and null."""
        self._asked.add(name)
        return self._found(name) == (True, None)

    def unset(self, name: str) -> bool:
        """Tells whether a field is absent or null."""
        return not self.has(name) or self.is_null(name)

    def is_text(self, name: str, text: str) -> bool:
        """Tells whether a field is a certain text, such as the "auto" of a size."""
        self._asked.add(name)
        return self._found(name) == (True, text)

    def refuse(self, name: str, mend: str) -> FieldError:
        """Returns the error that names a field, its value, and what it must be."""
        return _error(name, self._found(name)[1], mend)

    def check(self, fixed: Mapping[str, Any]) -> None:
        """Checks the fields that only some values are computed of.

        Args:
            fixed: By name the value that is computed, or a tuple of them. A field that is absent
                means one of them, unless the value is `Stated`. `COMMON_FIXED` is checked too.

        Raises:
            FieldError: A field has another value, or is absent and had to be stated.
        """
        for name, allowed in {**COMMON_FIXED, **fixed}.items():
            self._asked.add(name)
            found, value = self._found(name)
            if not found and not isinstance(allowed, Stated):
                continue
            values = allowed.value if isinstance(allowed, Stated) else allowed
            values = values if isinstance(values, tuple) else (values,)
            if not found:
                raise FieldError(f"config.json: {name} is missing; it must be {_either(values)}")
            if not any(_same(value, each) for each in values):
                raise _error(name, value, f"only {_either(values)} is computed here")

    def unknown(self, unused: Collection[str]) -> tuple[str, ...]:
        """Returns the names of all fields that were neither asked for nor are known to be unused.

        Names that begin with an underscore are remarks of the software that wrote the file.

        Args:
            unused: Names of fields that do not change an embedding, beside `COMMON_UNUSED`; the
                name of an object stands for all its fields.
        """
        return tuple(_unknown(self._values, "", self._asked | set(COMMON_UNUSED) | set(unused)))

    def _found(self, name: str) -> tuple[bool, Any]:
        return _looked_up(self._values, name)

    def _value(self, names: tuple[str, ...], absent: Any) -> tuple[str, Any]:
        """Returns the spelling that is there, and its value."""
        self._asked.update(names)
        there = [(name, self._found(name)[1]) for name in names if self._found(name)[0]]
        for name, value in there[1:]:
            if not _same(value, there[0][1]):
                raise _error(name, value, f"{there[0][0]} is {_shown(there[0][1])}; keep one")
        if there:
            return there[0]
        if absent is not None:
            return names[0], absent
        for name in names:
            found, value = _looked_up(self._otherwise, name)
            if found:
                return name, value
        raise FieldError(f"config.json: {names[0]} is missing; add it")


def _looked_up(values: Mapping[str, Any], name: str) -> tuple[bool, Any]:
    """Returns whether a field of a dotted name is there, and its value."""
    value: Any = values
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return False, None
        value = value[part]
    return True, value


WAY_OUT = (
    "embeddings that the model's own code computes are a model of a run too, as NAME=embeddings:DIR"
)
_ROPE_FIELDS = {"rope_theta", "rope_type", "type", "partial_rotary_factor"}
_LENGTH = "original_max_position_embeddings"  # in tokens, before positions were scaled


@dataclass(frozen=True)
class Rotary:
    """How rotary positions turn the pairs of a head.

    Attributes:
        base: Base of the frequencies.
        share: The share of a head, from its front, whose elements turn.
        factor: What frequencies are divided by; 1.0: they are not scaled.
        bands: Of Llama 3.1's scaling the trained length in tokens and the factors of low and high
            frequencies; None: it is another kind.
        ramp: Of YaRN's scaling the trained length in tokens, the turns within it from which on
            frequencies are kept and up to which they are divided, and whether the pairs at which
            that happens are rounded to whole numbers; None: it is another kind.
        scale: What cosines and sines are multiplied by.
        longest: The longest input in tokens that these positions are of; None: any.
    """

    base: float
    share: float = 1.0
    factor: float = 1.0
    bands: tuple[int, float, float] | None = None
    ramp: tuple[int, float, float, bool] | None = None
    scale: float = 1.0
    longest: int | None = None


def _linear(fields: Fields, group: str) -> dict[str, Any]:
    return {"factor": fields.number(f"{group}.factor", most=1e6)}


def _dynamic(fields: Fields, group: str) -> dict[str, Any]:
    """Of inputs up to `max_position_embeddings` positions are not scaled, and longer ones are cut.

    Beyond, the original's base grows with the longest input of a batch: an embedding would depend
    on the records beside it.
    """
    fields.number(f"{group}.factor", most=1e6)  # which changes nothing up to there
    return {"longest": fields.count("max_position_embeddings", most=ROWS)}


def _llama3(fields: Fields, group: str) -> dict[str, Any]:
    low = fields.number(f"{group}.low_freq_factor", most=1e6)
    high = fields.number(f"{group}.high_freq_factor", most=1e6)
    if high <= low:
        raise fields.refuse(
            f"{group}.high_freq_factor", f"it must be above low_freq_factor, {low:g}"
        )
    return {**_linear(fields, group), "bands": (_trained_length(fields, group), low, high)}


def _yarn(fields: Fields, group: str) -> dict[str, Any]:
    """Peng et al. 2023, as transformers' modeling_rope_utils.py computes it."""

    def number(name: str, absent: float) -> float:
        """Returns a number of the group; null and 0 mean that it is not stated."""
        stated = f"{group}.{name}"
        if fields.unset(stated) or fields.number(stated, above=-1.0, most=1e6) == 0:
            return absent
        return fields.number(stated, most=1e6)

    factor = fields.number(f"{group}.factor", most=1e6)
    if factor < 1:
        raise fields.refuse(f"{group}.factor", "it must be 1 or above")
    fast, slow = number("beta_fast", 32.0), number("beta_slow", 1.0)
    if fast <= slow:
        raise fields.refuse(f"{group}.beta_fast", f"it must be above beta_slow, {slow:g}")
    above, below = number("mscale", 0.0), number("mscale_all_dim", 0.0)
    scale = 1.0 + 0.1 * math.log(factor)
    if above and below:
        scale = (1.0 + 0.1 * above * math.log(factor)) / (1.0 + 0.1 * below * math.log(factor))
    if not fields.unset(f"{group}.attention_factor"):
        scale = fields.number(f"{group}.attention_factor", most=1e6)
    truncate = fields.flag(f"{group}.truncate", absent=True)
    length = _trained_length(fields, group)
    return {"factor": factor, "ramp": (length, fast, slow, truncate), "scale": scale}


def _trained_length(fields: Fields, group: str) -> int:
    names = (_LENGTH, f"{group}.{_LENGTH}")
    there = [name for name in names if fields.has(name)] or ["max_position_embeddings"]
    return fields.count(*there, most=ROWS)


class _Scaling(NamedTuple):
    """A kind of scaled rotary positions: the fields that it adds, and what of `Rotary` they say."""

    names: Collection[str]
    read: Callable[[Fields, str], dict[str, Any]]


# Those that are computed.
_SCALINGS: Mapping[str, _Scaling] = {
    "default": _Scaling((), lambda fields, group: {}),
    "linear": _Scaling(("factor",), _linear),
    "dynamic": _Scaling(("factor",), _dynamic),
    "llama3": _Scaling(("factor", "low_freq_factor", "high_freq_factor", _LENGTH), _llama3),
    "yarn": _Scaling(
        ("factor", "attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim",
         "truncate", _LENGTH),
        _yarn,
    ),
}  # fmt: skip


def rotary(
    fields: Fields,
    absent: float = 10000.0,
    *,
    share: float | None = None,
    scalings: Iterable[str] = tuple(_SCALINGS),
    groups: Iterable[str] = ("rope_parameters", "rope_scaling"),
) -> Rotary:
    """Returns the rotary positions of a config.json as transformers 4 and 5 spell them.

    Version 4 has `rope_theta` and, where positions are scaled, `rope_scaling` with `type` or
    `rope_type`; version 5 has all of it in `rope_parameters`. GPT-NeoX calls the base
    `rotary_emb_base` and the share of a head that turns `rotary_pct`.

    Args:
        fields: The fields of config.json.
        absent: The base where none is stated.
        share: The share of a head that turns where none is stated; None: only whole heads are
            computed.
        scalings: The kinds of scaling that are computed.
        groups: The objects that may state the positions, each whole.

    Raises:
        FieldError: A number is out of its range or stated twice with two values, or positions are
            scaled in another way, turn a part of a head, or differ by layer.
    """
    prefixes, scaled = [""], []
    for group in groups:
        if fields.unset(group):
            continue
        stated = fields.object(group)
        kinds = (f"{group}.rope_type", f"{group}.type")
        known = tuple(scalings)
        are = "is" if len(known) == 1 else "are"
        mend = f"it is not known here, where {', '.join(known)} {are}; {WAY_OUT}"
        kind = fields.choice(*kinds, among=known, absent="default", mend=mend)
        if strange := sorted(set(stated) - _ROPE_FIELDS - set(_SCALINGS[kind].names)):
            raise fields.refuse(f"{group}.{strange[0]}", "it is not computed here")
        prefixes.append(f"{group}.")
        if kind != "default":
            scaled.append((group, _SCALINGS[kind].read(fields, group)))
    if any(scaling != scaled[0][1] for _, scaling in scaled):
        raise fields.refuse(scaled[1][0], f"{scaled[0][0]} states another scaling; keep one")
    scaling = scaled[0][1] if scaled else {}
    partial = [f"{prefix}partial_rotary_factor" for prefix in prefixes]
    if share is None:
        fields.check(dict.fromkeys(partial, (1.0, None)))
        return _checked(Rotary(_base(fields, prefixes, absent), **scaling))
    partial = ["rotary_pct", *(name for name in partial if not fields.unset(name))]
    base = _base(fields, [*prefixes, None], absent)
    return _checked(Rotary(base, fields.number(*partial, absent=share), **scaling))


def _checked(found: Rotary) -> Rotary:
    """Returns rotary positions; raises FieldError where YaRN's number of a pair is not defined."""
    if found.ramp and found.base == 1.0:
        raise FieldError("config.json: rope_theta is 1: YaRN takes another base; correct it")
    return found


def _base(fields: Fields, prefixes: Iterable[str | None], absent: float) -> float:
    """Returns the base of rotary positions; None among the prefixes is GPT-NeoX's name of it."""
    names = ["rotary_emb_base" if prefix is None else f"{prefix}rope_theta" for prefix in prefixes]
    there = [name for name in names if fields.has(name)]
    stated = [name for name in there if not fields.is_null(name)]
    return fields.number(*(stated or there or names), most=1e12, absent=absent)


@overload
def rotary_base(fields: Fields, absent: float) -> float: ...
@overload
def rotary_base(fields: Fields, absent: None) -> float | None: ...
def rotary_base(fields: Fields, absent: float | None) -> float | None:
    """Returns the base of rotary positions that are not scaled and turn whole heads.

    Args:
        fields: The fields of config.json.
        absent: The base where none is stated; None: without one, positions are not rotary.

    Raises:
        FieldError: See `rotary`; positions that are scaled in any way are refused.
    """
    found = rotary(fields, 1.0 if absent is None else absent, scalings=("default",))
    groups = ("", "rope_parameters.", "rope_scaling.")
    if absent is None and not any(fields.has(f"{group}rope_theta") for group in groups):
        return None
    return found.base


def check_rotary_width(width: int) -> None:
    """Checks that the elements of a head make pairs, which rotary positions turn.

    Raises:
        FieldError: The width is odd.
    """
    if width % 2:
        raise FieldError(f"config.json: heads are {width} wide; rotary positions take pairs")


def unknown_text(names: Collection[str]) -> str:
    """Returns what to say of fields that a port does not know, in one line."""
    shown = ", ".join(_cut(name) for name in list(names)[:_NAMED])
    if len(names) > _NAMED:
        shown += f" and {len(names) - _NAMED} more"
    return (
        f"config.json has fields that this port does not know: {shown}; "
        "embeddings are wrong if they change the computation"
    )


def _is_count(value: Any, least: int, most: int) -> bool:
    """Tells whether a value is a whole number in a range: of JSON's numbers, no true and no NaN."""
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return whole and not isinstance(value, bool) and least <= value <= most


def _same(a: Any, b: Any) -> bool:
    """Tells whether two values are equal, true and false being no numbers."""
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def _unknown(values: Mapping[str, Any], path: str, known: set[str]) -> Iterable[str]:
    for name, value in values.items():
        full = path + name
        if "." in name:  # such a name would pass for the field of an object
            yield full
        elif isinstance(value, Mapping) and any(each.startswith(f"{full}.") for each in known):
            yield from _unknown(value, f"{full}.", known)
        elif full not in known and not name.startswith("_"):
            yield full


def _error(name: str, value: Any, mend: str) -> FieldError:
    return FieldError(f"config.json: {_cut(name)} is {_shown(value)}; {mend}")


def _either(values: Iterable[Any]) -> str:
    values = list(values)
    more = [f"one of {len(values) - _NAMED} more"] if len(values) > _NAMED else []
    return " or ".join([*map(_shown, values[:_NAMED]), *more])


def _shown(value: Any) -> str:
    """The value as JSON writes it, in one line of ASCII."""
    return _cut(json.dumps(value))


def _cut(text: str) -> str:
    text = ascii(text)[1:-1] if not text.isprintable() else text
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
