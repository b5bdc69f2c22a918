"""The peer of cold runs: k-mers or PyTorch embeddings, and scikit-learn's probes, in one process.

    python -m benchmarks.cold_peer kmers TASKS_DIR K
    python -m benchmarks.cold_peer embeddings FOLDER

It is what one would write with pandas, scikit-learn and joblib: one full fit a task and five fits
for each few-shot regime, tasks spread over the cores, MCC of each head. FOLDER is described in
`benchmarks.embedding_case`; the token ids of its records are there already, and `tasks.json` says
which records are whose.
"""

import argparse
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import matthews_corrcoef

SEEDS = (13, 17, 42, 123, 997)


def kmer_frequencies(sequences: list[str], k: int) -> np.ndarray:
    """Counts k-mers of each record in NumPy, and divides by their sum."""
    codes = np.full(256, -1, np.int16)
    codes[list(b"ACGT")] = range(4)
    features = np.zeros((len(sequences), 4**k), np.float32)
    for counts, sequence in zip(features, sequences, strict=True):
        letters = codes[np.frombuffer(sequence.upper().encode(), np.uint8)]
        if len(letters) < k:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(letters, k)
        windows = windows[(windows >= 0).all(1)]
        counts[:] = np.bincount(windows @ 4 ** np.arange(k)[::-1], minlength=4**k)
    return features / np.maximum(features.sum(1, keepdims=True), 1)


def scores(
    name: str, x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray
) -> list[tuple[str, str, float]]:
    """Fits a task's probes; returns task, regime and MCC of each head."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    found = []
    for regime, shots in (("full", None), ("10shot", 10), ("1shot", 1)):
        for seed in SEEDS if shots else SEEDS[:1]:
            rows = np.arange(len(y))
            if shots:
                rng = np.random.RandomState(seed)
                rows = np.concatenate(
                    [rng.permutation(np.flatnonzero(y == label))[:shots] for label in np.unique(y)]
                )
            head = LogisticRegression(max_iter=1000).fit(x[rows], y[rows])
            found.append((name, regime, matthews_corrcoef(y_test, head.predict(x_test))))
    return found


def of_table(path: Path, k: int) -> list[tuple[str, str, float]]:
    """Reads a task, counts its k-mers and fits its probes."""
    table = pd.read_csv(path, usecols=["text", "label", "split"])
    parts = []
    for split in ("train", "test"):
        rows = table[table["split"] == split]
        parts += [kmer_frequencies(rows["text"].tolist(), k), rows["label"].to_numpy()]
    return scores(path.stem, *parts)


def embedded_tasks(folder: Path) -> Iterator[tuple[Any, ...]]:
    """Embeds all records with PyTorch and yields what `scores` takes, task by task."""
    from benchmarks.embedding_torch import SIDES, run

    _, embeddings = run(folder, SIDES["well"])
    end = 0
    for name, splits in json.loads((folder / "tasks.json").read_text()).items():
        parts = []
        for labels in (splits["train"], splits["test"]):
            parts += [embeddings[end : (end := end + len(labels))], np.array(labels)]
        yield name, *parts


def main() -> None:
    """Prints the mean MCC of each regime."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("kmers", "embeddings"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("k", type=int, nargs="?", default=4)
    options = parser.parse_args()
    if options.what == "kmers":
        jobs = (delayed(of_table)(path, options.k) for path in sorted(options.folder.glob("*.csv")))
    else:
        jobs = (delayed(scores)(*task) for task in embedded_tasks(options.folder))
    found = [row for rows in Parallel(n_jobs=-1)(jobs) for row in rows]  # pyright: ignore
    table = pd.DataFrame(found, columns=["task", "regime", "MCC"])
    print(table.groupby("regime")["MCC"].mean().round(3).to_string())


if __name__ == "__main__":
    main()
