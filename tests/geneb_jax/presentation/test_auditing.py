import pytest

from geneb_jax.presentation.auditing import audit_lines, published_medians


def test_published_medians_are_of_the_40_models():
    # The 20th and the 21st of the 40 published full-shot scores, looked up in published_mcc.csv.
    assert published_medians()["leannmlindsey_GUE_mouse_0"] == pytest.approx(0.360662, abs=1e-6)
    assert len(published_medians()) == 100


def test_reasons_of_leaky_tasks_come_first():
    rows = [
        {"task": "a", "verdict": "caution", "reasons": "x"},
        {"task": "b", "verdict": "clean", "reasons": ""},
        {"task": "c", "verdict": "leaky", "reasons": "y; z"},
    ]
    assert audit_lines(rows) == ["leaky: c: y; z", "caution: a: x"]
