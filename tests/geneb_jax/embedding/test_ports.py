"""Checks before device time: models and tasks of a run together."""

import json
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest
from golden_ports import GOLDEN, MORE, golden_port

import geneb_jax
from geneb_jax.benchmark import CUSTOM, TaskInfo
from geneb_jax.config import ConfigError, DataSettings, EmbeddingSettings, Settings, default_config
from geneb_jax.embedding import engine, ports
from geneb_jax.embedding.models import find_source, find_sources
from geneb_jax.embedding.ports import PortSource
from geneb_jax.embedding.source import Refusal
from geneb_jax.run import run
from geneb_jax.tasks.task import Split, Task
from model_ports import catalog
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import random_port

GENA = "gena-lm-bert-base"  # its fixture has 24 positions
NT = "nucleotide-transformer-2.5b-multi-species"  # two tokens of its vocabulary have no row
LONG = "ACGGTCAATCG" * 30


@pytest.fixture
def checkpoints(tmp_path):
    """Fixtures as ordinary checkpoints: without the limits of their own that meta.json states."""
    for name in (GENA, NT):
        folder = tmp_path / "checkpoints" / name
        shutil.copytree(GOLDEN / name, folder)
        (folder / "meta.json").unlink()
    return tmp_path / "checkpoints"


def write_task(folder, name, rows):
    folder.mkdir(exist_ok=True)
    lines = ["text,label,split", *(",".join(map(str, row)) for row in rows)]
    (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")


def test_records_that_models_refuse_are_all_named_before_anything_starts(
    tmp_path, checkpoints, monkeypatch
):
    monkeypatch.setattr(PortSource, "_load", lambda *_: pytest.fail("weights were loaded"))
    tasks = tmp_path / "tasks"
    good = [("ACGT", 0, "train"), ("GGTT", 1, "train"), ("AATT", 0, "test")]
    write_task(tasks, "one", [*good, (LONG, 1, "test"), *[(LONG + x, 1, "train") for x in "ACGTN"]])
    config = default_config()
    config.update(models=f"kmer-2,{GENA}", tasks_dir=str(tasks), checkpoints_dir=str(checkpoints))
    config.fail_fast = True
    with pytest.raises(ConfigError) as error:
        run(config, tmp_path / "run")
    gena = f"config.models: '{GENA}': task 'one'"
    lines = str(error.value).splitlines()
    assert lines[0].startswith(f"{gena}: train record '{LONG[:40]}...' (331 letters) in row 5 has")
    assert lines[0].endswith("tokens, but the model has 24 positions; cut it")
    assert "in row 7 has" in lines[2]
    assert lines[3] == f"{gena}: ... and 2 more such train records"
    assert lines[4].startswith(f"{gena}: test record '{LONG[:40]}...' (330 letters) in row 4 has")
    assert not (tmp_path / "run").exists()
    config.fail_fast, config.regimes, config.report = False, "full", False
    assert set(run(config, tmp_path / "run").scores["model"]) == {"kmer-2"}


def test_tokens_that_a_model_has_no_row_for_are_named(checkpoints):
    info = TaskInfo("two", "two", CUSTOM, CUSTOM)
    train = Split(["AC<bos>", "ACGT", "GGTT"], np.array([1, 0, 1]))
    task = Task(info, train, Split(["AATT"], np.array([0])))
    source = find_source(NT, Settings(data=DataSettings(checkpoints_dir=checkpoints)))
    reason = (
        "train record 'AC<bos>' in row 1 has token id 4106, but the model has 4105 rows; remove "
        "special tokens from it"
    )
    assert source.check([task]) == [Refusal(reason, "two")]


def test_rows_are_those_of_the_file_after_subsampling(tmp_path, checkpoints):
    tasks = tmp_path / "tasks"
    rows = [("ACGT", i % 2, "train") for i in range(30)]
    write_task(tasks, "big", [*rows, ("AATT", 0, "test"), *[(LONG, 1, "train")] * 30])
    config = default_config()
    config.update(models=GENA, tasks_dir=str(tasks), checkpoints_dir=str(checkpoints), max_train=20)
    with pytest.raises(ConfigError) as error:
        run(config, tmp_path / "run")
    first = str(error.value).splitlines()[0]
    assert int(first.partition(" in row ")[2].split()[0]) > 31


def test_sequences_are_checked_before_weights_are_loaded(checkpoints, monkeypatch):
    monkeypatch.setattr(PortSource, "_load", lambda *_: pytest.fail("weights were loaded"))
    sequences = ["ACGT", LONG, "GG", LONG + "A"]
    with pytest.raises(ValueError) as error:
        geneb_jax.embed(GENA, sequences, checkpoints_dir=checkpoints)
    first, second = str(error.value).splitlines()
    assert first.startswith(f"model '{GENA}': record 1, '{LONG[:40]}...' (330 letters), has")
    assert second.startswith(f"model '{GENA}': record 3, ")
    with pytest.raises(ValueError, match="no hidden state 9"):
        geneb_jax.embed(GENA, ["ACGT"], checkpoints_dir=checkpoints, tap=9)


def test_what_can_be_embedded_is(checkpoints):
    found = geneb_jax.embed(GENA, ["ACGT", "GGN"], checkpoints_dir=checkpoints)
    assert found.shape[0] == 2
    assert np.isfinite(found).all()


@pytest.mark.parametrize("variant", ["", ":random", ":random:tiny"])
def test_unknown_fields_of_a_config_are_said_once_and_recorded(
    tmp_path, checkpoints, caplog, monkeypatch, variant
):
    path = checkpoints / GENA / "config.json"
    unknown = {"rotary_twist": 1, "b": None}
    path.write_text(json.dumps(json.loads(path.read_text()) | unknown))
    entry = catalog.get(GENA)  # whose config.json counts where a model is drawn
    entries = {**catalog.entries(), GENA: replace(entry, config={**entry.config, **unknown})}
    monkeypatch.setattr(catalog, "entries", lambda: entries)
    name = f"{GENA}{variant}"
    rows = [("ACGT", 0, "train"), ("GG", 1, "train"), ("A", 0, "test")]
    write_task(tmp_path / "tasks", "one", rows)
    config = default_config()
    config.update(models=f"kmer-2,{name}", tasks_dir=str(tmp_path / "tasks"), regimes="full")
    config.update(report=False, checkpoints_dir=str(checkpoints), poolings="preset,max")
    run(config, tmp_path / "run")
    said = [r.getMessage() for r in caplog.records if "rotary_twist" in r.getMessage()]
    assert said == [
        f"model '{name}': config.json has fields that this port does not know: rotary_twist, b; "
        "embeddings are wrong if they change the computation"
    ]
    models = json.loads((tmp_path / "run" / "run.json").read_text())["models"]
    assert models[name]["unknown_fields"] == ["rotary_twist", "b"]
    assert models[name]["pooling"] == ["mean", "max"]
    assert "unknown_fields" not in models["kmer-2"]


def test_what_is_to_know_of_a_model_is_said_once_and_recorded(tmp_path, caplog):
    """Of a checkpoint's weights, not of random ones; the preset of the latter pools another tap."""
    rows = [("ACGT", 0, "train"), ("GGTT", 1, "train"), ("AATT", 0, "test")]
    write_task(tmp_path / "tasks", "one", rows)
    config = default_config()
    config.update(models="evo2_1b_base,evo2_7b:random:tiny", tasks_dir=str(tmp_path / "tasks"))
    config.update(report=False, checkpoints_dir=str(MORE), regimes="full", dtype="float32")
    run(config, tmp_path / "run")
    defects = catalog.get("evo2_1b_base").known_defects
    said = [r.getMessage() for r in caplog.records if any(d in r.getMessage() for d in defects)]
    assert said == [f"model 'evo2_1b_base': {defect}" for defect in defects]
    models = json.loads((tmp_path / "run" / "run.json").read_text())["models"]
    assert models["evo2_1b_base"]["known_defects"] == list(defects)
    assert "known_defects" not in models["evo2_7b:random:tiny"]
    assert [models[name]["tap"] for name in models] == [-1, "mlp29"]


def test_a_field_that_is_not_computed_keeps_a_model_out(checkpoints):
    path = checkpoints / GENA / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"is_decoder": True}))
    source = find_source(GENA, Settings(data=DataSettings(checkpoints_dir=checkpoints)))
    reason = f"model '{GENA}': config.json: is_decoder is true; only false or null is computed here"
    assert source.check([]) == [Refusal(reason)]


