"""The law of all benchmarks: what is lacking is said first, and rows are kept as they end."""

import importlib
import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest
from golden_ports import GOLDEN

import benchmarks
from benchmarks import memory, needs, task_audit, task_tokens

FOLDER = Path(benchmarks.__file__).parent
# Programs that a benchmark starts: the sides that it compares, and what begins its processes.
SIDES = {"cold_peer", "embedding_engine", "embedding_torch", "processes"}
# What each benchmark needs besides the package, and the words with which it does.
NEEDS = {
    "accelerator": {"fixtures": "--scale toy"},
    "all_tasks": {},
    "attention": {},
    "cold": {
        "fixtures": "", "linux": "", "tasks": "", "sklearn": "--only kmers",
        "joblib": "--only kmers", "torch": "--only model",
    },
    "conversion": {"fixtures": "", "linux": "", "torch": "--format torch"},
    "coverage": {},
    "embedding": {"fixtures": "", "linux": "", "torch": ""},
    "few_shot": {},
    "fuzz": {"fixtures": "", "linux": ""},
    "long_families": {"fixtures": "", "torch": ""},
    "long_inputs": {"linux": ""},
    "memory": {"linux": "", "tasks": "--tasks_dir {tasks}"},
    "padding_window": {},
    "ports": {"fixtures": ""},
    "precision": {"fixtures": "", "tasks": ""},
    "probe_optimum": {"sklearn": "", "tasks": "--tasks_dir {tasks}"},
    "probe_parity": {"sklearn": "", "tasks": ""},
    "probes": {"sklearn": ""},
    "projection": {"fixtures": ""},
    "scaling": {"fixtures": ""},
    "stress": {"linux": ""},
    "sweeps": {"sklearn": "--only tuned"},
    "task_audit": {"tasks": ""},
    "task_tokens": {"tasks": "", "tokenizers": ""},
    "tokenizers": {"fixtures": ""},
    "tpu_aot": {"fixtures": "", "libtpu": ""},
}  # fmt: skip
# Options without which a benchmark does not begin.
REQUIRED = {
    "cold": "--tasks_dir {tasks}",
    "precision": "--tasks_dir {tasks} --workdir {tmp}/work",
    "probe_parity": "--tasks_dir {tasks}",
    "task_audit": "--tasks_dir {tasks}",
    "task_tokens": "--tasks_dir {tasks} --tokenizers {golden}",
}
# What each need is called where it is not there, and how it is mended.
SAID = {
    "fixtures": "conformance fixtures; run the benchmark from a clone",
    "linux": "run the benchmark on Linux",
    "tasks": r"holds no task( as a .csv file)?; name a folder of TASK\.csv",
    "tokenizers": "is not there: tokenizers; tests/golden has them",
    "sklearn": r"sklearn is not installed: pip install '\.\[test\]'",
    "joblib": r"joblib is not installed: pip install '\.\[test\]'",
    "torch": r"torch is not installed: pip install '\.\[convert\]'",
    "libtpu": r"libtpu is not installed: pip install '\.\[tpu-aot\]'",
}
# Benchmarks that end in seconds at these sizes, and what a row of theirs has.
NT = "nucleotide-transformer-v2-50m-multi-species"
QUICK = {
    "all_tasks": ("--tasks 1 --width 4", {"task", "seconds", "MCC"}),
    "attention": ("--lengths 16 --tokens 16", {"engine", "blocks", "whole"}),
    "coverage": ("--only shots --count 1", {"case", "share"}),
    "few_shot": ("--tasks 2 --width 4", {"engine", "first_cpu", "warm_wall"}),
    "fuzz": ("--readers records --minutes 0.01 --faults {tmp}/faults", {"inputs", "fault"}),
    "memory": ("--only toy", {"stage", "gib"}),
    "ports": (f"--models {NT}", {"change", "cosine"}),
    "probe_optimum": ("--problems two", {"excess", "iterations", "met"}),
    "probe_parity": ("--features kmer-2 --C 1 --regimes full,1shot", {"MCC", "MCC_float64"}),
    "probes": ("--only 60,6,2 --solvers geneb", {"geneb", "scikit-learn"}),
    "sweeps": ("--only layers --shapes 60,6,2", {"cpu", "wall"}),
    "task_audit": ("", {"task", "verdict"}),
    "task_tokens": ("", {"task", "counted", "letters"}),
    "tokenizers": ("--records 10", {"kind", "seconds"}),
}
SLOW = {
    "conversion": (f"--model {NT} --gigabytes 0.01", {"peak", "bound"}),
    "embedding": (f"--model {NT} --records 4 --length 8", {"rate", "of_matmul"}),
    "long_inputs": ("--models NTv3_8M_pre --lengths 128", {"seconds", "gib"}),
    "precision": (f"--models {NT}:random:tiny", {"mean", "largest"}),
}


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """Runs a benchmark with some words; a folder of one task is there."""
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    letters = {0: "ACGTTGCA", 1: "CCGGATCG"}
    rows = [f"{letters[i % 2] * 3}{'ACGT'[i % 4] * (i % 5)},{i % 2}" for i in range(40)]
    lines = [f"{row},{'train' if i < 24 else 'test'}" for i, row in enumerate(rows)]
    name = "leannmlindsey_GUE_mouse_0"
    (tasks / f"{name}.csv").write_text("\n".join(["text,label,split", *lines]) + "\n")

    def run(name, *words):
        values = {"tasks": tasks, "tmp": tmp_path, "golden": GOLDEN}
        all_words = [word.format(**values) for word in " ".join(words).split()]
        monkeypatch.setattr(sys, "argv", [name, *all_words])
        importlib.import_module(f"benchmarks.{name}").main()

    return run


