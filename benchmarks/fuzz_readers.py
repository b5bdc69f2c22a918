"""The readers that `benchmarks.fuzz` hands damaged files to, with valid folders to start from.

Every folder is made by the project's writers, or comes from the conformance fixtures.
"""

# pyright: reportMissingImports=false

import contextlib
import gzip
import importlib.util
import io
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pandas as pd

from benchmarks.needs import FIXTURES
from model_ports import catalog

Files = Mapping[str, bytes]  # contents by path inside a folder

_NT = "nucleotide-transformer-v2-50m-3mer-multi-species"
_RECORDS = ("ACGTACGTAC", "acgtnNNN", "R", "", "<cls>A", "ACGTé\n")


class RefusedError(Exception):
    """A command ended with another status than 0; the message is what it printed to stderr."""


class Reader(NamedTuple):
    """What reads a kind of file.

    Attributes:
        seeds: Makes the valid folders, as lists of files.
        read: Reads a folder; what it raises is judged.
        damaged: Endings of the files that are damaged; others stay as they are.
    """

    seeds: Callable[[], Sequence[Files]]
    read: Callable[[Path], object]
    damaged: tuple[str, ...] = ("",)


def folder_files(folder: Path) -> Files:
    """Returns every file under a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _made(make: Callable[[Path], object]) -> Files:
    """Returns the files that a function writes into a folder."""
    with tempfile.TemporaryDirectory() as name:
        make(Path(name))
        return folder_files(Path(name))


def _fixture(model_id: str, *names: str) -> Files:
    files = folder_files(FIXTURES / model_id)
    wanted = names or ("config.json", "vocab.txt", "tokenizer.json", "tokenizer_config.json",
                       "special_tokens_map.json", "model.safetensors", "meta.json")  # fmt: skip
    return {"model": model_id.encode()} | {n: c for n, c in files.items() if n in wanted}


def _model_of(folder: Path) -> str:
    return (folder / "model").read_text()


# --- tasks and records


def _rows(delimiter: str, split: str | None, count: int) -> bytes:
    header = ["name", "text", "label"] + (["split"] if split is None else [])
    rows = [
        [f"chr1:{i}", "ACGT"[i % 4 :] + "GATTACA", str(i % 2)]
        + ([("train", "test")[i // 2 % 2]] if split is None else [])
        for i in range(count)
    ]
    return ("\n".join(delimiter.join(row) for row in [header, *rows]) + "\n").encode()


def _parquet(name: str, content: bytes) -> list[Files]:
    """Returns a folder of a table as Parquet, where a library for it is installed."""
    if not importlib.util.find_spec("pyarrow"):
        return []

    buffer = io.BytesIO()
    pd.read_csv(io.BytesIO(content)).to_parquet(buffer)
    return [{name: buffer.getvalue()}]


def _task_seeds() -> Sequence[Files]:
    table = _rows(",", None, 12)
    return [
        {"mine.csv": table},
        {"mine.tsv": _rows("\t", None, 12)},
        {"mine.csv.gz": gzip.compress(table, mtime=0)},
        *_parquet("mine.parquet", table),
        {"mine/train.csv": _rows(",", "train", 8), "mine/test.csv": _rows(",", "test", 4)},
        {"tasks/mine/train.csv": _rows(",", "train", 8), "tasks/mine/test.csv": _rows(",", "", 4)},
    ]


def _read_tasks(folder: Path) -> None:
    from geneb_jax.tasks.description import describe
    from geneb_jax.tasks.reading import find_tasks, read_task

    for info in find_tasks(folder).values():
        describe(read_task(folder, info))


def _record_seeds() -> Sequence[Files]:
    fasta = b"; a comment\n>s1 first\nACGT\nACGT\n>s2\nGATTACA-N*\n>s3\nacgt\n"
    fastq = b"@s1 x\nACGT\n+\nIIII\n@s2\nGATT\n+s2\n!!!!\n"
    table = _rows(",", "x", 5)
    return [
        {"x.fa": fasta},
        {"x.fa.gz": gzip.compress(fasta, mtime=0)},
        {"x.fq": fastq},
        {"x.txt": b"ACGT\nGATTACA\nAC\n\n"},
        {"x.csv": table},
        *_parquet("x.parquet", table),
    ]


def _read_records(folder: Path) -> None:
    from geneb_jax.tasks.sequences import read_sequences

    for path in sorted(folder.glob("x.*")):
        read_sequences(path)


def _task() -> Any:
    from geneb_jax.benchmark import CUSTOM, TaskInfo
    from geneb_jax.tasks.task import Split, Task

    train, test = Split(["AC"] * 4, np.arange(4) % 2), Split(["GT"] * 2, np.arange(2))
    return Task(TaskInfo("mine", "mine", CUSTOM, CUSTOM), train, test)


def _npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # pyright: ignore (its stub)
    return buffer.getvalue()


def _embedding_seeds() -> Sequence[Files]:
    train, test = np.ones((4, 3), np.float32), np.ones((2, 3), np.float32)
    ids = np.array([*(f"train-{i}" for i in range(4)), "test-0", "test-1"])
    by_id = _npz(embeddings=np.concatenate([train, test]), ids=ids)
    return [{"mine.npz": _npz(train=train, test=test)}, {"mine.npz": by_id}]


def _read_embeddings(folder: Path) -> None:
    from geneb_jax.embedding.stored import read_embeddings

    read_embeddings(folder, _task())


# --- checkpoints


def _config_seeds() -> Sequence[Files]:
    return [_fixture(path.name) for path in sorted(FIXTURES.iterdir()) if path.is_dir()]


def _plan(folder: Path) -> None:
    from model_ports.loading.planned import plan_checkpoint

    plan_checkpoint(catalog.get(_model_of(folder)), folder)


def _tokenizer_seeds() -> Sequence[Files]:
    names = ("vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
    seeds = [_fixture(path.name, *names) for path in sorted(FIXTURES.iterdir()) if path.is_dir()]
    dna_gpt = _fixture("dna_gpt0.1b_h", "config.json")
    return [*(seed for seed in seeds if len(seed) > 1), dna_gpt]


def _tokenize(folder: Path) -> None:
    from model_ports import catalog
    from model_ports.tokenizers import build_tokenizer

    tokenizer = build_tokenizer(folder, catalog.get(_model_of(folder)).tokenizer)
    for limit in (None, 6):
        for ids in tokenizer.encode(_RECORDS, limit):
            assert ids.dtype == np.int32
            assert limit is None or len(ids) <= limit
    assert tokenizer.vocab_size > 0
    assert tokenizer.specials >= 0
    assert tokenizer.pad_id >= 0


def _tensor_seeds() -> Sequence[Files]:
    from safetensors.numpy import save

    first = {"a.weight": np.ones((3, 2), np.float32), "a.bias": np.ones(3, np.float16)}
    second = {"b.weight": np.ones((2, 2), np.float64)}
    index = {
        "metadata": {"total_size": 62},
        "weight_map": dict.fromkeys(first, "model-1.safetensors")
        | dict.fromkeys(second, "model-2.safetensors"),
    }
    return [
        {"model.safetensors": save({**first, **second})},
        {
            "model-1.safetensors": save(first),
            "model-2.safetensors": save(second),
            "model.safetensors.index.json": json.dumps(index).encode(),
        },
        *_pickled(first),
    ]


def _pickled(arrays: Mapping[str, np.ndarray]) -> list[Files]:
    """Returns a folder of a checkpoint as PyTorch writes it, where that is installed."""
    if not importlib.util.find_spec("torch"):
        return []
    import torch

    buffer = io.BytesIO()
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, buffer)
    return [{"pytorch_model.bin": buffer.getvalue()}]


def _read_tensors(folder: Path) -> None:
    from model_ports.loading.tensors import open_checkpoint

    tensors = open_checkpoint(folder)
    for name, shape in tensors.items():
        dtype = tensors.dtype(name)
        row = np.empty(shape, dtype)
        tensors.read_row(name, None, row)


def _conversion_seeds() -> Sequence[Files]:
    """A source with its source.json, and a conversion that was interrupted."""
    from model_ports.loading.convert import convert

    class StopError(Exception):
        pass

    def stop(_: str, done: int, total: int) -> None:
        if done == total // 2:
            raise StopError

    def make(folder: Path) -> None:
        for name, content in _fixture(_NT).items():
            _write(folder / name, content)
        source = {"repo": "a/b", "revision": "0" * 40, "files": {}}
        (folder / "source.json").write_text(json.dumps(source))
        with contextlib.suppress(StopError):
            convert(catalog.get(_NT), folder, folder / "out", stop)

    return [_made(make)]


def _convert(folder: Path) -> None:
    from model_ports.loading.convert import convert

    convert(catalog.get(_NT), folder, folder / "out")


def _converted_seeds() -> Sequence[Files]:
    from model_ports.loading.convert import convert

    files = _made(lambda folder: convert(catalog.get(_NT), FIXTURES / _NT, folder))
    inside = {name.removeprefix(f"{_NT}/"): content for name, content in files.items()}
    return [{"model": _NT.encode()} | inside]


def _stage_seeds() -> Sequence[Files]:
    from geneb_jax.files.digests import folder_facts

    def make(folder: Path) -> None:
        staged = folder / _NT
        for name, content in _fixture(_NT).items():
            _write(staged / name, content)
        facts = folder_facts(staged, sorted(staged.iterdir()))
        source = {"repo": "a/b", "revision": "0" * 40, "files": facts}
        (staged / "source.json").write_text(json.dumps(source))

    return [_made(make)]


def _stage(folder: Path) -> None:
    from model_ports.loading.fetch import stage

    stage(catalog.get(_NT), folder)


# --- what a run keeps and what is read of it


def _scores() -> Any:

    from geneb_jax.benchmark import GENEB
    from geneb_jax.scoring.scores import COLUMNS, OPTIONAL, PROTOCOL
    from probes import METRICS

    text = {"model": "kmer-4", "preset": "none", "dtype": "float32", "tap": "none",
            "pooling": "none", "regime": "full"}  # fmt: skip
    numbers = {"iterations": 5, "objective": 0.6, "gradient_norm": 1e-5, "converged": True}
    rows = [
        {**text, "task": task.id, "category": task.category, **PROTOCOL, "seed": seed,
         **dict.fromkeys(METRICS, 0.5), **numbers}
        for task in GENEB.tasks[:2] for seed in GENEB.seeds[:2]
    ]  # fmt: skip
    return pd.DataFrame(rows)[[name for name in COLUMNS if name not in OPTIONAL]]


def _score_seeds() -> Sequence[Files]:
    from geneb_jax.scoring.scores import write_scores

    def make(folder: Path) -> None:
        write_scores(_scores(), folder / "scores.csv")
        provenance = {"config": {"models": "kmer-4"}, "seconds": {"total": 1.0, "probe kmer-4": 1}}
        (folder / "run.json").write_text(json.dumps(provenance))

    return [_made(make)]


def _read_scores(folder: Path) -> None:
    from geneb_jax.presentation.published import model_labels
    from geneb_jax.presentation.report import report_data
    from geneb_jax.presentation.results import labels_of, read_source
    from geneb_jax.presentation.tables import write_tables

    source = read_source(str(folder))
    if source.scores is not None:
        seconds = (source.provenance or {}).get("seconds")
        sum((seconds or {}).values())
    results = source.results
    report_data(results, list(results["model"].unique()))
    labels_of(list(results["model"].unique()), model_labels())
    write_tables(results, folder / "tables", source.scores)


def _submission_seeds() -> Sequence[Files]:
    from geneb_jax.benchmark import GENEB

    def content(name: str) -> bytes:
        cell = {"MCC": 0.5, "Acc": 0.7, "F1": 0.6}
        results = {regime: {task.id: cell for task in GENEB.tasks[:3]} for regime in GENEB.regimes}
        known = {"schema_version": GENEB.schema_version, "model_id": name, "results": results}
        return json.dumps(known | {"harness_version": "1", "meta": {"display": name}}).encode()

    return [{"a.json": content("a"), "b.json": content("DNABERT-S")}]


def _cell_identity() -> Mapping[str, Any]:
    return {"model": {"model": "kmer-4", "numerics": 1}, "task": "digest"}


def _cell_seeds() -> Sequence[Files]:
    from geneb_jax.scoring.cells import Cell

    def make(folder: Path) -> None:
        rows = _scores()
        for task, part in rows.groupby("task"):
            Cell(folder / "cells" / "kmer-4" / f"{task}.json", _cell_identity()).add(part)

    return [_made(make)]


def _read_cells(folder: Path) -> None:
    from geneb_jax.config import ProbeSettings
    from geneb_jax.scoring.cells import Cell, gather
    from geneb_jax.scoring.heads import hold_all_heads
    from geneb_jax.scoring.scores import arrange

    rows = _scores()
    for task, part in rows.groupby("task"):
        cell = Cell(folder / "cells" / "kmer-4" / f"{task}.json", _cell_identity())
        hold_all_heads(cell.read(), ProbeSettings())
        cell.add(part)
    gathered = gather(folder / "cells", {}, {})
    arrange(gathered.rows, ["kmer-4"])


_KEYS = [bytes([i]) * 16 for i in range(5)]


def _store_seeds() -> Sequence[Files]:
    from geneb_jax.embedding.store import Store

    def make(folder: Path) -> None:
        store = Store(folder / "store", {"model": "x"})
        store.add(_KEYS[:3], np.ones((3, 2)))
        store.add(_KEYS[3:], np.ones((2, 2)))

    return [_made(make)]


def _read_store(folder: Path) -> None:
    from geneb_jax.embedding.store import Store

    store = Store(folder / "store", {"model": "x"})
    missing = sorted(store.missing(_KEYS))
    if missing:
        store.add(missing, np.ones((len(missing), 2)))
    assert (store.get(_KEYS) == 1).all()


_LARGE = bytes(2**20 + 1)


def _digest_seeds() -> Sequence[Files]:
    from geneb_jax.files import digests

    def make(folder: Path) -> None:
        (folder / "large").write_bytes(_LARGE)
        with mock.patch.dict(os.environ, XDG_CACHE_HOME=str(folder)):
            digests._keep(digests._stamp(folder / "large"), "0" * 64)

    files = dict(_made(make))
    files.pop("large")
    return [files]


def _read_digests(folder: Path) -> None:
    """Puts the damaged entry where the digest of a file is looked up, with the file's stamp."""
    import hashlib

    from geneb_jax.files import digests

    path = folder / "large"
    path.write_bytes(_LARGE)
    with mock.patch.dict(os.environ, XDG_CACHE_HOME=str(folder)):
        for entry in (folder / "geneb_jax" / "digests").glob("[!.]*.json"):
            entry.rename(digests._cache_file(digests._stamp(path)))
        assert digests.file_facts(path)["sha256"] == hashlib.sha256(_LARGE).hexdigest()


