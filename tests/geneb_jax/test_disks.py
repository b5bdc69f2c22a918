import shutil
from typing import Any, cast

import pytest
from etils import epath
from huggingface_hub import constants
from rich.console import Console

from geneb_jax import disks as module
from geneb_jax.config import ConfigError, default_config, parse_config
from geneb_jax.disks import Needs, check_disks, disks, result_bytes
from geneb_jax.embedding.source import Cost, SourcePlan
from geneb_jax.run import run
from geneb_jax.tasks.sizes import TaskSize
from geneb_jax.tasks.synthetic import synthetic_tasks

TASKS = synthetic_tasks()[:2]
ROWS = sum(len(task.train.labels) + len(task.test.labels) for task in TASKS)
TINY = "nucleotide-transformer-v2-50m-multi-species:random:tiny"
GIB = 2**30


def settings(**fields):
    config = default_config()
    config.update(fields)
    return parse_config(config)


@pytest.fixture
def free(monkeypatch, tmp_path):
    """Says how many bytes of the disk are free; the hub's cache is on it too."""
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub" / "hub"))
    usage = shutil.disk_usage(tmp_path)

    def say(count):
        monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=count))

    return say


def needs(name, embeddings=0, fetched=0, converted=0, results=0):
    return Needs([epath.Path(name)], embeddings, fetched, converted, results)


def test_what_is_written_is_summed_by_disk(tmp_path, free):
    free(7 * GIB)
    of_run = [needs("a", 2 * GIB, GIB, GIB, 100), needs("b", GIB, results=24)]
    (disk,) = disks(of_run, settings(), tmp_path / "run", counted=True, pairs=0)
    assert str(disk) == (
        f"disk of {tmp_path}/run/embeddings: 3.0 GiB of embeddings, ~124 B of scores and "
        "predictions, ~1.0 GiB of fetched checkpoints and ~1.0 GiB of converted checkpoints will "
        "be written, 7.0 GiB are free"
    )
    free(4 * GIB)
    (disk,) = disks(of_run, settings(), tmp_path / "run", counted=True, pairs=0, task_files=GIB)
    assert (disk.lacking(), disk.lacking(counted=True)) == (2 * GIB + 124, 0)
    assert str(disk).endswith(
        "~1.0 GiB of task files will be written, 4.0 GiB are free, 2.0 GiB too few: name fewer "
        "models, or have config.embeddings_dir or --workdir or HF_HOME on a larger disk"
    )


def test_what_models_share_is_written_once(tmp_path, free):
    free(GIB)
    shared = [needs("a", 20, 5, 5, 1), needs("a", 30, 5, 5, 1), needs("b", 7, 0, 0, 1)]
    (disk,) = disks(shared, settings(), tmp_path, counted=True, pairs=0)
    assert [each.size for each in disk.amounts] == [37, 3, 5, 5]
    baselines = [Needs([], 0, 0, 0, 2)] * 3
    free(5)
    (disk,) = disks(baselines, settings(), tmp_path, counted=True, pairs=0)
    assert str(disk) == (
        f"disk of {tmp_path}: ~6 B of scores and predictions will be written, 5 B are free, 1 B "
        "too few: name fewer models, or have --workdir on a larger disk"
    )


def test_disks_without_a_size_and_buckets_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HOME", "/proc/none")
    of_run, bucket = [needs("a", GIB, 0, GIB)], settings(embeddings_dir="gs://bucket/embeddings")
    assert disks(of_run, bucket, tmp_path, counted=True, pairs=0) == []
    (disk,) = disks(of_run, settings(), tmp_path, counted=True, pairs=0)
    assert [each.what for each in disk.amounts] == ["embeddings"]


def test_results_take_bytes_by_head_and_row():
    sizes = [TaskSize("a", 50, 100, 2), TaskSize("b", 50, 10, 3)]
    fields: Any = {"seeds": "13,17", "regimes": "full,1shot", "C": "0.1,1,10"}
    heads = 2 * 2 * 3
    kept = heads * (2 * 750 + 110) + 2 * 4096
    assert result_bytes(sizes, 1, settings(**fields)) == kept
    assert result_bytes(sizes, 2, settings(**fields)) == 2 * kept
    assert result_bytes(sizes, 1, settings(intervals=False, **fields)) == heads * 2 * 750
    values = heads * 4 * (100 + 10 * 3)
    assert result_bytes(sizes, 1, settings(save_predictions=True, **fields)) == kept + values


