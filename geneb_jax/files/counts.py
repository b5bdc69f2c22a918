"""How counts are written: 1 task, 2,000 records."""


def counted(count: int, noun: str, nouns: str = "") -> str:
    """Returns a count with its noun, whose plural is `nouns` or has an s behind it."""
    return f"{count:,} {noun if count == 1 else nouns or f'{noun}s'}"
