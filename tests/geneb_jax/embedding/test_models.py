import pytest

from geneb_jax.config import DataSettings, Settings
from geneb_jax.embedding.kmers import KmerSource
from geneb_jax.embedding.models import find_sources
from geneb_jax.embedding.ports import PortSource
from geneb_jax.embedding.source import Refusal
from geneb_jax.embedding.stored import StoredSource
from model_ports import catalog

NT = "nucleotide-transformer-v2-50m-multi-species"


def find(names, checkpoints_dir=None):
    return find_sources(Settings(data=DataSettings(tuple(names), checkpoints_dir=checkpoints_dir)))


def test_names_become_sources(tmp_path):
    (tmp_path / NT).mkdir()
    names = ["kmer-4", NT, f"{NT}:random", f"{NT}:random:tiny", f"embeddings:{tmp_path}"]
    sources, problems = find(names, tmp_path)
    assert not problems
    assert [source.name for source in sources] == names
    kmers, checkpoint, random, tiny, stored = sources
    assert isinstance(kmers, KmerSource)
    assert isinstance(stored, StoredSource)
    assert all(isinstance(source, PortSource) for source in (checkpoint, random, tiny))
    assert [s.weights for s in (checkpoint, random, tiny)] == ["checkpoint", "random", "tiny"]
    assert checkpoint.folder == tmp_path / NT
    assert random.entry is catalog.get(NT)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("kmer-7", ["kmer-7", "1 .. 6"]),
        ("nucleotide-transformer-v2-50m", ["did you mean", NT]),
        (f"{NT}:randm", ["'randm'", "random:tiny"]),
        ("embeddings:/does/not/exist", ["/does/not/exist"]),
    ],
)
def test_what_cannot_run_is_a_problem(tmp_path, name, words):
    sources, problems = find([name], tmp_path)
    assert not sources
    (problem,) = problems
    for word in words:
        assert word in problem


def test_all_stands_for_the_catalog():
    sources, problems = find(["all"])
    assert [source.name for source in sources] == list(catalog.entries())
    assert len(sources) == 40 and not problems


def test_a_checkpoint_that_is_not_there_is_refused_with_its_folder(tmp_path):
    (source,), problems = find([NT], tmp_path)
    assert not problems
    assert source.check([]) == [Refusal(f"no checkpoint folder {tmp_path / NT}")]
    (tmp_path / "config.json").write_text("{}")
    (refusal,) = source.check([])
    assert refusal.reason.endswith(
        f"; {tmp_path} is a checkpoint: name it {NT} and give its parent"
    )
