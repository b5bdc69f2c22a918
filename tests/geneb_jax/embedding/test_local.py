import json

import pytest
import saved_models

from geneb_jax.config import DataSettings, Settings
from geneb_jax.embedding.models import find_sources


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A catalog of one's own with one model."""
    root = tmp_path_factory.mktemp("own")
    folder = saved_models.save(*saved_models.SAVED["bert-characters"], root / "bert")
    (root / "mine.json").write_text(json.dumps({"folder": folder.name}))
    return root


def find(folder, *names):
    return find_sources(Settings(data=DataSettings(names, catalog=folder)))


def test_its_ids_are_models_and_untrained_controls(own):
    sources, problems = find(own, "mine", "mine:random", "mine:random:tiny", "kmer-2")
    assert not problems
    assert [s.name for s in sources] == ["mine", "mine:random", "mine:random:tiny", "kmer-2"]
    found = sources[1].embed(["ACGT", "GGTT"], [], lambda _: None)
    assert [array.shape for array in found.values()] == [(2, 32)]


@pytest.mark.parametrize(
    ("content", "names", "words"),
    [
        ({"id": "GROVER"}, ["GROVER"], "'GROVER' is the name of another model"),
        ({}, ["other"], "'other' is not in the catalog"),
        ({}, ["bad:randm"], "'randm' is not valid"),
        ({"nonsense": 1}, ["bad"], "there is no field nonsense"),
    ],
)
def test_what_cannot_run_is_a_problem(tmp_path, content, names, words):
    (tmp_path / "bad.json").write_text(json.dumps(content))
    sources, problems = find(tmp_path, *names)
    assert not sources
    (problem,) = problems
    assert words in problem
