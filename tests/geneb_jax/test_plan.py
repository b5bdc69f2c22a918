"""The plan of a run: beside what the run then takes, and without data or a network."""

import json
import re
import shutil
import socket

import jax
import numpy as np
import pytest
from golden_ports import GOLDEN, change_tensors
from rich.console import Console

from geneb_jax import plan
from geneb_jax.config import ConfigError, default_config, parse_config
from geneb_jax.devices.capacity import keep_facts, matmul_rate, read_facts
from geneb_jax.run import run
from geneb_jax.scoring.cost import probing_seconds
from geneb_jax.tasks.reading import read_task
from geneb_jax.tasks.selection import choose_tasks
from geneb_jax.tasks.sizes import published_sizes, sizes_of
from model_ports import catalog

NT = "nucleotide-transformer-v2-50m-multi-species"
TINY = f"{NT}:random:tiny"
GENA = "gena-lm-bert-base"  # its fixture has 24 positions
BASES = "ACGT"


def made(**fields):
    config = default_config()
    config.update(report=False, regimes="full", seeds="13", **fields)
    return config


def planned(config, workdir):
    """The plan's rows by model, and what it prints."""
    console = Console(record=True, width=150, markup=False)
    rows = plan.print_plan(parse_config(config), workdir, console)
    return rows.set_index("model"), console.export_text()


