"""The paper's statistics, as functions of a results table and of the models' labels.

`results` is a table as `presentation.results` defines it, `labels` one of `published.model_labels`.
Models without labels take part where labels are not asked for; a task or model that is not there
leaves missing values, not wrong ones. Definitions: GENEB (arXiv 2606.04525).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from geneb_jax.benchmark import CUSTOM, GENEB
from geneb_jax.scoring.scores import METRIC_COLUMNS, protocol_rows, tap_position

TIERS = {"<100M": 0.0, "100M-500M": 1e8, "500M-2B": 5e8, ">=2B": 2e9}
HIGH_VARIANCE = 0.12
HARD = 0.35
MUCH_LARGER = 5  # times the parameters
_FEWEST_MODELS = 3  # of a rank correlation


def of_benchmark(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of a results or scores table that averages are of: no custom tasks."""
    return rows[rows["category"] != CUSTOM]


def score_matrix(results: pd.DataFrame, regime: str = "full") -> pd.DataFrame:
    """Returns the MCC of one regime, models x tasks of the benchmark."""
    rows = of_benchmark(results[results["regime"] == regime])
    return rows.pivot(index="model", columns="task", values="MCC")


def category_matrix(results: pd.DataFrame, regime: str = "full") -> pd.DataFrame:
    """Returns the mean MCC of one regime, models x categories in the paper's order."""
    categories = task_categories(results)
    matrix = score_matrix(results, regime)
    means = matrix.T.groupby(lambda task: categories[task]).mean().T
    return means[[category for category in GENEB.categories if category in means]]


def task_categories(results: pd.DataFrame) -> dict[str, str]:
    """Returns each task's category."""
    rows = results.drop_duplicates("task")
    return dict(zip(rows["task"], rows["category"], strict=True))


def regimes_of(results: pd.DataFrame) -> list[str]:
    """Returns the regimes that there are, the benchmark's first."""
    there = set(results["regime"])
    known = [name for name in GENEB.regimes if name in there]
    return [*known, *sorted(there.difference(known))]


def task_counts(results: pd.DataFrame, regime: str) -> pd.Series:
    """Returns on how many tasks each model has a score in a regime."""
    return score_matrix(results, regime).count(axis=1)


def leaderboard(results: pd.DataFrame) -> pd.DataFrame:
    """Returns rank, macro and micro MCC by model, the best macro of the first regime first.

    Macro is the mean of the category means, micro the mean over tasks. A model that lacks tasks of
    the first regime which others have has no rank and stands below the others.

    Returns:
        Index model; columns rank (by macro of the first regime, 1 the best), `macro full`,
        `micro full`, and so on for each regime there is.
    """
    regimes = regimes_of(results)
    columns = {}
    for regime in regimes:
        columns[f"macro {regime}"] = category_matrix(results, regime).mean(axis=1)
        columns[f"micro {regime}"] = score_matrix(results, regime).mean(axis=1)
    table = pd.DataFrame(columns)
    counts = task_counts(results, regimes[0]).reindex(table.index)
    first = f"macro {regimes[0]}"
    table.insert(0, "rank", table[first].where(counts == counts.max()).rank(ascending=False))
    return table.sort_values(["rank", first], ascending=[True, False])


def macro_micro_agreement(results: pd.DataFrame) -> pd.DataFrame:
    """Returns macro, micro, their difference and both ranks by model, at full shot.

    A model that lacks tasks which others have has no rank.
    """
    board = leaderboard(results)
    macro, micro = board["macro full"], board["micro full"]
    counts = task_counts(results, "full").reindex(board.index)
    whole = counts == counts.max()
    return pd.DataFrame(
        {
            "macro": macro,
            "micro": micro,
            "macro - micro": macro - micro,
            "macro rank": macro.where(whole).rank(ascending=False),
            "micro rank": micro.where(whole).rank(ascending=False),
        }
    )


