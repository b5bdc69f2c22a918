import json

import numpy as np
import pytest

from benchmarks.stress_finals import differences, finals
from geneb_jax.embedding.store import Store

KEYS = [bytes([i]) * 16 for i in range(4)]
VALUES = np.arange(8, dtype=np.float32).reshape(4, 2)


def record(failures, seconds):
    config = {"tasks": "all", "processes": f"0/2@127.0.0.1:{seconds}"}
    content = {"config": config, "failures": failures, "seconds": {"total": seconds},
               "taken": {"kmer-2": {"probe": seconds}}}  # fmt: skip
    return json.dumps(content)


def finished(folder, chunks=((0, 4),), seconds=1.0):
    work = folder / "work"
    (work / "predictions").mkdir(parents=True)
    (work / "scores.csv").write_text("model,MCC\nkmer-2,0.5\n")
    (work / "log.txt").write_text(f"{seconds}")
    (work / "figures").mkdir()
    timed = "- **throughput**: Wall time.\n" if seconds == 1.0 else ""
    (work / "figures" / "captions.md").write_text(f"- **heads**: Of all.\n{timed}- **z**: Last.\n")
    (work / "run.json").write_text(record([], seconds))
    np.savez(work / "predictions" / "t.npz", labels=np.arange(3))
    store = Store(folder / "embeddings" / "m")
    for start, end in chunks:
        store.add(KEYS[start:end], VALUES[start:end])
    return folder


def another_score(folder):
    (folder / "work" / "scores.csv").write_text("model,MCC\nkmer-2,0.6\n")
    return "work/scores.csv"


def a_failure(folder):
    (folder / "work" / "run.json").write_text(record([1], 1.0))
    return "work/run.json"


def another_caption(folder):
    (folder / "work" / "figures" / "captions.md").write_text("- **heads**: Of all.\n")
    return "work/figures/captions.md"


def other_predictions(folder):
    np.savez(folder / "work" / "predictions" / "t.npz", labels=np.arange(3) + 1)
    return "work/predictions/t.npz"


def a_left_over_file(folder):
    (folder / "embeddings" / "m" / "values-1.npy.tmp").touch()
    return "embeddings/m/values-1.npy.tmp"


def another_embedding(folder):
    for path in (folder / "embeddings" / "m").iterdir():
        path.unlink()
    Store(folder / "embeddings" / "m").add(KEYS, VALUES + np.float32([[0, 1e-6]] + [[0, 0]] * 3))
    return f"embeddings/m/{KEYS[0].hex()}"


def a_missing_table(folder):
    (folder / "work" / "scores.csv").unlink()
    return "work/scores.csv"


def test_times_and_chunks_do_not_count(tmp_path):
    expected = finals(finished(tmp_path / "a"))
    assert len(expected) == 4 + 4
    found = finals(finished(tmp_path / "b", chunks=((2, 4), (0, 2), (1, 3)), seconds=2.0))
    assert differences(found, expected) == []


@pytest.mark.parametrize(
    ("change", "excused"),
    [(another_score, False), (a_failure, False), (other_predictions, False),
     (a_missing_table, False), (another_caption, False),
     (another_embedding, False), (a_left_over_file, True)],
)  # fmt: skip
def test_what_differs_is_named(tmp_path, change, excused):
    expected = finals(finished(tmp_path / "a"))
    name = change(finished(tmp_path / "b"))
    found = finals(tmp_path / "b")
    assert differences(found, expected) == [name]
    assert differences(found, expected, damaged=True) == ([] if excused else [name])


def test_embeddings_that_nothing_needs_again_may_lack_after_their_files_were_damaged(tmp_path):
    expected = finals(finished(tmp_path / "a"))
    found = finals(finished(tmp_path / "b", chunks=((0, 3),)))
    assert differences(found, expected) == [f"embeddings/m/{KEYS[3].hex()}"]
    assert differences(found, expected, damaged=True) == []
    assert differences(expected, found, damaged=True) == [f"embeddings/m/{KEYS[3].hex()}"]
