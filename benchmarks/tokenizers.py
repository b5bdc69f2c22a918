"""How long do 100,000 records of 300 bp take to tokenize?

    python -m benchmarks.tokenizers [--records N]

One model a kind of tokenizer; those that need a file read the conformance fixture's. Peer: the
k-mer rule as a plain loop over the text, as transformers' Python tokenizers work.

Needs a clone. `--out` holds the rows: `model`, `kind`, `records` and `seconds`.
"""

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.needs import FIXTURES, begin, fixtures, new_parser
from benchmarks.rows import Rows
from model_ports import catalog
from model_ports.tokenizers import build_tokenizer
from model_ports.tokenizers.kmer import kmer_vocabulary

MODELS = (
    "nucleotide-transformer-v2-50m-multi-species",
    "dnabert2-no-flashattention",
    "gena-lm-bert-base-t2t-multi",
    "genomics-fm",
    "deepgene",
    "LucaOne-default-step36M",
    "BioFM-265M",
    "GENERator-eukaryote-1.2b-base",
    "dna_gpt3b_m",
)
BASES_OF_A_RECORD = 300


def plain_kmer_loop(records: list[str]) -> None:
    """The Nucleotide Transformer's rule, one slice of the text at a time."""
    ids = {token: i for i, token in enumerate(kmer_vocabulary(6, "eos-bos-first"))}
    for record in records:
        found, i = [ids["<cls>"]], 0
        while i < len(record):
            step = 6 if record[i : i + 6] in ids else 1
            found.append(ids.get(record[i : i + step], ids["<unk>"]))
            i += step


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Measures each tokenizer and the peer."""
    parser = new_parser(__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    options = begin(parser, lambda _: fixtures())
    shape = options.records, BASES_OF_A_RECORD
    letters = np.random.default_rng(0).choice(list("ACGT"), shape)
    records = ["".join(row) for row in letters]
    rows = Rows({"model": "45s", "kind": "10s", "records": "7,d", "seconds": "7.2f"}, options.out)

    def add(model: str, kind: str, work: Callable[[], object]) -> None:
        row = {"model": model, "kind": kind, "records": len(records)}
        rows.add(row | {"seconds": seconds(work)})

    for model_id in MODELS:
        tokenization = catalog.get(model_id).tokenizer
        tokenizer = build_tokenizer(FIXTURES / model_id, tokenization)
        add(model_id, tokenization["kind"], partial(tokenizer.encode, records, None))
    add("a plain k-mer loop, k = 6", "peer", partial(plain_kmer_loop, records))


if __name__ == "__main__":
    main()