def size_correlation(results: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Correlates log10 parameters with full-shot MCC (Spearman's rho and p): macro, by category."""
    from scipy import stats  # noqa: PLC0415 (slow to import, and wanted in reports alone)

    by = category_matrix(results).assign(macro=lambda table: table.mean(axis=1))
    by = by.loc[by.index.intersection(labels.index)]
    size = np.log10(labels.loc[by.index, "params"].astype(float))
    rows = []
    for name, scores in by.items():
        known = scores.notna()
        varied = all(len(np.unique(values[known])) > 1 for values in (size, scores))
        enough = known.sum() >= _FEWEST_MODELS and varied  # rho of a constant is not defined
        test = stats.spearmanr(size[known], scores[known]) if enough else (np.nan, np.nan)
        rows.append((name, *test))
    return pd.DataFrame(rows, columns=["category", "rho", "p"]).set_index("category")


def size_tiers(results: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Counts models and averages their macro MCC by size tier, of the tiers that have any."""
    macro = _labelled_macro(results, labels)
    edges = [*TIERS.values(), np.inf]
    tier = pd.cut(labels.loc[macro.index, "params"], edges, right=False, labels=list(TIERS))
    groups = macro.groupby(tier, observed=False)
    table = pd.DataFrame({"models": groups.size(), "macro": groups.mean()}).rename_axis("tier")
    return table[table["models"] > 0]


def tier_gap(results: pd.DataFrame, labels: pd.DataFrame) -> float:
    """Returns the mean macro MCC of models from 1B parameters on minus that of those below 200M."""
    macro = _labelled_macro(results, labels)
    params = labels.loc[macro.index, "params"]
    return float(macro[params >= 1e9].mean() - macro[params < 2e8].mean())


def small_beats_large(results: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Lists models that score higher (macro) than one of at least five times their size."""
    macro = _labelled_macro(results, labels)
    params = labels.loc[macro.index, "params"]
    pairs = [
        (small, large, params[large] / params[small], macro[small] - macro[large])
        for small in macro.index
        for large in macro.index
        if params[large] >= MUCH_LARGER * params[small] and macro[small] > macro[large]
    ]
    return pd.DataFrame(pairs, columns=["small", "large", "size ratio", "macro difference"])


def matched_pairs(results: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> pd.Series:
    """Returns the macro MCC of A minus that of B for each pair; missing where a model is."""
    macro = category_matrix(results).mean(axis=1)
    index = pd.MultiIndex.from_tuples(pairs, names=["A", "B"])
    a, b = (macro.reindex(index.get_level_values(name)).to_numpy() for name in ("A", "B"))
    return pd.Series(a - b, index)


def transfer(results: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Returns the mean difference of pairs by category and overall (macro), and how many A win.

    No rows where no pair is there.
    """
    by = category_matrix(results).assign(overall=lambda table: table.mean(axis=1))
    present = [(a, b) for a, b in pairs if a in by.index and b in by.index]
    a, b = (by.loc[[pair[i] for pair in present]].to_numpy() for i in (0, 1))
    difference = pd.DataFrame(a - b, columns=by.columns)
    table = pd.DataFrame(
        {
            "difference": difference.mean(),
            "wins": (difference > 0).sum().where(difference.notna().any()),
            "pairs": len(present),
        }
    ).rename_axis("category")
    return table if present else table[:0]


def few_shot_drops(results: pd.DataFrame) -> pd.DataFrame:
    """Returns macro MCC by regime, the drop to 1-shot and the relative drop to 10-shot.

    The three regimes of the benchmark are needed.
    """
    macro = pd.DataFrame(
        {regime: category_matrix(results, regime).mean(axis=1) for regime in GENEB.regimes}
    )
    return macro.assign(
        **{
            "drop full to 1shot": macro["full"] - macro["1shot"],
            "relative drop to 10shot": _relative_drop(macro),
        }
    ).sort_values("full", ascending=False)


def few_shot_by_category(results: pd.DataFrame) -> pd.DataFrame:
    """Returns the mean MCC over models by category and regime, and the relative drop to 10-shot."""
    means = pd.DataFrame(
        {regime: category_matrix(results, regime).mean() for regime in GENEB.regimes}
    )
    means["relative drop to 10shot"] = _relative_drop(means)
    return means.rename_axis("category")


def _relative_drop(scores: pd.DataFrame) -> pd.Series:
    """1 - 10-shot / full; missing where full is not above zero, of which no share can be lost."""
    return 1 - scores["10shot"] / scores["full"].where(scores["full"] > 0)


def category_winners(results: pd.DataFrame) -> pd.DataFrame:
    """Names the best model of each category at full and at 10-shot, and whether it changes."""
    winners = pd.DataFrame(
        {regime: category_matrix(results, regime).idxmax() for regime in ("full", "10shot")}
    )
    changes = winners["full"] != winners["10shot"]
    return winners.assign(changes=changes).rename_axis("category")


def task_difficulty(results: pd.DataFrame) -> pd.DataFrame:
    """Returns mean and SD (ddof 0) of full-shot MCC over models, the hardest task first.

    Returns:
        Columns label, category, mean, SD, hard (mean < 0.35), high variance (SD > 0.12).
    """
    matrix = score_matrix(results)
    labels = {task.id: task.label for task in GENEB.tasks}
    table = pd.DataFrame(
        {
            "label": [labels.get(str(task), str(task)) for task in matrix],
            "category": matrix.columns.map(task_categories(results)),
            "mean": matrix.mean(),
            "SD": matrix.std(ddof=0),
        }
    )
    table["hard"] = table["mean"] < HARD
    table["high variance"] = table["SD"] > HIGH_VARIANCE
    return table.sort_values("mean")


def high_variance_slots(results: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Lists the three best and three worst models of each high-variance task, with their labels."""
    difficulty = task_difficulty(results)
    matrix = score_matrix(results)
    matrix = matrix.loc[matrix.index.intersection(labels.index)]
    rows = []
    for task in difficulty.index[difficulty["high variance"]]:
        order = matrix[task].sort_values(ascending=False).index
        for place, models in (("top 3", order[:3]), ("bottom 3", order[-3:])):
            rows += [
                (
                    difficulty.loc[task, "label"],
                    place,
                    model,
                    labels.loc[model, "pretraining"],
                    labels.loc[model, "architecture"],
                )
                for model in models
            ]
    return pd.DataFrame(rows, columns=["task", "place", "model", "pretraining", "architecture"])


def task_ranks(results: pd.DataFrame) -> pd.DataFrame:
    """Ranks each model on each task (1 is the best, full-shot; equal scores share the mean)."""
    return score_matrix(results).rank(ascending=False)


def task_scores(results: pd.DataFrame) -> pd.DataFrame:
    """Returns the score of each model on each task, a row a model, regime and task.

    Returns:
        Columns model, regime, category, task, label (the paper's name of the task) and the metrics
        that there are, means over seeds.
    """
    labels = {task.id: task.label for task in GENEB.tasks}
    known = [name for name in METRIC_COLUMNS if results[name].notna().any()]
    table = results[["model", "regime", "category", "task", *known]].reset_index(drop=True)
    table.insert(4, "label", [labels.get(task, task) for task in table["task"]])
    return table


def rank_summary(results: pd.DataFrame) -> pd.DataFrame:
    """Returns mean, median and quartiles of a model's ranks, and the tasks it wins (ties count)."""
    ranks = task_ranks(results)
    matrix = score_matrix(results)
    table = pd.DataFrame(
        {
            "mean rank": ranks.mean(axis=1),
            "25 %": ranks.quantile(0.25, axis=1),
            "median": ranks.median(axis=1),
            "75 %": ranks.quantile(0.75, axis=1),
            "wins": matrix.eq(matrix.max()).sum(axis=1),
        }
    )
    return table.sort_values("mean rank")


def specialisation(results: pd.DataFrame) -> pd.DataFrame:
    """Returns the mean rank on tasks outside a category minus that inside, models x categories."""
    ranks = task_ranks(results)
    categories = pd.Series(task_categories(results))[ranks.columns]
    columns = {}
    for category in [name for name in GENEB.categories if (categories == name).any()]:
        inside = (categories == category).to_numpy()
        columns[category] = ranks.loc[:, ~inside].mean(axis=1) - ranks.loc[:, inside].mean(axis=1)
    return pd.DataFrame(columns)


def corpus_groups(results: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Counts models and averages their macro MCC by pretraining corpus, the best first."""
    macro = _labelled_macro(results, labels)
    groups = macro.groupby(labels.loc[macro.index, "pretraining"])
    table = pd.DataFrame({"models": groups.size(), "macro": groups.mean()})
    return table.rename_axis("corpus").sort_values("macro", ascending=False)


def pareto_frontier(
    results: pd.DataFrame, labels: pd.DataFrame, column: str = "macro"
) -> pd.DataFrame:
    """Models that no model of the same or a smaller size outscores, by size.

    Args:
        results: Results table.
        labels: Labels.
        column: 'macro' or a category.
    """
    by = category_matrix(results).assign(macro=lambda table: table.mean(axis=1))
    scores = by.loc[by.index.intersection(labels.index), column]
    table = pd.DataFrame({"params": labels.loc[scores.index, "params"], column: scores})
    table = table.rename_axis("model")
    table = table.sort_values(["params", column], ascending=[True, False])
    return table[table[column] > table[column].cummax().shift(fill_value=-np.inf)]


def linear_against_mlp(scores: pd.DataFrame) -> pd.DataFrame:
    """Returns the MCC of linear and MLP probe by model, regime and task, means over seeds.

    Args:
        scores: A run's scores table, not a results table: rows of the protocol and of probe 'mlp'.

    Returns:
        Columns model, regime, task, linear, mlp; the cells that have both.
    """
    groups = ["model", "regime", "task"]
    both = {
        "linear": protocol_rows(scores).groupby(groups)["MCC"].mean(),
        "mlp": protocol_rows(scores, probe="mlp", solver=None).groupby(groups)["MCC"].mean(),
    }
    return pd.concat(both, axis=1).dropna().reset_index()


def strength_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Averages the linear probe's MCC over tasks and seeds, by regime and model, and by C.

    Args:
        scores: A run's scores table; rows like the protocol's but for C count. A task of the
            benchmark counts for a model where every C has scored it; custom tasks do not count.
    """
    cells = protocol_rows(of_benchmark(scores), C=None).pivot_table(
        index=["regime", "model", "task"], columns="C", values="MCC", aggfunc="mean"
    )
    return cells.dropna().groupby(["regime", "model"]).mean()


def layer_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Averages the linear probe's MCC over tasks and seeds on each hidden state and pooling.

    Args:
        scores: A run's scores table; rows of the protocol, whatever hidden state and pooling. A
            task of the benchmark counts for a model where all its hidden states and poolings were
            scored on it; custom tasks do not count.

    Returns:
        Columns model, pooling, tap, then one a regime and `tasks`; the hidden states of a model
        in their order, -1, the final one, last. Models with one of them alone are left out.
    """
    rows = protocol_rows(of_benchmark(scores), every_representation=True)
    rows = rows[rows["tap"] != "none"]
    tables = []
    for model, group in rows.groupby("model", sort=False):
        cells = group.pivot_table(
            index=["regime", "task"], columns=["pooling", "tap"], values="MCC", aggfunc="mean"
        ).dropna()
        if cells.shape[1] > 1:
            table = cells.groupby("regime").mean().T.reset_index()
            rank = table["tap"].map(lambda tap: tap_position(str(tap))[0])
            table = table.assign(rank=rank).sort_values(["pooling", "rank"]).drop(columns="rank")
            table.insert(0, "model", model)
            tables.append(table.assign(tasks=cells.index.get_level_values("task").nunique()))
    if not tables:
        return pd.DataFrame(columns=["model", "pooling", "tap", "tasks"])
    table = pd.concat(tables, ignore_index=True)
    regimes = [column for column in table if column in set(rows["regime"])]
    known = [regime for regime in GENEB.regimes if regime in regimes]
    regimes = [*known, *sorted(set(regimes) - set(known))]
    return table[["model", "pooling", "tap", *regimes, "tasks"]]


def strength_agreement(scores: pd.DataFrame) -> pd.DataFrame:
    """Returns how far the order of the models depends on C.

    Args:
        scores: A run's scores table.

    Returns:
        By regime: the mean over pairs of strengths of Spearman's rho of the models' mean MCC, the
        number of strengths and of models. No rows where fewer than two of either are there.
    """
    rows = {}
    for regime, table in strength_scores(scores).groupby("regime"):
        models, strengths = table.shape
        if models > 1 and strengths > 1:
            rho = table.corr("spearman").to_numpy()[np.triu_indices(strengths, 1)].mean()
            rows[regime] = (rho, strengths, models)
    columns = ["rho", "strengths", "models"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("regime")


def _labelled_macro(results: pd.DataFrame, labels: pd.DataFrame) -> pd.Series:
    macro = category_matrix(results).mean(axis=1)
    return macro[macro.index.intersection(labels.index)]
