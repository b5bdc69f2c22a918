"""Embeds promoters and random sequences, and compares them by the cosine of their embeddings.

python examples/embed_and_compare.py [MODEL]

MODEL is `kmer-4` when it is left out, which needs no weights. A model id such as
`nucleotide-transformer-v2-50m-multi-species` fetches its checkpoint on first use.
"""

import sys

import numpy as np

import geneb_jax
from geneb_jax.tasks.synthetic import synthetic_tasks

RECORDS = 40


def cosines(vectors: np.ndarray) -> np.ndarray:
    """Returns the cosine of every pair of vectors [N, D], after their mean is subtracted: [N, N].

    Embeddings of all records have a large part in common, which would make all cosines about 1.
    """
    centred = vectors - vectors.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return unit @ unit.T


def main() -> None:
    """Prints the mean cosine within and between classes, and how often neighbours share a class."""
    model = sys.argv[1] if len(sys.argv) > 1 else "kmer-4"
    # A generated task in which the records of label 1 are rich in CpG, as islands are.
    (task,) = (task for task in synthetic_tasks() if task.info.id == "synthetic_cpg_regulatory")
    sequences = task.train.sequences[:RECORDS]
    labels = task.train.labels[:RECORDS]

    vectors = geneb_jax.embed(model, sequences)
    print(f"{model}: {vectors.dtype} {list(vectors.shape)}")

    similarity = cosines(vectors)
    np.fill_diagonal(similarity, -np.inf)  # a record is not its neighbour
    nearest = labels[similarity.argmax(axis=1)]
    print(f"records whose nearest neighbour has their class: {(nearest == labels).mean():.0%}")
    chance = np.mean(labels[:, None] == labels, where=~np.eye(len(labels), dtype=bool))
    print(f"by chance: {chance:.0%}")
    for label in np.unique(labels):
        same = similarity[np.ix_(labels == label, labels == label)]
        other = similarity[np.ix_(labels == label, labels != label)]
        print(
            f"class {label}: mean cosine {same[np.isfinite(same)].mean():+.2f} within, "
            f"{other.mean():+.2f} to the others"
        )


if __name__ == "__main__":
    main()
