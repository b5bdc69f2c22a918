"""The names of a checkpoint's tensors, in the spellings that files have and in the family's."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from model_ports.contract.weights import Ignored, Weight
from model_ports.loading.tensors import CheckpointError

# What training for a task puts on a model, by the name of the module: none of it is part of a
# hidden state. Those that the authors published are `Ignored` by their family, and not spoken of.
HEADS = frozenset({
    "classification_head", "classifier", "cls", "contact_head", "head", "heads", "lm_head",
    "logits_proj", "mc_head", "mlm_head", "multiple_choice_head", "output_head", "pooler",
    "predictions", "qa_outputs", "regression_head", "regressor", "score", "sequence_summary",
    "span_classifier", "summary", "to_tracks", "v_head", "value_head",
})  # fmt: skip

# The names that TensorFlow's layer norm gave to weight and bias; old BERT files have them.
_NORM_ENDINGS = {"gamma": "weight", "beta": "bias"}
_NORM = re.compile(r"(.*norm.*|ln|ln_.*|.*_ln)", re.IGNORECASE)

_SHOWN = 6  # names in a line


@dataclass(frozen=True)
class Names:
    """The tensors of a checkpoint by the names that their family's rules have.

    Attributes:
        needed: Name in the file by the rules' name, of tensors that a `Weight` may take.
        equal: Pairs of names in the file, of tensors that must be equal.
        heads: Names in the file, of heads that the family does not know, or of all heads.
        unknown: Names in the file, of all others that no `Ignored` matches.
        notes: Lines for people: what was renamed, and which heads are left out.
    """

    needed: Mapping[str, str]
    equal: Sequence[tuple[str, str]]
    heads: Sequence[str]
    unknown: Sequence[str]
    notes: Sequence[str]


def weight_pattern(source: str) -> str:
    """Returns the regular expression of a rule's tensor names, with a group for each number.

    A number has ASCII digits without leading zeros, at most nine: no two names have one number.
    """
    return re.escape(source).replace(r"\{\}", "(0|[1-9][0-9]{0,8})")


def read_names(
    rules: Iterable[Weight | Ignored], names: Iterable[str], *, every_head: bool = False
) -> Names:
    """Finds the rules' names of a checkpoint's tensors.

    A name may have one more prefix than in the rules, such as `module.` (the one that makes most
    names known counts, for the whole file), may lack the base model's (`esm.`, as the base model
    saves itself), and may call scale and shift of a norm gamma and beta.

    Args:
        rules: The family's table.
        names: The names of the tensors in the file.
        every_head: Whether heads that the family knows are said to be left out too, as of a model
            that its authors did not publish.

    Raises:
        CheckpointError: Two tensors have one name in the rules' spelling, or there are tensors of
            an adapter, whose base weights alone are other weights.
    """
    names = list(names)
    if adapted := [name for name in names if re.search(r"(^|\.)(lora_|base_layer\.)", name)]:
        raise CheckpointError(
            f"tensor '{adapted[0]}' is of a PEFT adapter: merge it first "
            "(`model.merge_and_unload().save_pretrained(...)`)"
        )
    rules = list(rules)
    sources = [rule.source for rule in rules if isinstance(rule, Weight)]
    known = re.compile("|".join(map(weight_pattern, sources)))
    ignored = [rule for rule in rules if isinstance(rule, Ignored)]
    base = _base(sources)
    wrapper = _wrapper(names, known, base)
    needed: dict[str, str] = {}
    second: dict[str, str] = {}  # the rules' name, by a second name in the file
    heads, unknown = [], []
    for name in names:
        spellings = list(_spellings(name.removeprefix(wrapper), base))
        found = next(filter(known.fullmatch, spellings), None)
        if found in needed:
            raise CheckpointError(
                f"tensors '{needed[found]}' and '{name}' are both '{found}'; keep one of them"
            )
        if found is not None:
            needed[found] = name
        elif (same := _same_as(ignored, spellings)) is not None:
            second |= {name: same} if known.fullmatch(same) else {}
            if every_head and not same and _is_head(name.removeprefix(wrapper), base):
                heads.append(name)
        elif _is_head(name.removeprefix(wrapper), base):
            heads.append(name)
        else:
            unknown.append(name)
    for name, found in second.items():
        needed.setdefault(found, name)
    equal = [(needed[found], name) for name, found in second.items() if needed[found] != name]
    return Names(needed, equal, heads, unknown, [*_renamed(needed, base), *_left_out(heads)])


def _base(sources: Sequence[str]) -> list[str]:
    """Returns the components that all names of the rules begin with, such as ['model']."""
    base = []
    for parts in zip(*(source.split(".")[:-1] for source in sources), strict=False):
        if len(set(parts)) > 1 or "{}" in parts[0]:
            break
        base.append(parts[0])
    return base


def _wrapper(names: Sequence[str], known: re.Pattern[str], base: Sequence[str]) -> str:
    """Returns the prefix without which most names are known; '' where it takes none."""
    counts: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        for i in range(len(parts)):
            if any(map(known.fullmatch, _spellings(".".join(parts[i:]), base))):
                counts["".join(f"{part}." for part in parts[:i])] += 1
    return min(counts, key=lambda prefix: (-counts[prefix], len(prefix), prefix), default="")


def _spellings(name: str, base: Sequence[str]) -> Iterator[str]:
    """Yields a name and what it may stand for, the likeliest first."""
    module, _, ending = name.rpartition(".")
    if ending in _NORM_ENDINGS and _NORM.fullmatch(module.rpartition(".")[2]):
        name = f"{module}.{_NORM_ENDINGS[ending]}"
    for i in range(len(base) + 1):
        yield ".".join([*base[:i], name])


def _same_as(ignored: Sequence[Ignored], spellings: Sequence[str]) -> str | None:
    """Returns the tensor that an ignored one equals, '' where it is none, None if not ignored."""
    for spelling, rule in itertools.product(spellings, ignored):
        if match := re.fullmatch(rule.pattern, spelling):
            return match.expand(rule.same) if rule.same else ""
    return None


def _is_head(name: str, base: Sequence[str]) -> bool:
    parts = name.split(".")
    while parts[0] in base and len(parts) > 1:
        parts = parts[1:]
    return parts[0] in HEADS


def _renamed(needed: Mapping[str, str], base: Sequence[str]) -> list[str]:
    """Says which prefixes were read otherwise; spellings that transformers writes are no news."""
    changes: dict[str, tuple[str, str]] = {}
    count = 0
    for new, old in needed.items():
        if new in _spellings(old, base):
            continue
        count += 1
        (*old_parts, old_ending), (*new_parts, new_ending) = old.split("."), new.split(".")
        if old_ending != new_ending:
            changes.setdefault(f"'{old_ending}' is read as '{new_ending}'", (old, new))
        while old_parts and new_parts and old_parts[-1] == new_parts[-1]:
            del old_parts[-1], new_parts[-1]
        before, after = ("".join(f"{part}." for part in parts) for parts in (old_parts, new_parts))
        if before != after:
            words = f"the prefix '{before}' is " + (f"read as '{after}'" if after else "left out")
            words = words if before else f"the prefix '{after}' is added"
            changes.setdefault(words, (old, new))
    if not count:
        return []
    old, new = next(iter(changes.values()))
    return [f"{count} tensors are renamed ('{old}' to '{new}'): {'; '.join(sorted(changes))}"]


def _left_out(heads: Sequence[str]) -> list[str]:
    if not heads:
        return []
    more = f" and {len(heads) - _SHOWN} more" if len(heads) > _SHOWN else ""
    return [f"heads are left out, no hidden state needs them: {', '.join(heads[:_SHOWN])}{more}"]
