"""The audit of a task: copies, twins, near copies, and what answers it without a model."""

import numpy as np

from geneb_jax.audit.copies import (
    conflicts,
    copy_groups,
    copy_votes,
    duplicates,
    pair_agreement,
    twin_groups,
    twin_votes,
)
from geneb_jax.audit.findings import CLEAN, COPY, NEAR_COPY, TWIN, TaskAudit, label_digest
from geneb_jax.audit.near import nearest
from geneb_jax.audit.records import encode
from geneb_jax.audit.rules import NOT_COVERED, Said, judge, said_by_votes
from geneb_jax.audit.shortcut_probes import judge_shortcut
from geneb_jax.audit.shortcuts import SHORTCUTS, Side
from geneb_jax.tasks.task import Task

NEAR = 0.5  # share of 11-mers from which a near copy counts
SHARES = (0.8, NEAR, 0.2)
_SPOKEN_FROM = 0.2  # share from which the rule 'nearest' covers a record
_SAMPLE = 4096  # train records of which the nearest other one is looked for
_SEED = 0


def audit_task(task: Task) -> TaskAudit:
    """Finds what of a task can be answered without a model.

    Rules and shortcuts are fitted and chosen on train; scores alone read the labels of test.
    """
    labels, numbers = np.unique(
        np.concatenate([task.train.labels, task.test.labels]), return_inverse=True
    )
    of, cut = len(labels), len(task.train.labels)
    train_classes, test_classes = numbers[:cut], numbers[cut:]
    train, test = encode(task.train.sequences), encode(task.test.sequences)
    copies = copy_groups(task, train, test)
    twins = twin_groups(train, test)
    by_copies = copy_votes(copies, train_classes, of)
    by_twins = twin_votes(twins, copies, train_classes, of)
    sample = _sample(cut)
    # The records of the sample are asked beside those of test: train is gone through once.
    asked = encode([*task.test.sequences, *(task.train.sequences[int(row)] for row in sample)])
    near, of_sample = nearest(
        asked, train, _SPOKEN_FROM, np.append(np.full(len(test), -1), sample)
    ).split(len(test))
    copied, twin = by_copies.test.any(axis=1), by_twins.test.any(axis=1)
    own = by_copies.test[np.arange(len(test)), test_classes]
    of_others = by_copies.test.sum(axis=1) - own
    agreeing, pairs = pair_agreement(by_twins.test, test_classes)
    agreeing_train, pairs_train = pair_agreement(by_twins.train, train_classes)
    close = near.near(NEAR) & ~copied
    counts = {
        "n_train": len(train),
        "n_test": len(test),
        "copies": int(copied.sum()),
        "copies_same_label": int((own > 0).sum()),
        "copies_other_label": int((of_others > 0).sum()),
        "duplicates_train": duplicates(copies.train),
        "duplicates_test": duplicates(copies.test),
        "conflicts_train": conflicts(copies.train, train_classes),
        "twins": int(twin.sum()),
        "twin_agreement": agreeing / pairs if pairs else float("nan"),
        "twin_pairs_train": pairs_train // 2,
        "twin_agreement_train": agreeing_train / pairs_train if pairs_train else float("nan"),
        **{
            f"near_{round(100 * share)}": int(((near.share >= share) & ~copied).sum())
            for share in SHARES
        },
        "near_edits": int((near.edited & ~copied).sum()),
        "near": int(close.sum()),
        "no_11mer": int(near.empty.sum()),
    }
    marks = np.select([copied, twin, close], [COPY, TWIN, NEAR_COPY], CLEAN).astype(np.int8)
    by_nearest = Said(
        *(
            np.where(each.near(_SPOKEN_FROM), train_classes[each.row], NOT_COVERED)
            for each in (of_sample, near)
        )
    )
    judged = [
        judge(name, said, train_classes, test_classes, of)
        for name, said in said_by_votes(by_copies, by_twins).items()
    ]
    judged.append(judge("nearest", by_nearest, train_classes[sample], test_classes, of))
    digest = label_digest(task.test.labels)
    sides = Side(task.train.sequences, train), Side(task.test.sequences, test)
    judged += [
        judge_shortcut(name, features(*sides), train_classes, test_classes)
        for name, features in SHORTCUTS.items()
    ]
    return TaskAudit(task.info.id, task.info.category, counts, judged, marks, digest)


def _sample(rows: int) -> np.ndarray:
    """Returns the numbers of some train records, in rising order: all, or a fixed sample."""
    if rows <= _SAMPLE:
        return np.arange(rows)
    return np.sort(np.random.default_rng(_SEED).choice(rows, _SAMPLE, replace=False))
