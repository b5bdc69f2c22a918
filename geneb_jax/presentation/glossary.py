"""What the words of the report mean, a sentence or two each: one table for all of its pages."""

from collections.abc import Hashable, Iterable, Mapping
from typing import NamedTuple


class Word(NamedTuple):
    """A word of the report.

    Attributes:
        part: What it belongs to; the page lists the words by part.
        meaning: Whole sentences that are understood without the table they stand above.
    """

    part: str
    meaning: str


_SCORES, _ROWS, _UNSURE = "Metrics and averages", "Regimes and probes", "How sure a score is"
_MODELS, _TASKS, _HIDDEN = "Models", "Tasks", "What scores hide"
_STATEMENTS, _IN_STATEMENTS = "The paper's statements", "Words of these statements"
# By what the page writes above a column, beside a choice or in a sentence.
GLOSSARY: Mapping[str, Word] = {
    "MCC": Word(
        _SCORES,
        "Matthews correlation coefficient between predicted and true classes of the test rows, "
        "from −1 to 1: 1 is perfect, 0 is guessing.",
    ),
    "accuracy": Word(_SCORES, "Share of test rows whose class is predicted, from 0 to 1."),
    "macro F1": Word(
        _SCORES,
        "Mean over classes of F1, the harmonic mean of precision and recall, from 0 to 1.",
    ),
    "balanced accuracy": Word(
        _SCORES, "Mean over classes of the share of its test rows that are found, from 0 to 1."
    ),
    "AUROC": Word(
        _SCORES,
        "Area under the ROC curve: the probability that a row of the second class gets a higher "
        "decision value than one of the first; 0.5 is guessing. Tasks of two classes alone.",
    ),
    "AUPRC": Word(
        _SCORES,
        "Average precision, from 0 to 1; guessing gives the share of the second class. Tasks of "
        "two classes alone.",
    ),
    "macro": Word(
        _SCORES,
        "Mean of the category means, so that each category counts alike however many tasks it has.",
    ),
    "micro": Word(_SCORES, "Mean over all tasks, so that categories of many tasks count more."),
    "macro full, published": Word(
        _SCORES,
        "In tables/leaderboard.csv, of each average: the same of the authors' published scores, "
        "over the same tasks. Of fewer than all 100 it is not what the paper prints.",
    ),
    "macro full - published": Word(
        _SCORES,
        "In tables/leaderboard.csv, of each average: these scores minus the published ones, over "
        "the same tasks.",
    ),
    "score": Word(
        _SCORES,
        "The chosen average (macro, micro or a category) of the chosen metric in the chosen "
        "regime; the bar shows it, and the line in the bar its interval where that is known.",
    ),
    "rank": Word(
        _SCORES,
        "Place by score, 1 the best, among the models that have all of the tasks; a model that "
        "lacks some has no rank.",
    ),
    "probe": Word(
        _ROWS,
        "The classifier that is fitted on a frozen model's embeddings: logistic regression with "
        "C = 1. The model itself is not trained.",
    ),
    "regime": Word(_ROWS, "How many train rows of each class a probe sees."),
    "full": Word(_ROWS, "The regime in which a probe sees all train rows."),
    "few-shot": Word(
        _ROWS,
        "The regimes 10-shot and 1-shot, in which a probe sees ten or one train rows of each "
        "class; the score is the mean over five draws of them.",
    ),
    "seed": Word(_ROWS, "The number that few-shot rows are drawn with; the protocol has five."),
    "SD over seeds": Word(
        _UNSURE,
        "Standard deviation of a model's score over the seeds, that is over few-shot draws; empty "
        "where all seeds give one score, as in full.",
    ),
    "95 % interval": Word(
        _UNSURE,
        "Range that the macro score would be in, with 95 % confidence, had other tasks of each "
        "category been chosen, or what a column named question says.",
    ),
    "rank, 95 %": Word(
        _UNSURE,
        "Range that the rank would be in, with 95 % confidence, had the same come out otherwise; "
        "models of a run are compared among themselves.",
    ),
    "group": Word(
        _UNSURE,
        "Letters of models that cannot be told apart: two models share one where they differ by no "
        "more than chance explains, after Holm's correction for all pairs, and none where they do; "
        "a-d is a, b, c and d.",
    ),
    "told apart": Word(
        _UNSURE,
        "Whether the difference of two models stands at 5 % after Holm's correction for all pairs "
        "that were compared.",
    ),
    "question": Word(
        _UNSURE,
        "What might have been other: the tasks of each category, the test records of each task, "
        "or the draws of few-shot rows (shots). Each asks for another interval.",
    ),
    "A - B": Word(
        _UNSURE,
        "Macro score of A minus that of B, of a custom task its MCC. A stands first in the first "
        "regime's leaderboard, on a custom task in that task's first regime, whatever question and "
        "regime are asked.",
    ),
    "difference": Word(_UNSURE, "Score of the first model minus that of the second."),
    "wins": Word(_UNSURE, "On how many of the tasks the first model scores higher."),
    "task": Word(
        _TASKS,
        "A classification problem with train and test records, under its name in the paper or that "
        "of its file.",
    ),
    "category": Word(_TASKS, "One of 13 biological groups of tasks, or 'custom': in no average."),
    "classes": Word(_TASKS, "How many labels the task tells apart."),
    "tasks": Word(_TASKS, "How many tasks the score is taken over."),
    "size": Word(_MODELS, "Number of parameters: K a thousand, M a million, B a billion."),
    "architecture": Word(
        _MODELS,
        "Kind of network, after the paper: T-enc and T-dec are Transformer encoders and decoders, "
        "SSM are state space models. A model of the run has the word of the paper's models whose "
        "code computes it.",
    ),
    "tokenization": Word(
        _MODELS, "How a sequence becomes tokens: single letters, k-mers, or pieces found by BPE."
    ),
    "pretraining": Word(_MODELS, "What genomes the model was pretrained on, after the paper."),
    "source": Word(_MODELS, "Where the scores come from: the paper's authors, or the run."),
    "weights' licence": Word(_MODELS, "What the authors allow to be done with the weights."),
    "others' median": Word(
        _MODELS, "Median over all other models of this page that have the same tasks."
    ),
    "above it": Word(_MODELS, "Score minus the others' median."),
    "verdict": Word(
        _HIDDEN,
        "What the audit says of a task: leaky, scores may come from copies or shortcuts; caution, "
        "look at the reasons; passed, nothing was found. Tasks that no audit saw have none.",
    ),
    "copies": Word(
        _HIDDEN, "Test records whose sequence, on either strand, is that of a train record."
    ),
    "twins": Word(
        _HIDDEN,
        "Test records, no copies, that have the length and the dinucleotide counts of a train "
        "record: one is a shuffle of the other.",
    ),
    "near": Word(
        _HIDDEN,
        "Near copies: test records, no copies, of which one train record holds half of the 11-mers "
        "or which are few edits away from one.",
    ),
    "clean": Word(_HIDDEN, "Test records that are no copies, no near copies and no twins."),
    "best rule": Word(
        _HIDDEN,
        "The rule or shortcut without a model, such as the record's length, that predicts best on "
        "train.",
    ),
    "its MCC, train": Word(
        _HIDDEN, "MCC of the best rule on train records that it did not see: what it is chosen by."
    ),
    "its MCC, test": Word(_HIDDEN, "MCC of the best rule on the test records."),
    "published median": Word(
        _HIDDEN, "Median full MCC of the paper's 40 models, on the published task."
    ),
    "reasons": Word(
        _HIDDEN, "Why the verdict is what it is, and where the best rule of train fails on test."
    ),
    "macro, clean": Word(_HIDDEN, "Macro MCC over clean test records alone."),
    "rank, clean": Word(_HIDDEN, "Rank by macro MCC over clean test records, 1 the best."),
    "left out": Word(_HIDDEN, "Tasks that have too few clean test records to be scored on them."),
    "floor": Word(
        _HIDDEN,
        "What reaches a score without pretraining: a rule, a shortcut, k-mers, or the same "
        "architecture with random weights.",
    ),
    "of": Word(_HIDDEN, "The model that an untrained floor is the control of."),
    "macro floor": Word(_HIDDEN, "Macro MCC of the best floor of each task."),
    "macro lift": Word(_HIDDEN, "Macro MCC of a model minus that of the best floor of each task."),
    "lift": Word(_HIDDEN, "MCC of a model minus that of the best floor of the task."),
    "strand": Word(
        _HIDDEN,
        "Whether a prediction stays where the record is given as its reverse complement; DNA is "
        "the same molecule read from either strand.",
    ),
    "statement": Word(
        _STATEMENTS,
        "What the paper says of its scores, as a number: a difference, a correlation or a count.",
    ),
    "statistic": Word(_STATEMENTS, "A number that the paper prints of its scores."),
    "paper": Word(_STATEMENTS, "The number as the paper prints it."),
    "computed": Word(_STATEMENTS, "The same number computed from the scores of this page."),
    "other tasks": Word(
        _STATEMENTS,
        "95 % interval of the number, had other tasks of each category been chosen.",
    ),
    "other models": Word(
        _STATEMENTS,
        "95 % interval of the number, had other models been evaluated; empty where the statement "
        "is of certain models.",
    ),
    "null": Word(
        _STATEMENTS,
        "The number that there would be if the statement did not hold: 0 of a difference, or the "
        "mean of what chance gives, as of the best of 40 models on random sets of tasks; empty of "
        "an estimate.",
    ),
    "by chance": Word(
        _STATEMENTS,
        "What the number exceeds one time in twenty by chance alone: on random sets of as many "
        "tasks, with shuffled labels of models, or with other tasks of the same regime; empty "
        "where nothing was picked or counted.",
    ),
    "without leaky tasks": Word(
        _STATEMENTS, "The number without the tasks that an audit found leaky."
    ),
    "its interval": Word(
        _STATEMENTS, "95 % interval over other tasks of the number without leaky tasks."
    ),
    "holds": Word(
        _STATEMENTS,
        "Whether the statement stands: its intervals lie beyond the null value, and the number "
        "beyond that by chance; or is gone: the number lies on the other side of the null value; "
        "or weak, in between. An estimate has no null value.",
    ),
    "holds without them": Word(
        _STATEMENTS,
        "The same of the number without leaky tasks, by its own intervals and null value; those "
        "that are not shown here are in tables/claims.csv.",
    ),
    "rho": Word(
        _IN_STATEMENTS,
        "Spearman's correlation of two orders, from −1 to 1: rho(size, macro) is 1 where the "
        "larger of any two models scores higher, and 0 where size does not tell.",
    ),
    "in-domain": Word(
        _IN_STATEMENTS,
        "All models but the four that the paper calls out of domain: Evo-1-131k, DNABERT-S, "
        "PlantCaduceus and Agro-NT-1B.",
    ),
    "small-beats-large": Word(
        _IN_STATEMENTS,
        "Pairs of models of which the one with at most a fifth of the other's parameters has the "
        "higher macro score.",
    ),
    "Holm": Word(
        _IN_STATEMENTS,
        "A correction of P values for the number of pairs that are compared: without it, one pair "
        "of twenty would differ by chance.",
    ),
    "high-variance": Word(
        _IN_STATEMENTS,
        "Tasks on which models differ most: the standard deviation of their scores is above 0.12.",
    ),
    "slots": Word(
        _IN_STATEMENTS,
        "Places among the three best (top-3) or the three worst (bottom-3) models of each "
        "high-variance task: how many of them models with a label have.",
    ),
    "T-enc": Word(_IN_STATEMENTS, "Transformers that see a record from both sides (encoders)."),
    "T-dec": Word(_IN_STATEMENTS, "Transformers that see what stands before a letter (decoders)."),
    "multi-species": Word(
        _IN_STATEMENTS, "Models that were pretrained on genomes of several species."
    ),
    "specialisation": Word(
        _IN_STATEMENTS,
        "A model's mean rank on tasks outside a category minus that inside: how many ranks better "
        "it is in the category than elsewhere.",
    ),
    "relative 10-shot drop": Word(
        _IN_STATEMENTS,
        "Share of the macro score in full that is lost where a probe sees ten rows of each class.",
    ),
    "C sweep": Word(
        _IN_STATEMENTS,
        "The same probes with other strengths of their penalty (C): how alike they order models.",
    ),
    "MLP": Word(
        _IN_STATEMENTS,
        "A multilayer perceptron: a small neural network in place of the linear probe.",
    ),
    "train": Word(_TASKS, "Train records of the task, as the run read them."),
    "test": Word(_TASKS, "Test records of the task, as the run read them."),
}


def words_by_part() -> dict[str, dict[str, str]]:
    """Returns the words of the glossary with their meanings, by part, as the page lists them."""
    parts: dict[str, dict[str, str]] = {}
    for name, word in GLOSSARY.items():
        parts.setdefault(word.part, {})[name] = word.meaning
    return parts


def words_in(statements: Iterable[str]) -> dict[str, str]:
    """Returns the meanings of the words that only the paper's statements have, where one has it."""
    texts = "\n".join(statements)
    return {
        name: word.meaning
        for name, word in GLOSSARY.items()
        if word.part == _IN_STATEMENTS and name in texts
    }


def meanings(columns: Iterable[Hashable]) -> dict[str, str]:
    """Returns the meanings of those of a table's columns that the glossary has, in their order."""
    return {name: GLOSSARY[name].meaning for name in map(str, columns) if name in GLOSSARY}
