"""What an audit found of a task, and the verdict that follows from it."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from geneb_jax.audit import rules, shortcuts
from geneb_jax.audit.rules import Rule
from geneb_jax.config import AuditSettings

# Goes up with every change of what an audit finds: kept audits of older code are not taken.
NUMERICS = 1
# What each rule and shortcut says, or is, in words.
MEANINGS: Mapping[str, str] = {**rules.MEANINGS, **shortcuts.MEANINGS}
_DEFAULTS = AuditSettings()

# What a test record is, in the order in which one of them is said.
CLEAN, COPY, TWIN, NEAR_COPY = range(4)
MARKS = ("clean", "copy", "twin", "near copy")


@dataclass(frozen=True)
class TaskAudit:
    """What was found of a task.

    Attributes:
        task: The task's id.
        category: Its category.
        counts: Numbers by the columns of audit.csv; NaN: there is nothing to count.
        rules: No-model rules and shortcuts.
        marks: What each test record is, a number of `MARKS`, int8 [M].
        labels: `label_digest` of the test records, by which predictions are known to be of these.
    """

    task: str
    category: str
    counts: Mapping[str, float]
    rules: Sequence[Rule]
    marks: np.ndarray
    labels: str

    def seen(self) -> list[Rule]:
        """Returns the rules and shortcuts that a model could take.

        A record's position in its file is none of them: a model does not see it.
        """
        return [rule for rule in self.rules if rule.name not in shortcuts.UNSEEN]

    def chosen(self) -> Rule:
        """Returns the one of `seen` that does best on train records that it did not see."""
        return max(self.seen(), key=lambda rule: rule.train_MCC)


class Verdict(NamedTuple):
    """What is to be thought of a task.

    Attributes:
        word: 'leaky', 'caution' or 'passed'.
        reasons: Why, and that the chosen rule fails on test, if it does: whole sentences, each of
            one fact.
    """

    word: str
    reasons: Sequence[str]


def label_digest(labels: np.ndarray) -> str:
    """Returns a digest of labels in their order, int64 [M]."""
    return hashlib.blake2b(labels.astype("<i8").tobytes(), digest_size=16).hexdigest()


def verdict(audit: TaskAudit, median: float | None, settings: AuditSettings = _DEFAULTS) -> Verdict:
    """Returns what is to be thought of a task.

    Args:
        audit: What was found.
        median: Median MCC of the published models on the task at full shot; 0 and below: there is
            nothing that a rule could reach; None: it is not known, and no more than 1.
        settings: From where on it is leaky; from half of that on, caution is due.
    """
    counts, best = audit.counts, audit.chosen()
    found = counts["copies"] + counts["near"]
    share = found / counts["n_test"] / settings.leaky_copies
    highest = 1.0 if median is None else median
    reached = best.MCC / (settings.leaky_median * highest) if highest > 0 else 0.0
    worst = max(share, reached)
    word = "leaky" if worst >= 1 else "caution" if worst >= 0.5 else "passed"
    reasons = []
    if share >= 0.5:
        kinds = " or ".join(
            f"{what} ({counts[name]:,})" if found > counts[name] else what
            for name, what in (("copies", "copies"), ("near", "near copies"))
            if counts[name]
        )
        reasons.append(
            f"{found:,} of {counts['n_test']:,} test records are {kinds} of train records."
        )
    if reached >= 0.5:
        reasons += [*_reached(best), *_elsewhere(best), _compared(median)]
    elif not reasons and median is None:
        reasons.append("There are no published scores of the task to compare a rule with.")
    if _fails_on_test(best, counts["n_test"]):
        reasons += [*([] if reached >= 0.5 else _reached(best)), *_failure(audit, best)]
    return Verdict(word, reasons)


def _reached(rule: Rule) -> list[str]:
    """Says what a rule reaches on the test records, and how many of them it answers."""
    said = (
        f"Without a model, '{rule.name}' ({MEANINGS[rule.name]}) reaches an MCC of {rule.MCC:.3f} "
        "on the test records."
    )
    if rule.coverage == 1:
        return [said]
    return [said, f"It answers {rule.coverage:.0%} of them; all others are given one class."]


def _compared(median: float | None) -> str:
    """Says what the MCC of a rule is compared with."""
    if median is None:
        return "The task has no published scores, so this is compared with 1, a perfect MCC."
    return f"The median of the published models is {median:.3f}."


def _elsewhere(rule: Rule) -> list[str]:
    """Says how good the answers of a rule are, where its MCC depends on what it does not answer."""
    if rule.highest_MCC - rule.lowest_MCC <= 0.2:
        return []
    return [
        f"Depending on that class, its MCC lies between {rule.lowest_MCC:.2f} and "
        f"{rule.highest_MCC:.2f}.",
        f"{rule.accuracy:.0%} of its answers are right.",
    ]


def _fails_on_test(rule: Rule, n_test: float) -> bool:
    """Says whether a rule has less than half of its train MCC on test, and that not by chance.

    Without a relation n MCC^2 is about chi-squared with one degree of freedom, so that MCC has a
    standard error of 1 / sqrt(n); a difference counts from three of them on.
    """
    lost = rule.train_MCC - rule.MCC
    return lost > max(rule.train_MCC / 2, 3 / np.sqrt(n_test))


def _failure(audit: TaskAudit, best: Rule) -> list[str]:
    """Says that the chosen rule fails on test, and which of the others does not."""
    said = [
        f"On train records '{best.name}' reaches {best.train_MCC:.3f}, the most of all rules; on "
        "test it fails.",
        "Train and test differ in what it reads.",
    ]
    n_test = audit.counts["n_test"]
    holding = [rule for rule in audit.seen() if not _fails_on_test(rule, n_test)]
    if not holding:
        return said
    held = max(holding, key=lambda rule: rule.train_MCC)
    best_held = (
        f"Of the rules that do not fail, '{held.name}' is the best on train: "
        f"{held.train_MCC:.3f} there, {held.MCC:.3f} on test."
    )
    return [*said, best_held]


def audit_row(
    audit: TaskAudit, median: float | None, settings: AuditSettings = _DEFAULTS
) -> dict[str, Any]:
    """Returns a row of audit.csv; see `verdict` for the arguments."""
    best, found = audit.chosen(), verdict(audit, median, settings)
    return {
        "task": audit.task,
        "category": audit.category,
        **audit.counts,
        "clean": int((audit.marks == CLEAN).sum()),
        "best_rule": best.name,
        "best_rule_train_MCC": best.train_MCC,
        "best_rule_MCC": best.MCC,
        "best_rule_coverage": best.coverage,
        "best_rule_accuracy": best.accuracy,
        "published_median": float("nan") if median is None else median,
        "verdict": found.word,
        "reasons": " ".join(found.reasons),
    }


def rule_rows(audit: TaskAudit) -> list[dict[str, Any]]:
    """Returns the rows of rules.csv: what each rule and shortcut does, and which was chosen."""
    best = audit.chosen()
    return [
        {"task": audit.task, **dataclasses.asdict(rule), "chosen": rule is best}
        for rule in audit.rules
    ]
