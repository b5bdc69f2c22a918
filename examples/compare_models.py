"""Compares two models of a run, task by task, from its scores.csv.

python examples/compare_models.py WORKDIR MODEL_A MODEL_B
python examples/compare_models.py runs/quickstart kmer-4 kmer-2
"""

import sys
from pathlib import Path

import pandas as pd
from scipy.stats import wilcoxon


def mean_over_seeds(scores: pd.DataFrame, model: str) -> pd.Series:
    """Returns the MCC of a model, by regime and task: the mean over the seeds."""
    rows = scores[scores["model"] == model]
    if rows.empty:
        raise SystemExit(f"no row of '{model}'; there are: {', '.join(scores['model'].unique())}")
    # A workdir may hold several presets, hidden states, probes and strengths of one model.
    for column in ("preset", "dtype", "tap", "pooling", "probe", "solver", "C"):
        if rows[column].nunique() > 1:
            raise SystemExit(f"'{model}' has several values of {column}; keep the rows of one")
    return rows.groupby(["regime", "task"], sort=False)["MCC"].mean()


def main() -> None:
    """Prints, for each regime, how much higher A scores than B, and whether chance explains it."""
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    workdir, a, b = Path(sys.argv[1]), *sys.argv[2:]
    # Only an empty field is missing: the selection and the preset may be called 'none'.
    scores = pd.read_csv(workdir / "scores.csv", keep_default_na=False, na_values=[""])
    both = pd.DataFrame({a: mean_over_seeds(scores, a), b: mean_over_seeds(scores, b)}).dropna()
    for regime, table in both.groupby(level="regime", sort=False):
        difference = table[a] - table[b]
        _, p = wilcoxon(difference) if difference.any() else (0.0, 1.0)
        print(
            f"{regime}: {a} {table[a].mean():.3f}, {b} {table[b].mean():.3f}; "
            f"{a} is better on {(difference > 0).sum()} of {len(table)} tasks "
            f"(Wilcoxon signed-rank p = {p:.2g})"
        )


if __name__ == "__main__":
    main()
