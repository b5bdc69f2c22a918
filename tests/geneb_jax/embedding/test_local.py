import json

import pytest
import saved_models

from geneb_jax.config import DataSettings, Settings
from geneb_jax.embedding.identity import weights_identity
from geneb_jax.embedding.models import find_sources


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A catalog of somebody's with one model."""
    root = tmp_path_factory.mktemp("catalog")
    saved_models.save(*saved_models.SAVED["bert-characters"], root / "bert")
    (root / "mine.json").write_text(json.dumps({"folder": "bert"}))
    return root


def find(folder, *names):
    return find_sources(Settings(data=DataSettings(names, catalog=folder)))


def test_its_ids_are_models_and_untrained_controls(folder):
    sources, problems = find(folder, "mine", "mine:random", "mine:random:tiny", "kmer-2")
    assert not problems
    assert [s.name for s in sources] == ["mine", "mine:random", "mine:random:tiny", "kmer-2"]
    found = sources[1].embed(["ACGT", "GGTT"], [], lambda _: None)
    assert [array.shape for array in found.values()] == [(2, 32)]


def test_what_a_file_states_tells_embeddings_apart(folder, tmp_path):
    def identity(**stated):
        content = {"folder": str(folder / "bert"), **stated}
        (tmp_path / "mine.json").write_text(json.dumps(content))
        sources, problems = find(tmp_path, "mine")
        assert not problems
        return sources[0].plan(tmp_path).representations[0].identity

    found = identity()
    assert identity(labels={"pretraining": "maize"}) == found
    assert identity(tokenizer={"kind": "json"}) == found
    other = identity(tokenizer={"kind": "json", "letters": "upper-ACGT-else-N"})
    assert other["weights"] == found["weights"]
    assert weights_identity(other) != weights_identity(found)


def test_models_of_the_package_keep_their_identity(tmp_path):
    sources, _ = find(None, "dna_gpt0.1b_h:random")
    (representation,) = sources[0].plan(tmp_path).representations
    assert "described" not in representation.identity


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


def test_a_model_beyond_the_papers_without_files_says_how_to_get_them(tmp_path):
    sources, problems = find(None, "DNA_bert_6", "Omni-DNA-20M", "splicebert-1024nt")
    assert not problems
    reasons = [source.check([])[0].reason for source in sources]
    for reason, repo in zip(
        reasons, ("zhihan1996/DNA_bert_6", "zehui127/Omni-DNA-20M"), strict=False
    ):
        name = repo.partition("/")[2]
        assert reason.endswith(
            f"its revision is not known: put the files of https://huggingface.co/{repo} into "
            f"DIR/{name} and name DIR with config.checkpoints_dir, or name NAME=hf:{repo}@REVISION"
        )
    assert reasons[2].endswith(
        "put the files of https://zenodo.org/records/7995778 into DIR/splicebert-1024nt and name "
        "DIR with config.checkpoints_dir"
    )
    data = DataSettings(("Omni-DNA-20M",), checkpoints_dir=tmp_path)
    ((source,), _) = find_sources(Settings(data=data))
    (refusal,) = source.check([])
    assert refusal.reason.startswith(
        f"no checkpoint folder {tmp_path / 'Omni-DNA-20M'}; Omni-DNA-20M.json leaves tokenizer, "
        "config, width, params, presets to the checkpoint; its rev"
    )
