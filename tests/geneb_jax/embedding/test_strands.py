import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from geneb_jax.audit.shortcuts import SHORTCUTS, STRANDLESS, shortcut_features
from geneb_jax.benchmark import GENEB
from geneb_jax.config import DataSettings, EmbeddingSettings, Settings, default_config
from geneb_jax.embedding.kmers import KmerSource, kmer_frequencies
from geneb_jax.embedding.models import find_sources
from geneb_jax.embedding.source import Refusal
from geneb_jax.embedding.strands import BothStrands, WithOtherStrand
from geneb_jax.run import run
from geneb_jax.scoring.predictions import predictions_folder, predictions_path, read_turned
from geneb_jax.tasks.letters import reverse_complement
from geneb_jax.tasks.task import Split, Task

HYENA = "hyenadna-medium-160k-seqlen-hf:random:tiny"


def small(info=GENEB.tasks[0], rows=24):
    rng = np.random.default_rng(0)
    splits = [
        Split(["".join(rng.choice(list("ACGTN"), 40)) for _ in range(rows)], np.arange(rows) % 2)
        for _ in range(2)
    ]
    return Task(info, *splits)


def find(*models, strand=("given", "both"), controls=0):
    settings = Settings(
        data=DataSettings(models, controls=controls), embedding=EmbeddingSettings(strand=strand)
    )
    sources, problems = find_sources(settings)
    assert not problems
    return sources


def test_a_strand_is_asked_of_every_model_and_control():
    nt = "nucleotide-transformer-v2-50m-multi-species"
    names = [source.name for source in find("kmer-2", nt, controls=1)]
    assert names == ["kmer-2", "kmer-2:both", nt, f"{nt}:both", f"{nt}:random",
                     f"{nt}:random:both"]  # fmt: skip
    assert [type(each) for each in find("kmer-2", strand=("given",))] == [KmerSource]
    assert [type(each) for each in find("kmer-2", strand=("both",))] == [BothStrands]


@pytest.mark.parametrize("strand", [("given", "both"), ("both",), ("given",)])
def test_what_no_strand_changes_is_evaluated_once(strand):
    names = [source.name for source in find("shortcut-gc", "shortcut-ends", strand=strand)]
    ends = {"given": "shortcut-ends", "both": "shortcut-ends:both"}
    assert names == ["shortcut-gc", *(ends[each] for each in strand)]


@pytest.mark.parametrize("name", SHORTCUTS)
def test_shortcuts_of_no_strand_are_those_whose_features_are_the_same_on_both(name):
    task, turned = small(), small()
    for split in (turned.train, turned.test):
        split.sequences[:] = [reverse_complement(s) for s in split.sequences]
    pairs = zip(shortcut_features(name, task), shortcut_features(name, turned), strict=True)
    assert all(np.array_equal(*pair) for pair in pairs) == (name in STRANDLESS)


def test_features_of_both_strands_are_means_whose_strand_does_not_matter(tmp_path):
    task, turned = small(), small()
    for split in (turned.train, turned.test):
        split.sequences[:] = [reverse_complement(s) for s in split.sequences]
    model = BothStrands(KmerSource("kmer-3", 3)).open(tmp_path)
    (representation,) = model.representations
    features = model.prepare([task, turned], lambda _: None).features
    train, test = features(task, representation)
    assert np.array_equal(train, features(turned, representation)[0])
    wanted = (kmer_frequencies(task.test.sequences, 3).astype(float)
              + kmer_frequencies(turned.test.sequences, 3)) / 2  # fmt: skip
    assert test == pytest.approx(wanted, abs=1e-7) and test.dtype == np.float32
    assert representation.identity == {"model": "kmer-3", "numerics": 1, "strands": "both"}


def test_the_other_strand_of_test_records_stands_beside_the_features(tmp_path):
    task = small()
    model = WithOtherStrand(KmerSource("kmer-3", 3)).open(tmp_path)
    (representation,) = model.representations
    prepared = model.prepare([task], lambda _: None)
    assert prepared.turned is not None
    others = [reverse_complement(s) for s in task.test.sequences]
    assert np.array_equal(prepared.turned(task, representation), kmer_frequencies(others, 3))
    _, test = prepared.features(task, representation)
    assert np.array_equal(test, kmer_frequencies(task.test.sequences, 3))
    assert representation.identity == {"model": "kmer-3", "numerics": 1}


def test_a_port_embeds_both_strands_into_one_store(tmp_path):
    task = small()
    given, both = (source.open(tmp_path) for source in find(HYENA))
    told = []
    alone = given.prepare([task], told.append)
    together = both.prepare([task], lambda _: None)
    stores = list((tmp_path / "embeddings").glob("*/*"))
    assert len(stores) == 1
    assert sum(told) == 2 * 24
    x, _ = together.features(task, both.representations[0])
    assert alone.turned is not None
    b = (alone.features(task, given.representations[0])[1]
         + alone.turned(task, given.representations[0])) / 2  # fmt: skip
    assert together.features(task, both.representations[0])[1] == pytest.approx(b, abs=1e-6)
    assert x.shape == b.shape


def test_refusals_are_of_the_task_whose_other_strand_is_refused():
    class Refusing(KmerSource):
        def check(self, tasks):
            return [Refusal("no", task.info.id) for task in tasks]

    (first, second) = BothStrands(Refusing("kmer-1", 1)).check([small()])
    assert first == second == Refusal("no", GENEB.tasks[0].id)


def test_sequences_are_embedded_on_both_strands():
    (vectors,) = BothStrands(KmerSource("kmer-1", 1)).embed(["AAC"], [], lambda _: None).values()
    assert vectors == pytest.approx(np.array([[1 / 3, 1 / 6, 1 / 6, 1 / 3]]))


def test_a_run_says_how_often_predictions_change(tmp_path):
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    task = small(rows=60)
    rows = [(s, y, name) for name, split in (("train", task.train), ("test", task.test))
            for s, y in zip(split.sequences, split.labels, strict=True)]  # fmt: skip
    lines = [",".join(map(str, row)) for row in [("text", "label", "split"), *rows]]
    (tasks / f"{task.info.id}.csv").write_text("\n".join(lines) + "\n")
    config = default_config()
    config.update({"models": "kmer-4", "tasks_dir": str(tasks), "regimes": "full,10shot",
                   "seeds": "13,17", "strand": "given,both"})  # fmt: skip
    scores = run(config, tmp_path / "run", Console(quiet=True)).scores
    assert scores["model"].unique().tolist() == ["kmer-4", "kmer-4:both"]
    table = pd.read_csv(tmp_path / "run" / "tables" / "strand.csv").set_index(["model", "regime"])
    assert (table.loc["kmer-4:both", "macro"] == 0).all()
    folder = predictions_folder(tmp_path / "run", "kmer-4")
    with np.load(predictions_path(folder, task.info.id)) as kept:
        full = kept["regime"] == "full"
        share = (kept["turned"][full] != kept["predictions"][full]).mean()
    assert table.loc[("kmer-4", "full"), "macro"] == pytest.approx(share)
    assert share > 0
    config.strand, config.report = "given", False
    before = (tmp_path / "run" / "cells").stat().st_mtime
    again = run(config, tmp_path / "run", Console(quiet=True)).scores
    assert (tmp_path / "run" / "cells").stat().st_mtime == before
    assert again.equals(scores)
    assert read_turned(predictions_path(folder, task.info.id)) is not None