def take_away(need, tmp_path, monkeypatch):
    """Makes what a benchmark needs absent."""
    if need == "fixtures":
        monkeypatch.setattr(needs, "FIXTURES", tmp_path / "none")
    elif need == "linux":
        monkeypatch.setattr(needs, "_PROC", tmp_path / "none")
    elif need == "tasks":
        for path in (tmp_path / "tasks").iterdir():
            path.rename(path.with_suffix(".md"))
    elif need == "tokenizers":
        monkeypatch.setitem(REQUIRED, "task_tokens", "--tasks_dir {tasks} --tokenizers {tmp}")
    else:
        found = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: None if name == need else found(name)
        )


def refusal(call, capsys):
    """Returns the one line with which a call is refused, after nothing was printed."""
    with pytest.raises(SystemExit) as end:
        call()
    said = capsys.readouterr()
    assert end.value.code == 2 and not said.out
    (line,) = said.err.splitlines()
    return line


def test_every_benchmark_stands_in_the_table():
    programs = {path.stem for path in FOLDER.glob("*.py") if "\ndef main(" in path.read_text()}
    assert programs == NEEDS.keys() | SIDES
    assert not NEEDS.keys() & SIDES


@pytest.mark.parametrize("name", NEEDS)
def test_help_shows_the_modules_text_and_out(name, begin, capsys):
    with pytest.raises(SystemExit) as end:
        begin(name, "--help")
    assert end.value.code == 0
    shown = capsys.readouterr().out
    text = importlib.import_module(f"benchmarks.{name}").__doc__
    assert text in shown and "--out FILE" in shown
    assert "Needs" in text or name == "accelerator"
    assert "--out" in text.split("Needs")[-1] or "`--out" in text


@pytest.mark.parametrize("name", NEEDS)
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(
    name, begin, tmp_path, capsys
):
    words = REQUIRED.get(name, "")
    line = refusal(lambda: begin(name, words, "--out {tmp}/none/rows.jsonl"), capsys)
    assert "rows.jsonl has no folder to lie in; make " in line
    (tmp_path / "image.png").write_bytes(b"\x89PNG")
    line = refusal(lambda: begin(name, words, "--out {tmp}/image.png"), capsys)
    assert "image.png, line 1: no row of a benchmark" in line
    assert "is a folder; name a file" in refusal(lambda: begin(name, words, "--out {tmp}"), capsys)


@pytest.mark.parametrize(
    ("name", "need"), [(name, need) for name, own in NEEDS.items() for need in own]
)
def test_what_a_benchmark_lacks_is_said_in_a_line(name, need, begin, tmp_path, monkeypatch, capsys):
    take_away(need, tmp_path, monkeypatch)
    line = refusal(lambda: begin(name, REQUIRED.get(name, ""), NEEDS[name][need]), capsys)
    assert re.search(SAID[need], line), line


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("fuzz", "--readers tasks,none", "no reader none; valid: "),
        ("probe_parity", "--tasks none", "tasks holds no task none"),
        ("probes", "--solvers geneb,none", "no solver none; valid: "),
    ],
)
def test_a_name_that_is_not_known_is_refused(name, words, said, begin, capsys):
    assert said in refusal(lambda: begin(name, REQUIRED.get(name, ""), words), capsys)


@pytest.mark.parametrize(
    ("name", "words", "columns"),
    [
        *((name, *case) for name, case in QUICK.items()),
        *(pytest.param(name, *case, marks=pytest.mark.slow) for name, case in SLOW.items()),
    ],
)
def test_rows_are_kept_as_lines_of_json(name, words, columns, begin, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(memory, "ROWS", {"toy": ("kmer-2", 200)})
    shipped = tmp_path / "task_audit.csv"
    shipped.write_bytes(task_audit.SHIPPED_AUDIT.read_bytes())
    monkeypatch.setattr(task_audit, "SHIPPED_AUDIT", shipped)
    monkeypatch.setattr(task_tokens, "OUT", tmp_path / "task_tokens.csv")
    out = tmp_path / "rows.jsonl"
    try:
        begin(name, REQUIRED.get(name, ""), words, "--out {tmp}/rows.jsonl")
    except SystemExit as end:
        assert not end.code, capsys.readouterr().err
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert rows
    for row in rows:
        assert columns & row.keys()
    assert columns <= set().union(*rows)
    assert len(capsys.readouterr().out.splitlines()) >= len(rows)