def test_a_run_plans_a_checkpoint_once(tmp_path, checkpoints, monkeypatch):
    planned = []

    def plan(entry, *arguments):
        planned.append(entry.id)
        return plan_checkpoint(entry, *arguments)

    monkeypatch.setattr(ports, "plan_checkpoint", plan)
    write_task(
        tmp_path / "tasks", "one", [("ACGT", 0, "train"), ("GG", 1, "train"), ("A", 0, "test")]
    )
    config = default_config()
    config.update(models=GENA, tasks_dir=str(tmp_path / "tasks"), regimes="full", report=False)
    config.checkpoints_dir = str(checkpoints)
    assert set(run(config, tmp_path / "run").scores["model"]) == {GENA}
    assert planned == [GENA]


def parameters(port):
    """Numbers in the port's arrays, counted one array after another."""
    return sum(np.asarray(leaf).size for leaf in jax.tree.leaves(port.state))


def card(name, tmp_path, checkpoints=None):
    settings = Settings(data=DataSettings(checkpoints_dir=checkpoints))
    return find_source(name, settings).open(tmp_path).card


def test_weights_of_unknown_origin_do_not_go_under_the_authors_name(tmp_path, checkpoints):
    assert card(GENA, tmp_path, checkpoints) == {
        "model_id": f"{GENA}:local",
        "display": "GENA-LM, local weights",
        "params": parameters(golden_port(GENA)),
        "url": "local weights",
        "training_data": "not stated",
        "architecture": "T-enc",
        "tokenization": "BPE",
    }


