"""Probes features that are there already: arrays X and y, as a notebook has them.

python examples/probe_arrays.py

The features here are two Gaussian clouds; replace them by float32 [N, D] of any model.
"""

import numpy as np
import pandas as pd

from probes import Probe, evaluate_task

SEEDS = (13, 17, 42, 123, 997)


def clouds(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns features float32 [rows, 32] of two overlapping classes, and labels int64 [rows]."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, rows)
    centre = np.zeros(32)
    centre[:8] = 0.5
    features = rng.normal(size=(rows, 32)) + labels[:, None] * centre
    return features.astype(np.float32), labels


def main() -> None:
    """Prints the mean of the MCC over the seeds, and its standard deviation, in each regime."""
    x_train, y_train = clouds(400, seed=0)
    x_test, y_test = clouds(200, seed=1)
    scores = evaluate_task(
        x_train,
        y_train,
        x_test,
        y_test,
        probes=[Probe("logistic")],  # GENEB's: solver 'geneb', C = 1, features as they are
        shots=(None, 10),  # all rows, and ten of each class; GENEB's are (None, 10, 1)
        seeds=SEEDS,
    )
    table = pd.DataFrame({"shots": score.shots, "MCC": score.MCC} for score in scores)
    table["regime"] = ["full" if np.isnan(k) else f"{k:.0f}-shot" for k in table["shots"]]
    print(table.groupby("regime", sort=False)["MCC"].agg(["mean", "std"]).round(3))


if __name__ == "__main__":
    main()
