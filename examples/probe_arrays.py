"""Probes features that are there already: arrays X and y, as a notebook has them.

python examples/probe_arrays.py

The features here are two Gaussian clouds; replace them by numbers [N, D] of any model.
"""

import numpy as np

from probes import JointLogistic


def clouds(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns features float32 [rows, 32] of two overlapping classes, and their labels [rows]."""
    rng = np.random.default_rng(seed)
    positive = rng.integers(0, 2, rows)
    centre = np.zeros(32)
    centre[:8] = 0.5
    features = rng.normal(size=(rows, 32)) + positive[:, None] * centre
    return features.astype(np.float32), np.where(positive, "enhancer", "background")


def main() -> None:
    """Prints the mean of the MCC over the seeds, and its standard deviation, for each C."""
    x_train, y_train = clouds(400, seed=0)
    x_test, y_test = clouds(200, seed=1)
    # All rows, and ten of each class for each of GENEB's five seeds; twelve heads, one fit.
    probe = JointLogistic(C=[0.1, 1.0], shots=[None, 10]).fit(x_train, y_train)
    table = probe.evaluate(x_test, y_test)
    table["regime"] = ["full" if full else "10-shot" for full in table["shots"].isna()]
    print(table.groupby(["regime", "C"], sort=False)["MCC"].agg(["mean", "std"]).round(3))
    best = probe.scores_.loc[probe.best_index_, "C"]
    print(f"C chosen on the train rows: {best}")
    print(f"accuracy on the test rows: {probe.score(x_test, y_test):.3f}")


if __name__ == "__main__":
    main()
