import re

import pytest
from golden_ports import MORE

import geneb_jax
from geneb_jax.config import DataSettings, EmbeddingSettings, Settings
from geneb_jax.embedding.kmers import KmerSource
from geneb_jax.embedding.models import find_source, find_sources
from geneb_jax.embedding.ports import PortSource, split_variant
from geneb_jax.embedding.source import OpenSource, Refusal, Source
from geneb_jax.embedding.stored import StoredSource
from geneb_jax.embedding.strands import BothStrands
from geneb_jax.tasks.synthetic import synthetic_tasks
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


IGNORED = [
    (
        {"taps": (3,)},
        "taps=3: 'kmer-3' has no hidden states to choose among; write --config.taps=preset, or",
    ),
    (
        {"taps": ()},
        "taps=all: 'kmer-3' has no hidden states to choose among; write --config.taps=preset, or",
    ),
    (
        {"poolings": ("mean", "max")},
        "poolings=mean,max: 'kmer-3' has no hidden states to pool; write --config.poolings=preset,",
    ),
    (
        {"window": (1024, 512)},
        "window=1024/512: 'kmer-3' reads records whole; write --config.window=model, or",
    ),
    (
        {"dtype": "bfloat16"},
        "dtype=bfloat16: 'kmer-3' is computed in float32 alone; write --config.dtype=model, or",
    ),
]


@pytest.mark.parametrize(("fields", "words"), IGNORED)
def test_fields_that_all_models_of_a_run_would_ignore_are_problems(fields, words):
    def problems(*names):
        return find_sources(Settings(DataSettings(names), EmbeddingSettings(**fields)))[1]

    (problem,) = problems("kmer-3", "shortcut-length")
    assert problem.startswith(f"config.{words}")
    assert problem.endswith("or name a model with hidden states")
    assert not problems("kmer-3", f"{NT}:random:tiny")


@pytest.mark.parametrize("strand", [("given",), ("both",), ("given", "both")])
def test_fields_that_hold_of_every_model_are_none(strand):
    held = EmbeddingSettings(
        taps=(-1,), poolings=("mean",), window="none", dtype="float32", preset="published",
        strand=strand,
    )  # fmt: skip
    assert find_sources(Settings(DataSettings(("kmer-3",)), held))[1] == []


@pytest.mark.parametrize("variant", ["random", "random:tiny", "random:3", "both", "random:both"])
@pytest.mark.parametrize("first", [True, False])
def test_a_variant_of_a_name_of_the_list_is_of_its_model(variant, first):
    folder = MORE / "DNA_bert_3"
    names = [f"base=hf:{folder}", f"base:{variant}"]
    sources, problems = find(names if first else names[::-1])
    assert not problems
    (source,) = (each for each in sources if each.name != "base")
    (written,), _ = find([f"base=hf:{folder}:{variant}"])
    assert source.name == f"base:{variant}"
    assert source == written


def test_a_variant_of_embeddings_is_refused(tmp_path):
    _, (problem,) = find([f"base=embeddings:{tmp_path}", "base:random"])
    assert "base:random" in problem or f"{tmp_path}:random" in problem


@pytest.mark.parametrize(
    ("spec", "right"), [("FOLDER:random", "base:random"), ("OTHER:random", "base-random=hf:OTHER")]
)
def test_a_variant_with_a_specification_of_its_own_is_told_what_to_write(tmp_path, spec, right):
    folder = MORE / "DNA_bert_3"
    spec, right = (
        each.replace("FOLDER", str(folder)).replace("OTHER", str(tmp_path))
        for each in (spec, right)
    )
    _, (problem,) = find([f"base=hf:{folder}", f"base:random=hf:{spec}"])
    right += ":random" if "=" in right else ""
    assert problem.endswith(f"'base' is a name that this list gives; write {right}")


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


def test_untrained_controls_stand_behind_their_models():
    models = ("kmer-2", NT, f"{NT}:random:tiny")
    sources, problems = find_sources(Settings(data=DataSettings(models, controls=2)))
    assert not problems
    names = ["kmer-2", NT, f"{NT}:random", f"{NT}:random:1", f"{NT}:random:tiny"]
    assert [source.name for source in sources] == names
    seeds = [(each.weights, each.seed) for each in sources[1:]]
    assert seeds == [("checkpoint", 0), ("random", 0), ("random", 1), ("tiny", 0)]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("m", ("m", "checkpoint", 0)), ("m:random", ("m", "random", 0)),
     ("m:random:3", ("m", "random", 3)), ("m:random:tiny", ("m", "tiny", 0)),
     ("a:b:random:tiny:12", ("a:b", "tiny", 12)), ("m:tiny", ("m:tiny", "checkpoint", 0))],
)  # fmt: skip
def test_variants_are_split_off(name, wanted):
    found = split_variant(name)
    assert (found.model, found.weights, found.seed) == wanted
    assert found.model + found.suffix == name


def test_a_shortcut_is_a_model(tmp_path):
    (source,) = find(["shortcut-ends"])[0]
    task = synthetic_tasks()[0]
    opened = source.open(tmp_path)
    train, test = opened.prepare([task], lambda _: None).features(task, opened.representations[0])
    assert train.shape == (len(task.train.labels), 80) and len(test) == len(task.test.labels)
    _, problems = find(["shortcut-none"])
    assert "valid: length, gc" in problems[0]


def test_a_model_is_named_with_both_strands():
    averaged = find_source("kmer-3:both", Settings())
    assert isinstance(averaged, BothStrands)
    vectors = geneb_jax.embed("kmer-3:both", ["AACGT", "TTTTC"])
    turned = geneb_jax.embed("kmer-3", ["ACGTT", "GAAAA"])
    assert vectors == pytest.approx((geneb_jax.embed("kmer-3", ["AACGT", "TTTTC"]) + turned) / 2)
    for strand in (("given",), ("given", "both")):  # it stands there once, however asked for
        settings = Settings(
            data=DataSettings(("kmer-3", "kmer-3:both")), embedding=EmbeddingSettings(strand=strand)
        )
        sources, problems = find_sources(settings)
        assert [source.name for source in sources] == ["kmer-3", "kmer-3:both"]
        assert not problems
    with pytest.raises(ValueError, match="'nothing' is not in the catalog"):
        find_source("nothing:both", Settings())


def test_a_name_before_a_folder_wants_its_kind(tmp_path):
    mend = f"behind = stands hf: or embeddings:; write mine=hf:{tmp_path}"
    with pytest.raises(ValueError, match=re.escape(f"model 'mine={tmp_path}': {mend}")):
        find_source(f"mine={tmp_path}", Settings())


@pytest.mark.parametrize("strand", [("given",), ("given", "both")])
def test_every_kind_of_model_offers_all_that_a_run_asks_for(tmp_path, strand):
    asked = {
        protocol: [name for name in vars(protocol) if not name.startswith("_")]
        for protocol in (Source, OpenSource)
    }
    names = ("kmer-2", "shortcut-ends", f"{NT}:random:tiny")
    settings = Settings(data=DataSettings(names), embedding=EmbeddingSettings(strand=strand))
    sources, problems = find_sources(settings)
    assert not problems and len(sources) == len(names) * len(strand)
    for source in sources:
        opened = source.open(tmp_path)
        for protocol, has in ((Source, source), (OpenSource, opened)):
            assert [name for name in asked[protocol] if not hasattr(has, name)] == [], source.name
        assert source.operations(10) is not None
