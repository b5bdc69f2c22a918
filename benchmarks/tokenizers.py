"""How long do 100,000 records of 300 bp take to tokenize?

    python -m benchmarks.tokenizers [--records N]

One model a kind of tokenizer; those that need a file read the conformance fixture's. Peer: the
k-mer rule as a plain loop over the text, as transformers' Python tokenizers work.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from benchmarks.embedding_engine import FIXTURES
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
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    count = parser.parse_args().records
    letters = np.random.default_rng(0).choice(list("ACGT"), (count, BASES_OF_A_RECORD))
    records = ["".join(row) for row in letters]
    print(f"{count:,} records of {BASES_OF_A_RECORD} bp")
    for model_id in MODELS:
        options = catalog.get(model_id).tokenizer
        tokenizer = build_tokenizer(FIXTURES / model_id, options)
        taken = seconds(lambda tokenizer=tokenizer: tokenizer.encode(records, None))
        print(f"{model_id:45s} {options['kind']:10s} {taken:6.2f} s")
    taken = seconds(lambda: plain_kmer_loop(records))
    print(f"{'a plain k-mer loop, k = 6':45s} {'peer':10s} {taken:6.2f} s")


if __name__ == "__main__":
    main()
