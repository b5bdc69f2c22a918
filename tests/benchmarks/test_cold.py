import json

import pytest

from benchmarks import cold
from benchmarks.processes import ROOT
from geneb_jax.commands.run import _parse
from geneb_jax.config import parse_config


def settings_of(words):
    program, *flags = words
    config, workdir = _parse(flags)
    return program, parse_config(config), workdir


def test_a_run_beside_a_peer_does_what_the_peer_does_and_no_more(tmp_path):
    program, settings, workdir = settings_of(cold.run_words(tmp_path, "models=kmer-4", "C=0.1,1"))
    assert (ROOT / program).is_file() and workdir == tmp_path
    assert not (settings.output.report or settings.output.intervals or settings.audit.audit)
    assert settings.probes.C == (0.1, 1.0)


def test_what_the_peer_does_not_do_can_be_asked_for(tmp_path):
    words = cold.run_words(tmp_path, "models=kmer-4", "audit=True", "intervals=True")
    _, settings, _ = settings_of(words)
    assert settings.output.intervals and settings.audit.audit and not settings.output.report


def test_a_row_is_printed_and_written_with_what_the_process_took(tmp_path, capsys):
    bench = cold.Bench(tmp_path, tmp_path / "rows.jsonl")
    cache = tmp_path / "cache"
    cache.mkdir()
    code = f"import pathlib; sum(range(3 * 10**7)); pathlib.Path({str(cache)!r}, 'x-cache').touch()"
    first = bench.run("counts", ["-c", code], cache)
    bench.run("  peer", ["-c", "sum(range(3 * 10**7))"], cache, beside=first)
    assert first.programs == 1 and 0 < first.cpu and 0 < first.gib < 0.1
    assert first.cpu <= first.wall + 0.5
    counts, peer = map(json.loads, (tmp_path / "rows.jsonl").read_text().splitlines())
    assert counts["name"] == "counts" and counts["cpu"] == first.cpu
    assert peer["cpu_ratio"] == pytest.approx(first.cpu / peer["cpu"], rel=0.15)
    line = capsys.readouterr().out.splitlines()[-1]
    assert float(line.split()[-2]) == pytest.approx(peer["cpu_ratio"], abs=0.005)


def test_a_process_that_fails_is_shown(tmp_path):
    bench = cold.Bench(tmp_path, None)
    with pytest.raises(RuntimeError, match=r"(?s)broken: exit code 3.*no such thing"):
        code = "import sys; print('no such thing'); sys.exit(3)"
        bench.run("broken", ["-c", code], tmp_path)
