import pytest
from golden_ports import GOLDEN

from benchmarks.task_tokens import counted, derived
from geneb_jax.tasks.sizes import KINDS


def test_tokens_of_a_file_are_counted(tmp_path):
    rows = ["text,label,split", "ACGTACGTA,0,train", "ACGTACGTACGTA,1,train", "AC,0,test"]
    (tmp_path / "leannmlindsey_GUE_mouse_0.csv").write_text("\n".join(rows) + "\n")
    ((label, (records, *means)),) = counted([tmp_path], GOLDEN)
    found = dict(zip(KINDS, means, strict=True))
    assert (label, records) == ("GUE mouse 0", 3)
    assert found["letters"] == pytest.approx((9 + 13 + 2) / 3)
    # Each begins with <cls>; what is left of the last k-mer is single letters.
    assert found["3-mers"] == pytest.approx((4 + (1 + 4 + 1) + 3) / 3)
    assert found["6-mers"] == pytest.approx(((1 + 1 + 3) + (1 + 2 + 1) + 3) / 3)
    assert all(value >= 3 for kind, value in found.items() if kind.startswith("byte"))


def test_tokens_of_a_length_are_derived():
    rates = {"byte pairs, DNABERT-2": 4.1, "byte pairs, GENA-LM": 5.0}
    assert derived(41, rates) == [0, 41, 16, 12, pytest.approx(12), pytest.approx(10.2)]