def test_the_authors_weights_go_under_their_name(tmp_path, checkpoints, monkeypatch):
    monkeypatch.setattr(ports, "is_published", lambda entry, folder: folder.name == entry.id)
    entry = catalog.get(GENA)
    found = card(GENA, tmp_path, checkpoints)
    assert found == {
        "model_id": GENA,
        "display": "GENA-LM",
        "params": parameters(golden_port(GENA)),
        "url": entry.source["url"],
        "training_data": entry.labels["pretraining"],
        "architecture": "T-enc",
        "tokenization": "BPE",
    }
    assert found["params"] != entry.params  # of the fixture, which is small


def test_parameters_of_random_weights_are_counted(tmp_path):
    name = "hyenadna-medium-160k-seqlen-hf:random:tiny"
    found = card(name, tmp_path)
    assert (found["model_id"], found["display"], found["url"]) == (name, name, "")
    entry = catalog.get(name.partition(":")[0])
    assert found["params"] == parameters(random_port(entry, tiny=True)) > 0
    assert (found["architecture"], found["tokenization"]) == ("Hyena", "SN")


def test_a_control_has_the_architecture_of_the_checkpoint(tmp_path, checkpoints):
    settings = Settings(data=DataSettings((GENA,), controls=2, checkpoints_dir=checkpoints))
    (trained, first, second), problems = find_sources(settings)
    assert not problems
    expected = jax.tree.map(np.shape, golden_port(GENA).state)
    drawn = [source.open(tmp_path / "run").engine.port for source in (first, second)]
    assert all(jax.tree.map(np.shape, port.state) == expected for port in drawn)
    matrices = [max(jax.tree.leaves(port.state), key=np.size) for port in drawn]
    assert np.std(matrices[0]) == pytest.approx(0.02, rel=0.05)
    assert not np.allclose(*matrices)
    assert drawn[0].weights_id.startswith("random:checkpoint:0:sha256:")
    assert first.plan(tmp_path).width == trained.plan(tmp_path).width
    assert first.operations(100) == pytest.approx(trained.operations(100))
    (
        checkpoints / GENA / "config.json"
    ).unlink()  # of the tokenizer's files alone it is the paper's
    plan = find_source(f"{GENA}:random", settings).plan(tmp_path)
    assert plan.width == catalog.get(GENA).config["hidden_size"]
    assert plan.representations[0].identity["weights"].startswith("random:full:0:")


def test_a_control_takes_as_many_tokens_as_the_fixture(tmp_path):
    settings = Settings(data=DataSettings((GENA,), controls=1, checkpoints_dir=GOLDEN))
    (trained, control), _ = find_sources(settings)
    presets = [source.plan(tmp_path).representations[0].identity["preset"]
               for source in (trained, control)]  # fmt: skip
    assert presets[0] == presets[1]
    assert presets[0]["max_tokens"] == 24


