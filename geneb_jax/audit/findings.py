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
        word: 'leaky', 'caution' or 'clean'.
        reasons: Why, a sentence each, and that the chosen rule fails on test, if it does.
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
    word = "leaky" if worst >= 1 else "caution" if worst >= 0.5 else "clean"
    reasons = []
    if share >= 0.5:
        kinds = " or ".join(
            f"{what} ({counts[name]:,})" if found > counts[name] else what
            for name, what in (("copies", "copies"), ("near", "near copies"))
            if counts[name]
        )
        reasons.append(
            f"{found:,} of {counts['n_test']:,} test records are {kinds} of train records"
        )
    if reached >= 0.5:
        covers = f" and covers {best.coverage:.0%} of the test records" if best.coverage < 1 else ""
        beside = (
            "there are no published scores of the task beside it, and none is above 1"
            if median is None
            else f"the median of the published models is {median:.3f}"
        )
        reasons.append(
            f"'{best.name}', {MEANINGS[best.name]}, gives MCC {best.MCC:.3f}{covers}; {beside}"
        )
        if best.highest_MCC - best.lowest_MCC > 0.2:
            reasons.append(
                f"of those that it covers {best.accuracy:.0%} are right, and by what is said of "
                f"the others its MCC is {best.lowest_MCC:.2f} to {best.highest_MCC:.2f}"
            )
    if not reasons and median is None:
        reasons.append("no published scores of the task say what a rule would have to reach")
    if _fails_on_test(best, counts["n_test"]):
        reasons.append(_failure(audit, best))
    return Verdict(word, reasons)


def _fails_on_test(rule: Rule, n_test: float) -> bool:
    """Says whether a rule has less than half of its train MCC on test, and that not by chance.

    Without a relation n MCC^2 is about chi-squared with one degree of freedom, so that MCC has a
    standard error of 1 / sqrt(n); a difference counts from three of them on.
    """
    lost = rule.train_MCC - rule.MCC
    return lost > max(rule.train_MCC / 2, 3 / np.sqrt(n_test))


def _failure(audit: TaskAudit, best: Rule) -> str:
    """Returns in words that the chosen rule fails on test, and which of the others does not."""
    covered = f", of which it covers {best.coverage:.0%}" if best.coverage < 1 else ""
    said = (
        f"'{best.name}', {MEANINGS[best.name]}, is chosen for its MCC of {best.train_MCC:.3f} on "
        f"train records and fails on the test records{covered}: {best.MCC:.3f}; train and test "
        "differ in what it reads"
    )
    n_test = audit.counts["n_test"]
    holding = [rule for rule in audit.seen() if not _fails_on_test(rule, n_test)]
    if not holding:
        return said
    held = max(holding, key=lambda rule: rule.train_MCC)
    return (
        f"{said} (of the rules that hold, '{held.name}' is the best on train: "
        f"{held.train_MCC:.3f} there, {held.MCC:.3f} on test)"
    )


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
        "reasons": "; ".join(found.reasons),
    }


def rule_rows(audit: TaskAudit) -> list[dict[str, Any]]:
    """Returns the rows of rules.csv: what each rule and shortcut does, and which was chosen."""
    best = audit.chosen()
    return [
        {"task": audit.task, **dataclasses.asdict(rule), "chosen": rule is best}
        for rule in audit.rules
    ]