def test_tables_figures_and_report_take_bytes_by_model_and_task(tmp_path, free):
    free(10)
    of_run = [needs("a", results=7)]
    (disk,) = disks(of_run, settings(), tmp_path / "run", counted=True, pairs=100)
    what, size = "tables, figures and report", 5 * 2**20 + 100 * 5 * 2**10
    assert [(each.what, each.size) for each in disk.amounts][1:] == [(what, size)]
    assert "~7 B of scores and predictions and ~5.5 MiB of tables, figures and report" in str(disk)
    (disk,) = disks(of_run, settings(report=False), tmp_path, counted=True, pairs=100)
    assert what not in str(disk)


@pytest.mark.slow
def test_what_a_run_shows_takes_no_more_than_is_planned(tmp_path):
    config = default_config()
    config.update(models="kmer-1,kmer-2", tasks="synthetic", seeds="13,17")
    run(config, tmp_path, Console(quiet=True))
    written = sum(
        path.stat().st_size
        for folder in ("tables", "figures", "report")
        for path in (tmp_path / folder).rglob("*")
    )
    tasks = len(list((tmp_path / "audit").glob("*.json")))
    assert 2**20 < written < 5 * 2**20 + 2 * tasks * 5 * 2**10


class Stub:
    """A model of 4 bytes of embeddings a record, of which half are kept."""

    name = "stub"

    def __init__(self, download=0):
        self.download, self.counted = download, 0

    def plan(self, workdir):
        def cost(tasks):
            self.counted += 1
            return Cost(ROWS, store=2 * ROWS)

        stores = [epath.Path(workdir / "embeddings" / "stub")]
        most = lambda tasks: 4 * ROWS if tasks else 0  # noqa: E731
        return SourcePlan(cost, 1, download=self.download, stores=stores, most=most)


def check(stub, workdir, **fields):
    plans = {stub.name: stub.plan(workdir)}
    check_disks(
        [(cast(Any, stub), TASKS)],
        plans,
        settings(intervals=False, report=False, **fields),
        workdir,
    )


def test_a_run_that_fits_is_not_counted(tmp_path, free, caplog):
    results = result_bytes([TaskSize("", 0, 0, 2)] * 2, 1, settings(intervals=False))
    free(4 * ROWS + results)
    check(stub := Stub(), tmp_path)
    free(2 * ROWS + results)
    assert not stub.counted and not caplog.text
    check(stub, tmp_path)
    assert stub.counted and not caplog.text


def test_a_run_that_may_not_fit_is_warned_of(tmp_path, free, caplog):
    free(2 * ROWS)
    check(Stub(), tmp_path)
    assert caplog.text.count("of scores and predictions will be written") == 1
    caplog.clear()
    free(10**9)
    check(Stub(download=10**9), tmp_path)
    assert "~953.7 MiB of fetched checkpoints" in caplog.text
    assert "will be written, 953.7 MiB are free," in caplog.text


def test_a_run_whose_embeddings_do_not_fit_is_refused(tmp_path, free):
    free(2 * ROWS - 1)
    with pytest.raises(ConfigError, match=rf"disk of {tmp_path}.*: .* of embeddings and "):
        check(Stub(), tmp_path)
    cells = tmp_path / "cells" / "stub" / "none"
    cells.mkdir(parents=True)
    for task in TASKS:
        (cells / f"{task.info.id}.json").touch()
    free(0)
    check(Stub(), tmp_path)  # all is scored


def test_nothing_is_started_where_the_disk_is_too_small(tmp_path, free):
    free(1000)
    config = default_config()
    config.update(models=TINY, tasks=TASKS[0].info.id, report=False)
    with pytest.raises(ConfigError, match=r"of embeddings.*will be written, 1000 B are free"):
        run(config, tmp_path / "run", Console(quiet=True))
    assert not (tmp_path / "run").exists()