def test_windows_of_a_run_are_averaged_and_stand_in_rows_of_their_own(tmp_path):
    name = "hyenadna-medium-160k-seqlen-hf:random:tiny"
    rng = np.random.default_rng(0)
    records = ["".join(rng.choice([*"ACGT"], n)) for n in (10, 25, 32, 47, 20, 21, 64, 12)]
    rows = [(s, i % 2, "train" if i < 6 else "test") for i, s in enumerate(records)]
    write_task(tmp_path / "tasks", "one", rows)
    config = default_config()
    config.update(models=name, tasks_dir=str(tmp_path / "tasks"), regimes="full", report=False)
    whole = run(config, tmp_path / "run").scores
    config.window = "20/10"
    both = run(config, tmp_path / "run").scores
    assert whole["pooling"].unique().tolist() == ["mean"]
    assert sorted(both["pooling"].unique()) == ["mean", "mean@20-10"]

    of_25, of_32 = records[1], records[2]
    by_hand = [[of_25[:20], of_25[5:]], [of_32[:20], of_32[10:30], of_32[12:]]]
    found = geneb_jax.embed(name, records, window="20/10")
    np.testing.assert_allclose(found[0], geneb_jax.embed(name, records[:1])[0], atol=1e-6)
    for row, windows in zip(found[1:3], by_hand, strict=True):
        mean = geneb_jax.embed(name, windows).mean(axis=0)  # of as many tokens each
        np.testing.assert_allclose(row, mean, atol=1e-6)
    kept = [path.name for path in (tmp_path / "run" / "embeddings").glob("*/*")]
    assert len(kept) == 2
    assert any("mean@20-10" in each for each in kept)
    with pytest.raises(ValueError, match="window is '20/30': a stride above the window"):
        geneb_jax.embed(name, records, window="20/30")


def test_windows_need_a_record_that_is_embedded_alone():
    settings = EmbeddingSettings(preset="published", window=(100, 50))
    published = next(
        entry.id
        for entry in catalog.entries().values()
        if "unavailable" not in entry.presets["published"]
        and entry.preset("published").batching == "input-order"
    )
    data = DataSettings(checkpoints_dir=GOLDEN)
    source = find_source(published, Settings(data=data, embedding=settings))
    (refusal,) = source.check([])
    assert "embeds a record with its batch, and none of its windows" in refusal.reason


def test_sequences_that_do_not_fit_the_device_together_are_embedded_in_smaller_batches(monkeypatch):
    name = "hyenadna-medium-160k-seqlen-hf:random:tiny"
    sequences = [LONG[:n] for n in range(20, 36)]
    whole = geneb_jax.embed(name, sequences)
    real = engine.Engine.compiled

    def compiled(machine, batch):
        if batch.size > 4:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")
        return real(machine, batch)

    monkeypatch.setattr(engine.Engine, "compiled", compiled)
    found = geneb_jax.embed(name, sequences)
    np.testing.assert_allclose(found, whole, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("preset", ["corrected", "published"])
def test_progress_is_of_all_records_whatever_is_kept_or_in_several_tasks(tmp_path, preset):
    settings = Settings(embedding=EmbeddingSettings(preset=preset, published_batch_size=2))
    opened = find_source("hyenadna-medium-160k-seqlen-hf:random:tiny", settings).open(tmp_path)
    train, test = ["ACGT", "GGTTA", "ACGT", "CCA"], ["GGTTA", "TTTTACG"]
    tasks = [
        Task(
            TaskInfo(name, name, CUSTOM, CUSTOM),
            Split([*train, *more], np.zeros(len(train) + len(more), int)),
            Split(test, np.zeros(len(test), int)),
        )
        for name, more in (("one", []), ("two", ["GATTACA", "AC"]))
    ]
    first, both, again = [], [], []
    opened.prepare(tasks[:1], first.append)
    opened.prepare(tasks, both.append)
    opened.prepare(tasks, again.append)
    assert (sum(first), sum(both)) == (6, 6 + 8)
    assert not again  # all is kept: nothing takes time


def test_what_is_to_know_of_a_model_is_said_where_it_is_used(caplog):
    more = "gLM2_650M"
    assert geneb_jax.embed(more, ["ACGT"], checkpoints_dir=MORE).shape == (1, 30)
    said = [r.getMessage() for r in caplog.records if "amino acids" in r.getMessage()]
    assert said == [f"model '{more}': {catalog.get(more).known_defects[0]}"]
    caplog.clear()
    geneb_jax.embed(f"{more}:random:tiny", ["ACGT"], checkpoints_dir=MORE)
    said = [r.getMessage() for r in caplog.records if "amino acids" in r.getMessage()]
    assert said == [f"model '{more}:random:tiny': {catalog.get(more).known_defects[0]}"]


def test_defects_of_a_published_extractor_are_said_with_its_preset(caplog):
    name = "caduceus-ps_seqlen-131k_d_model-256_n_layer-16"
    settings = Settings(data=DataSettings(checkpoints_dir=GOLDEN))
    find_source(name, settings).check([])
    assert not [r for r in caplog.records if name in r.getMessage()]
    find_source(name, replace(settings, embedding=EmbeddingSettings(preset="published"))).check([])
    said = [r.getMessage() for r in caplog.records if name in r.getMessage()]
    assert said == [f"model '{name}': {text}" for text in catalog.get(name).known_defects]
