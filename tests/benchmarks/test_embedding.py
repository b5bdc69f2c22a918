"""The two sides of the comparison of embedding engines embed the same records alike."""

import numpy as np
import pytest

from benchmarks import embedding
from benchmarks.embedding_case import Case, read_records
from benchmarks.embedding_engine import run, write_case
from benchmarks.needs import FIXTURES
from model_ports import catalog
from model_ports.contract.family import family
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import load_port

pytest.importorskip("torch")
pytest.importorskip("transformers")


def test_cases_name_the_families_of_their_models():
    for case in embedding.CASES.values():
        assert case.family == catalog.get(case.model_id).family
        assert (FIXTURES / case.model_id).is_dir()


def test_the_engine_and_both_ways_of_pytorch_agree(tmp_path):
    from benchmarks import embedding_torch

    model = embedding.CASES["NT-v2-50M"].model_id
    case = Case(model, "esm", 80, 16, 600, changes=family("esm").TINY)
    write_case(case, tmp_path)
    _, records = read_records(tmp_path)
    figures, ours = run(load_port(plan_checkpoint(catalog.get(model), tmp_path)), records)
    assert figures["tokens"] == sum(map(len, records))
    for way, count in (("harness", 16), ("well", 80)):
        figures, found = embedding_torch.run(tmp_path, embedding_torch.SIDES[way])
        assert figures["records"] == len(found) == count
        np.testing.assert_allclose(found, ours[:count], atol=2e-5 * np.abs(ours).max())
    # 80 records by length: a batch of 64 and one of 16, each padded to its longest.
    lengths = sorted(map(len, records), reverse=True)
    computed = 64 * lengths[0] + 16 * lengths[64]
    assert figures["padding"] == pytest.approx(1 - sum(lengths) / computed)
