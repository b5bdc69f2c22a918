import numpy as np

from geneb_jax.benchmark import GENEB
from geneb_jax.embedding.kmers import kmer_frequencies
from geneb_jax.tasks.synthetic import synthetic_tasks
from geneb_jax.tasks.task import content_digest
from probes import Probe, evaluate_task

TASKS = {task.info.category: task for task in synthetic_tasks()}


def test_one_task_a_category_plainly_labelled():
    assert list(TASKS) == list(GENEB.categories)
    for task in TASKS.values():
        assert task.synthetic
        assert task.info.id.startswith("synthetic_")
        assert task.info.id not in {known.id for known in GENEB.tasks}
        assert np.unique(task.train.labels).tolist() == np.unique(task.test.labels).tolist()
    assert len(np.unique(TASKS["Species Clf."].train.labels)) == 20


def test_the_seed_fixes_every_byte():
    again = synthetic_tasks()
    assert [content_digest(t) for t in again] == [content_digest(t) for t in TASKS.values()]
    other = synthetic_tasks(seed=100)
    assert content_digest(other[0]) != content_digest(again[0])


def test_signals_are_there():
    methylation = TASKS["DNA Methyl."].train
    for sequence, label in zip(methylation.sequences, methylation.labels, strict=True):
        assert len(sequence) == 41
        assert sequence[20] == "C"
        assert not label or (sequence[19:21] == "CC" and sequence[22:24] == "GG")
    coding = TASKS["Coding/NC"].train
    for sequence, label in zip(coding.sequences, coding.labels, strict=True):
        codons = {sequence[i : i + 3] for i in range(0, 300, 3)}
        assert not (label and codons & {"TAA", "TAG", "TGA"})


def test_a_linear_probe_on_4_mers_finds_a_signal():
    task = TASKS["Regulatory"]
    x, x_test = (kmer_frequencies(s.sequences, 4) for s in (task.train, task.test))
    (head,) = evaluate_task(
        x, task.train.labels, x_test, task.test.labels,
        probes=[Probe()], shots=[None], seeds=[13],
    )  # fmt: skip
    assert head.MCC > 0.5