def _device_seeds() -> Sequence[Files]:
    from geneb_jax.devices.capacity import keep_facts

    facts: dict[str, dict[str, Any]] = {
        "matmul_rate": {"float32": 1e9}, "fitting_tokens": {"M sha256 float32": 2048},
    }  # fmt: skip
    return [_made(lambda folder: keep_facts(folder, facts))]


def _read_devices(folder: Path) -> None:
    from geneb_jax.devices.capacity import keep_facts, read_facts

    facts = read_facts(folder)
    for tokens in facts["fitting_tokens"].values():
        assert type(tokens) is int and tokens > 0, tokens
    for rate in facts["matmul_rate"].values():
        assert type(rate) in (int, float) and 0 < rate < float("inf"), rate
    keep_facts(folder, facts)


# --- calls


_CONFIG = b"""from geneb_jax.config import default_config


def get_config():
    config = default_config()
    config.models = "kmer-4"
    config.C = "0.1,1"
    config.seeds = "13,17"
    config.taps = "-1"
    config.report = False
    return config
"""


def _command(*words: str) -> None:
    """Runs `geneb-jax`; nothing is evaluated: a config is parsed."""
    from geneb_jax.commands import main
    from geneb_jax.config import parse_config

    def only_parse(config: Any, *_: Any) -> Any:
        parse_config(config)
        return SimpleNamespace(failures=())

    out = io.StringIO()
    with (
        mock.patch("geneb_jax.run.run", only_parse),
        contextlib.redirect_stderr(out),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        try:
            status = main(words)
        except SystemExit as end:
            status = end.code
    if status:
        raise RefusedError(f"{status}: {out.getvalue()}")


def _run_config(folder: Path) -> None:
    _command("run", f"--config={folder / 'mine.py'}", f"--workdir={folder / 'work'}")


_CALLS = (
    "run\n--config=quickstart\n--workdir=work\n--config.C=0.1,1\n--config.mesh=model=2",
    "run\n--config=full\n--workdir=work\n--config.max_train=10\n--config.report=False",
    "run\n--config=paper\n--workdir=work\n--config.processes=0/2@localhost:7000",
    "tasks\n--tasks=sentinel",
    "tasks\n--tasks_dir=tasks\n--csv=out.csv",
    "embed\n--model=kmer-1\n--input=x.fa\n--out=x.npz\n--taps=-1\n--poolings=mean",
    "tables\n--submissions=none\n--labels=v4\n--out=out",
    "models\nconvert\nMutBERT\n--source=none\n--out=out",
    "models\nverify\nnone",
)


def _call_seeds() -> Sequence[Files]:
    beside = {"tasks/mine.csv": _rows(",", None, 12), "x.fa": b">a\nACGT\n"}
    return [{"call.txt": call.encode(), **beside} for call in _CALLS]


def _call(folder: Path) -> None:
    if not (folder / "call.txt").is_file():
        return
    words = (folder / "call.txt").read_bytes().decode("utf-8", "surrogateescape").split("\n")
    if words[0] == "tables" and "--submissions=none" not in words:
        return  # of the published scores: half a minute of figures
    with contextlib.chdir(folder):
        _command(*words)


READERS: Mapping[str, Reader] = {
    "tasks": Reader(_task_seeds, _read_tasks),
    "records": Reader(_record_seeds, _read_records),
    "embeddings": Reader(_embedding_seeds, _read_embeddings),
    "config": Reader(_config_seeds, _plan, ("config.json", "meta.json")),
    "tokenizer": Reader(_tokenizer_seeds, _tokenize, (".json", ".txt")),
    "tensors": Reader(_tensor_seeds, _read_tensors),
    "converted": Reader(_converted_seeds, _plan, ("manifest.json", ".zarray", ".json", "0.0")),
    "conversion": Reader(_conversion_seeds, _convert, ("progress.json", "source.json")),
    "staged": Reader(_stage_seeds, _stage, ("source.json",)),
    "scores": Reader(_score_seeds, _read_scores),
    "submissions": Reader(_submission_seeds, _read_scores),
    "cells": Reader(_cell_seeds, _read_cells),
    "store": Reader(_store_seeds, _read_store),
    "digests": Reader(_digest_seeds, _read_digests),
    "devices": Reader(_device_seeds, _read_devices),
    "run config": Reader(lambda: [{"mine.py": _CONFIG}], _run_config),
    "calls": Reader(_call_seeds, _call, ("call.txt",)),
}


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
