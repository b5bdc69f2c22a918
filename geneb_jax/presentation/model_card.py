"""Cards of a model with its scores: of the Hugging Face hub, and of GENEB's repository.

A card of the hub is a README.md whose YAML front matter holds the scores as `model-index`, from
which the hub shows them on the model's page. GENEB's asks for the same facts without front matter.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pandas as pd
from huggingface_hub import EvalResult, ModelCardData

from geneb_jax.benchmark import GENEB
from geneb_jax.scoring.scores import macro_micro, protocol_rows, task_means

_PAPER = "https://arxiv.org/abs/2606.04525"
_TASK_TYPE = "text-classification"  # the hub's nearest name of a task for labels of sequences
_DECIMALS = 4  # as in a submission
_REGIME_NAMES = {"full": "full", "10shot": "10-shot", "1shot": "1-shot"}
# How the hub calls a metric (that of the library evaluate), and how it is shown.
_METRICS = {
    "MCC": ("matthews_correlation", "MCC"),
    "accuracy": ("accuracy", "Accuracy"),
    "macro_F1": ("f1", "macro F1"),
}
_TO_FILL = "*to be filled in*"


def eval_results(scores: pd.DataFrame) -> list[EvalResult]:
    """Returns the scores of a model as results of a model card on the Hugging Face hub.

    Args:
        scores: Rows of a scores table that are of one representation of one model.

    Returns:
        By regime the macro MCC, over the benchmark's tasks that the rows have, then by task and
        regime MCC, accuracy and macro F1, means over the seeds, rounded to 4 decimals. Rows of
        another protocol than GENEB's, and of custom tasks, are left out.
    """
    labels = {task.id: task.label for task in GENEB.tasks}
    rows = protocol_rows(scores)
    rows = rows[rows["task"].isin(list(labels)) & rows["regime"].isin(GENEB.regimes)]
    if rows.empty:
        return []
    found = [
        _result(f"macro mean of {row['tasks']} tasks", None, row["regime"], "MCC", row["macro"])
        for row in macro_micro(rows).to_dict("records")
    ]
    for row in task_means(rows).to_dict("records"):
        label = labels[row["task"]]
        found += [_result(label, label, row["regime"], name, row[name]) for name in _METRICS]
    return found


def _result(name: str, subset: str | None, regime: str, metric: str, value: float) -> EvalResult:
    kind, shown = _METRICS[metric]
    return EvalResult(
        task_type=_TASK_TYPE,
        task_name="DNA classification with a linear probe",
        dataset_type=GENEB.dataset_repo,
        dataset_name=f"GENEB {name}",
        dataset_config=subset,
        dataset_split="test",
        dataset_revision=GENEB.dataset_revision,
        metric_type=kind,
        metric_name=f"{shown}, {_REGIME_NAMES[regime]}",
        metric_value=round(float(value), _DECIMALS),
        metric_args={"regime": regime},
        source_name="geneb_jax",
        source_url=_PAPER,
    )


def model_index(name: str, scores: pd.DataFrame, known: Sequence[str] = ()) -> str:
    """Returns the scores as YAML of the field `model-index` alone; '': there are none.

    Args:
        name: The model's name in it.
        scores: See `eval_results`.
        known: What a reader must know of the model; stands above as comments.
    """
    results = eval_results(scores)
    if not results:
        return ""
    comments = "".join(f"# {' '.join(text.split())}\n" for text in known)
    return f"{comments}{ModelCardData(model_name=name, eval_results=results).to_yaml()}\n"


def front_matter(
    name: str, scores: pd.DataFrame, *, licence: str | None = None, repo: str | None = None
) -> str:
    """Returns the YAML front matter of a model card, with its two lines of dashes.

    Args:
        name: The model's name in `model-index`.
        scores: See `eval_results`.
        licence: The hub's name of the weights' licence; None: it is left to the writer.
        repo: The repository on the hub that holds the weights (ORG/NAME); None: none.
    """
    data = ModelCardData(
        model_name=name,
        license=licence,
        base_model=repo,
        tags=["biology", "dna", "genomics", "geneb"],
        datasets=[GENEB.dataset_repo],
        metrics=[kind for kind, _ in _METRICS.values()],
        eval_results=eval_results(scores) or None,
    )
    return f"---\n{data.to_yaml()}\n---\n"


def hub_card(front: str, title: str, body: str) -> str:
    """Returns a README.md for the Hugging Face hub.

    Args:
        front: See `front_matter`.
        title: The model's name, as a heading.
        body: See `card_body`.
    """
    return f"{front}\n# {title}\n\n{body}"


def card_body(
    facts: Mapping[str, str],
    meta: Mapping[str, Any],
    scores: pd.DataFrame,
    command: str,
    *,
    tasks: str,
    names: Mapping[str, str] = MappingProxyType({}),
    defects: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> str:
    """Returns the text of a model card, in the sections that GENEB's repository asks for.

    Args:
        facts: What is known of the model, by the words that stand before it.
        meta: `meta` of the model's submission.
        scores: See `eval_results`.
        command: The command that gives the scores again.
        tasks: Where the tasks are from, as a sentence.
        names: What words in capitals in the command stand for.
        defects: What a reader must know, by what it concerns.
    """
    known = {"Display name": meta["display"], "Parameters": f"{meta['params']:,}", **facts}
    return "\n".join(
        [
            *(f"- **{name}:** {value or _TO_FILL}" for name, value in known.items()),
            "",
            "## GENEB",
            "",
            f"[GENEB]({_PAPER}) is {len(GENEB.tasks)} DNA classification tasks in "
            f"{len(GENEB.categories)} categories. The model is frozen; a logistic regression on "
            "its embeddings is fitted with all training rows (full), or with ten or one of each "
            "class, for five seeds. Scores are Matthews correlation coefficients (MCC) on the test "
            "rows: 1 is perfect, 0 is guessing.",
            "",
            *_score_table(scores),
            "",
            tasks,
            "",
            "Computed with geneb_jax:",
            "",
            f"    {command}",
            "",
            *(f"- `{name}` is {meaning}." for name, meaning in names.items()),
            *([""] if names else []),
            *_defect_lines(defects),
            "## Training data",
            "",
            meta["training_data"] or _TO_FILL,
            "",
            "## Disclosure",
            "",
            f"- **Zero-shot relative to benchmark tasks:** {_zero_shot(meta)}",
            f"- **Known train/test overlap with benchmark data:** {_TO_FILL}",
            f"- **Harness version:** {GENEB.harness_version}, as geneb_jax computes it",
            f"- **Submitted by:** {meta['submitted_by'] or _TO_FILL}",
            "",
        ]
    )


def _defect_lines(defects: Mapping[str, Sequence[str]]) -> list[str]:
    return [
        line
        for title, texts in defects.items()
        for line in (f"## {title}", "", *(f"- {text}" for text in texts), "")
    ]


def _zero_shot(meta: Mapping[str, Any]) -> str:
    return "claimed: pretraining saw no task" if meta["zero_shot"] else "not claimed"


def _score_table(scores: pd.DataFrame) -> Sequence[str]:
    """Returns the mean MCC by category and regime as lines of Markdown, macro and micro first."""
    rows = protocol_rows(scores)
    rows = rows[rows["category"].isin(GENEB.categories) & rows["regime"].isin(GENEB.regimes)]
    regimes = [regime for regime in GENEB.regimes if (rows["regime"] == regime).any()]
    averages = macro_micro(rows).set_index("regime")
    means = task_means(rows).pivot_table(
        index="category", columns="regime", values="MCC", sort=False, aggfunc=["mean", "count"]
    )
    lines = [
        ("mean MCC", "tasks", *(_REGIME_NAMES[regime] for regime in regimes)),
        ("---", *["---:"] * (1 + len(regimes))),
        *(
            (
                f"**{kind}**",
                f"{averages['tasks'].max()}",
                *(f"{averages.loc[r, kind]:.3f}" for r in regimes),
            )
            for kind in ("macro", "micro")
        ),
        *(
            (
                category,
                f"{int(means['count'].loc[category].max())}",
                *(f"{means['mean'].loc[category, regime]:.3f}" for regime in regimes),
            )
            for category in GENEB.categories
            if category in means.index
        ),
    ]
    return ["| " + " | ".join(line) + " |" for line in lines]
