"""What the audit finds, done the slow way: one record after the other, in plain Python."""

from collections import Counter

from hypothesis import strategies as st

_OTHER_STRAND = {"A": "T", "C": "G", "G": "C", "T": "A"}


def other_strand(text):
    return "".join(_OTHER_STRAND.get(letter, letter) for letter in reversed(text.upper()))


def are_copies(a, b):
    return b.upper() in (a.upper(), other_strand(a))


def pairs(text):
    """Counts of the 16 dinucleotides."""
    text = text.upper()
    found = Counter(text[i : i + 2] for i in range(len(text) - 1))
    return {pair: n for pair, n in found.items() if set(pair) <= set("ACGT")}


def are_twins(a, b):
    return len(a) == len(b) and pairs(a) == pairs(b)


def canonical(text, k):
    text = text.upper()
    windows = {text[i : i + k] for i in range(len(text) - k + 1)}
    return {min(w, other_strand(w)) for w in windows if set(w) <= set("ACGT")}


def edits(a, b):
    """Levenshtein's distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j - 1] + (x != y), before[j] + 1, row[-1] + 1))
    return row[-1]


@st.composite
def related_records(draw, low=1, high=160, most=7):
    """Records cut out of one text, some of them changed, turned round or in lower case."""
    text = draw(st.text("ACGT", min_size=high, max_size=high))
    records = []
    for _ in range(draw(st.integers(1, most))):
        size = draw(st.integers(low, high))
        first = draw(st.integers(0, high - size))
        record = list(text[first : first + size])
        for _ in range(draw(st.integers(0, 5))):
            at = draw(st.integers(0, len(record) - 1)) if record else 0
            change = draw(st.sampled_from(["put", "drop", "replace"]))
            letter = draw(st.sampled_from("ACGTN"))
            if change == "put":
                record.insert(at, letter)
            elif change == "drop" and len(record) > 1:
                del record[at]
            else:
                record[at : at + 1] = [letter]
        record = "".join(record)
        record = other_strand(record) if draw(st.booleans()) else record
        records.append(record.lower() if draw(st.integers(0, 4)) == 0 else record)
    return records