@pytest.fixture
def tasks_dir(tmp_path):
    """Two tasks that have six records in common, of 40 to 63 letters."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    texts = [BASES * 10 + "".join(BASES[i // 4**k % 4] for k in range(3)) for i in range(30)]
    for name, part in (("one", texts[:18]), ("two", texts[12:])):
        rows = [f"{text},{i % 2},{'test' if i > 13 else 'train'}" for i, text in enumerate(part)]
        (folder / f"{name}.csv").write_text("\n".join(["text,label,split", *rows]) + "\n")
    return folder


def test_a_plan_is_what_the_run_then_takes(tasks_dir, tmp_path):
    config = made(models=f"kmer-2,{TINY}", tasks_dir=str(tasks_dir), batch_tokens=512,
                  cache_dir=str(tmp_path / "cache"))  # fmt: skip
    workdir = tmp_path / "run"
    rows, text = planned(config, workdir)
    assert not workdir.exists()
    assert rows.loc["kmer-2", ["scored", "records", "flop", "store"]].tolist() == [0, 36, 0, 0]
    assert rows.loc[TINY, ["scored", "tasks", "records", "kept"]].tolist() == [0, 2, 30, 0]
    assert "tasks: 2 with 36 rows" in text and "total" in text
    assert "the audit of 2 tasks takes about 1 s of one core" in text

    run(config, workdir, Console(quiet=True))
    speed = json.loads((workdir / "run.json").read_text())["embedding"][TINY]
    running = speed["seconds"] - speed["compile_seconds"]
    computed = speed["flop_per_second"] * running
    # The last batch of a length has empty rows, which the plan leaves out.
    assert rows.loc[TINY, "flop"] <= computed * 1.01
    assert rows.loc[TINY, "programs"] == speed["programs"]
    (values,) = (workdir / "embeddings").rglob("values-*.npy")
    assert rows.loc[TINY, "store"] == values.stat().st_size - 128  # of NumPy's header

    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}
    rows, text = planned(config, workdir)
    assert "audit" not in text
    assert rows["scored"].tolist() == [2, 2] and rows["records"].tolist() == [0, 0]
    shutil.rmtree(workdir / "cells")
    (workdir / "embeddings" / "a file").touch()
    rows, _ = planned(config, workdir)
    assert rows.loc[TINY, ["scored", "records", "kept", "flop"]].tolist() == [0, 0, 30, 0]
    after = {path: path.stat().st_mtime_ns for path in workdir.rglob("*.npy")}
    assert after.items() <= before.items()
    content = bytearray(values.read_bytes())
    content[-1] ^= 1
    values.write_bytes(content)
    rows, _ = planned(config, workdir)
    assert rows.loc[TINY, ["records", "kept", "store"]].tolist() == [30, 0, len(content) - 128]
    assert values.read_bytes() == content


def test_tokens_and_operations_are_those_of_the_records(tasks_dir, tmp_path):
    rows, _ = planned(made(models=f"{NT}:random", tasks_dir=str(tasks_dir)), tmp_path / "run")
    # 43 letters are 7 six-mers and a letter, and one token stands before them.
    assert rows.loc[f"{NT}:random", "tokens"] == 30 * 9
    # Matrix products of 12 blocks of width 512 and 2,048 with gates, at the padded length of 12.
    length, width, inner = 12, 512, 2048
    block = 2 * length * (4 * width**2 + 3 * width * inner) + 4 * length**2 * width
    assert rows.loc[f"{NT}:random", "flop"] == 30 * 12 * block
    assert rows.loc[f"{NT}:random", "store"] == 30 * width * 4


def test_the_time_is_at_the_rate_of_earlier_runs(tasks_dir, tmp_path, monkeypatch):
    rates = {"float32": 2e9}
    monkeypatch.setattr(plan, "matmul_rate", lambda dtype: rates[dtype])
    config = made(models=TINY, tasks_dir=str(tasks_dir))
    workdir = tmp_path / "run"
    rows, text = planned(config, workdir)
    seconds = rows.loc[TINY, "flop"] / 2e9
    assert rows.loc[TINY, "seconds"] == pytest.approx(seconds) and not rows.loc[TINY, "measured"]
    assert "2 GFLOP/s in float32" in text and "> " in text
    keep_facts(workdir, read_facts(None) | {"embedding_rate": {f"{TINY} float32": 1e9}})
    rows, text = planned(config, workdir)
    assert rows.loc[TINY, "seconds"] == pytest.approx(2 * seconds / len(jax.devices()))
    assert rows.loc[TINY, "measured"] and "at the rate of earlier runs" in text
    (facts,) = (workdir / "devices").iterdir()
    facts.rename(facts.with_name("another-kind.json"))
    rows, _ = planned(config, workdir)
    assert rows.loc[TINY, "seconds"] == pytest.approx(seconds) and not rows.loc[TINY, "measured"]


def test_a_plan_after_a_kill_and_a_run_that_goes_on_knows_the_rate(tasks_dir, tmp_path):
    config = made(models=TINY, tasks_dir=str(tasks_dir), tasks="one")
    workdir = tmp_path / "run"
    run(config, workdir, Console(quiet=True))
    speed = json.loads((workdir / "run.json").read_text())["embedding"][TINY]
    (workdir / "run.json").unlink()  # as a kill leaves it
    config.tasks = "all"
    rows, _ = planned(config, workdir)
    assert rows.loc[TINY, "measured"]
    rate = rows.loc[TINY, "flop"] / rows.loc[TINY, "seconds"]
    assert rate == pytest.approx(speed["flop_per_second"], abs=1e6)
    config.tasks = "one"
    run(config, workdir, Console(quiet=True))  # which embeds nothing
    assert json.loads((workdir / "run.json").read_text())["embedding"] == {}
    config.tasks = "all"
    rows, _ = planned(config, workdir)
    assert rows.loc[TINY, "flop"] / rows.loc[TINY, "seconds"] == pytest.approx(rate)


def test_how_long_probing_takes_is_said_of_what_was_measured(tasks_dir, tmp_path):
    config = made(models=f"kmer-2,{TINY}", tasks_dir=str(tasks_dir))
    rows, text = planned(config, tmp_path)
    sizes = sizes_of([read_task(tasks_dir, info) for info in choose_tasks(tasks_dir, "all")])
    probes = parse_config(config).probes
    seconds = [sum(probing_seconds(s, 4**2, probes, 15) for s in sizes)]
    seconds += [sum(probing_seconds(s, 32, probes) for s in sizes)]
    assert rows["probing"].tolist() == pytest.approx(seconds, rel=1e-3)
    assert "probing takes about 0.04 s, " in text and "alone 0.02 s: by rows, widths" in text
    assert "tables, figures and report take" not in text
    config.update(probes="logistic,mlp", report=True)
    rows, text = planned(config, tmp_path)
    assert rows["probing"].isna().all()
    assert "how long probing takes is not known" in text
    assert "tables, figures and report take about 8 s" in text
    config.update(probes="logistic", solver="converged", selection="folds")
    _, text = planned(config, tmp_path)
    assert (
        "no tables, intervals or report will be written: they are of GENEB's protocol, which no "
        "row follows (config.solver=converged, config.selection=folds); scores.csv and "
        "figures/scores will\n"
    ) in text
    assert "tables, figures and report" not in text


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    def refuse(*_):
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.mark.slow
def test_all_models_on_all_tasks_are_planned_without_data_and_network(
    no_network, tmp_path, monkeypatch
):
    monkeypatch.setattr(plan, "matmul_rate", lambda _: 1e12)
    rows, text = planned(default_config(), tmp_path / "run")
    assert list(rows.index) == list(catalog.entries())
    records = sum(size.train + size.test for size in published_sizes())
    assert set(rows["records"]) == {records} and set(rows["tasks"]) == {100}
    assert rows["scored"].isna().all()
    assert (rows["download"] > 0).all() and (rows["flop"] > 0).all()
    for name, entry in catalog.entries().items():
        assert rows.loc[name, "store"] == records * entry.width * 4
    assert "tasks: 100, not here yet" in text
    assert "the audit of 100 tasks takes about 234 s of one core" in text
    assert "dna_gpt3b_m: fetch it by hand" in text
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_run_is_refused_as_by_the_run(tasks_dir, tmp_path):
    config = made(models="kmer-2,kmer-9,GROVER:random", tasks_dir=str(tasks_dir))
    with pytest.raises(ConfigError, match="'kmer-9': k-mers have k = 1"):
        planned(config, tmp_path)
    config.update(models="kmer-2,GROVER:random", fail_fast=True)
    with pytest.raises(ConfigError, match=r"GROVER:random': tokenizer\.json is needed"):
        planned(config, tmp_path)
    config.fail_fast = False
    rows, text = planned(config, tmp_path)
    assert list(rows.index) == ["kmer-2"]
    assert "left out: config.models: 'GROVER:random'" in text


def stored(folder, width=3, **changed):
    """Own vectors of the two tasks, of 14 train and 4 test rows, with some files changed."""
    folder.mkdir()
    for name in ("one", "two"):
        arrays = {"train": np.ones((14, width)), "test": np.ones((4, width))}
        np.savez(folder / f"{name}.npz", **(arrays | changed.get(name, {})))
    return f"embeddings:{folder}"


def test_own_vectors_are_read_by_the_plan(tasks_dir, tmp_path):
    nan = np.ones((14, 3))
    nan[6, 1] = np.nan
    config = made(models=stored(tmp_path / "good"), tasks_dir=str(tasks_dir))
    assert "left out" not in planned(config, tmp_path / "run")[1]
    wrong = {
        "nan": ({"train": nan}, "train holds values that are not finite numbers, first in row 7"),
        "rows": ({"test": np.ones((5, 3))}, "test is [5, 3], but the task has 4 rows"),
        "width": ({"test": np.ones((4, 2))}, "train and test differ in width"),
    }
    for name, (arrays, words) in wrong.items():
        config.models = model = stored(tmp_path / name, two=arrays)
        rows, text = planned(config, tmp_path / "run")
        assert rows.loc[model, ["tasks", "kept"]].tolist() == [1, 18]
        path = tmp_path / name / "two.npz"
        line = f"{model}: task 'two': {path}: {words}"
        assert line in text and "; the task would be left out" in text
        config.fail_fast = True  # which starts nothing
        with pytest.raises(ConfigError, match=re.escape(f"'two': {path}: {words}")):
            planned(config, tmp_path / "run")
        config.fail_fast = False
    config.models = model = stored(tmp_path / "both", one=wrong["nan"][0], two=wrong["rows"][0])
    with pytest.raises(ConfigError, match=r"one\.npz.*\n.*two\.npz"):
        planned(config, tmp_path / "run")
    config.models = f"kmer-2,{model}"
    rows, text = planned(config, tmp_path / "run")
    assert list(rows.index) == ["kmer-2"]
    assert f"left out: config.models: '{model}': task 'one': " in text


def test_both_strands_of_own_vectors_are_refused_by_plan_and_run_alike(tasks_dir, tmp_path):
    model = stored(tmp_path / "good")
    config = made(models=f"kmer-2,{model}", tasks_dir=str(tasks_dir), strand="both")
    rows, text = planned(config, tmp_path / "run")
    assert not any(name.startswith("embeddings") for name in rows.index)
    assert f"left out: config.models: '{model}:both': task 'one': " in text


def test_a_model_that_cannot_be_run_is_named_once(tasks_dir, tmp_path):
    folder = shutil.copytree(GOLDEN / GENA, tmp_path / "mine")
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(content | {"is_decoder": True}))
    (folder / "meta.json").unlink()
    config = made(models=f"kmer-2,a=hf:{folder}", tasks_dir=str(tasks_dir))
    words = "config.json: is_decoder is true; only false or null is computed here"
    _, text = planned(config, tmp_path)
    assert f"left out: config.models: 'a': {words}" in " ".join(text.split())
    config.fail_fast = True
    for refuse in (lambda: planned(config, tmp_path), lambda: run(config, tmp_path / "run")):
        with pytest.raises(ConfigError) as error:
            refuse()
        assert f"config.models: 'a': {words}" in str(error.value)


def test_the_rate_of_products_is_not_kept_by_a_plan(tasks_dir, tmp_path):
    planned(made(models=TINY, tasks_dir=str(tasks_dir)), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert matmul_rate("float32") > 1e8


def test_the_audit_is_planned_for_tasks_of_which_none_is_kept(tasks_dir, tmp_path):
    config = made(models="kmer-2", tasks_dir=str(tasks_dir), cache_dir=str(tmp_path / "cache"))
    run(config, tmp_path / "run", Console(quiet=True))
    words = "the audit of 2 tasks takes"
    assert words not in planned(config, tmp_path / "another")[1]  # the cache has them
    config.cache_dir = "none"
    assert words not in planned(config, tmp_path / "run")[1]  # so has the workdir
    assert words in planned(config, tmp_path / "another")[1]
    config.audit = False
    assert words not in planned(config, tmp_path / "another")[1]


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0 "), (999, "999 "), (1000, "1 k"), (2.5e9, "2.5 G")]
)
def test_amounts_have_three_digits(value, shown):
    assert plan._amount(value, plan._OPERATIONS) == shown


@pytest.mark.slow
def test_what_a_run_would_leave_out_or_replace_is_said(tasks_dir, tmp_path):
    checkpoints = tmp_path / "checkpoints"
    shutil.copytree(GOLDEN / GENA, checkpoints / GENA)
    (checkpoints / GENA / "meta.json").unlink()
    config = made(models=GENA, tasks_dir=str(tasks_dir), checkpoints_dir=str(checkpoints))
    long = ",".join(["ACGGTCAATCG" * 30, "1", "train"])
    rows = "text,label,split\nACGTACGTAC,0,train\nACGTTCGTAC,1,train\nACGTTC,0,test\n"
    (tasks_dir / "three.csv").write_text(f"{rows}{long}\n")
    _, before = planned(config, tmp_path / "run")
    assert f"{GENA}: task 'three': train record 'ACGG" in before
    assert "the task would be left out" in before
    assert "replaced" not in before
    run(config, tmp_path / "run", Console(quiet=True))

    def scale(tensors):
        tensors.update({name: t * 1.01 for name, t in tensors.items() if t.dtype == np.float32})

    change_tensors(checkpoints / GENA, scale)
    plans, after = planned(config, tmp_path / "run")
    assert f"{GENA}: its scores on 'one' and 1 more task are of other weights" in after
    assert plans.loc[GENA, ["scored", "tasks"]].tolist() == [0, 2]


def test_records_that_a_model_does_not_see_in_full_are_counted_by_task(tasks_dir, tmp_path):
    rows = (tasks_dir / "two.csv").read_text().replace("ACGTA", "ACNTA")
    (tasks_dir / "two.csv").write_text(rows)
    _, text = planned(made(models="kmer-2", tasks_dir=str(tasks_dir)), tmp_path / "run")
    words = "hold letters other than A, C, G and T, and no 2-mer with one is counted (N; in 'two')"
    assert f"kmer-2: 18 of 18 records (100 %) {words}" in text


@pytest.mark.slow
def test_records_that_a_model_cuts_are_counted_by_task(tasks_dir, tmp_path):
    text = (tasks_dir / "one.csv").read_text().splitlines()
    sequence, rest = text[3].split(",", 1)
    text[3] = f"{sequence * 200},{rest}"
    (tasks_dir / "one.csv").write_text("\n".join(text) + "\n")
    cutting = "dnabert2-no-flashattention"
    checkpoints = tmp_path / "checkpoints"
    shutil.copytree(GOLDEN / cutting, checkpoints / cutting)
    (checkpoints / cutting / "meta.json").unlink()
    config = made(models=cutting, tasks_dir=str(tasks_dir), checkpoints_dir=str(checkpoints))
    _, text = planned(config, tmp_path / "run")
    said = "1 of 18 records (6 %) have more than 512 tokens and are cut there (in 'one')"
    assert said in text
