from pathlib import Path

from score_rows import row

from geneb_jax.config import fields
from geneb_jax.reference import reference
from geneb_jax.scoring.scores import COLUMNS, OPTIONAL

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"


def test_the_page_is_what_the_code_says():
    assert PAGE.read_text(encoding="utf-8") == reference(), "stale: run `make docs`"


def test_every_field_and_column_is_told():
    text = reference()
    assert all(f"| `{field.name}` |" in text for field in fields())
    assert [name for name in COLUMNS if name not in OPTIONAL] == list(row())
    assert all(f"| `{name}` |" in text for name in COLUMNS)
