import pytest

from benchmarks.task_audit import COLUMNS, audited
from geneb_jax.tasks.reading import find_tasks, read_task
from geneb_jax.tasks.task import fingerprint

NAME = "leannmlindsey_GUE_mouse_0"


def test_a_row_says_what_was_audited(tmp_path):
    rows = ["text,label,split", "ACGTACGTACGTAA,0,train", "CCCCCGGATTTTGA,1,train"]
    rows += ["ACGTACGTACGTAA,0,test", "CCTTTTTTAGGAGA,1,test"]
    (tmp_path / f"{NAME}.csv").write_text("\n".join(rows) + "\n")
    (row,) = audited([tmp_path], {NAME: "a part"})
    assert tuple(row) == COLUMNS
    assert (row["task"], row["files"], row["n_train"], row["copies"]) == (NAME, "a part", 2, 1)
    assert row["published_median"] == 0.361 and row["verdict"] == "leaky"
    task = read_task(tmp_path, find_tasks(tmp_path)[NAME])
    assert row["train_sha256"] == fingerprint(task.train)
    assert row["test_sha256"] == fingerprint(task.test)
    with pytest.raises(ValueError, match=f"'{NAME}': .* has no line that says its files"):
        next(audited([tmp_path], {}))
