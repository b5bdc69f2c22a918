import itertools
import json
import re
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
import saved_models
from golden_ports import FOLDERS, GOLDEN, MORE
from safetensors.numpy import load_file, save_file

from model_ports import catalog
from model_ports.contract.family import family
from model_ports.loading.convert import convert
from model_ports.loading.describe import ARCHITECTURES, KINDS, describe
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.loading.tensors import CheckpointError
from model_ports.running.embedder import embedder
from model_ports.running.records import collate, tokenize
from model_ports.tokenizers import TokenizerError
from model_ports.tokenizers.spaced import spaced


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Saves one of `SAVED`, once a module."""
    root, done = tmp_path_factory.mktemp("saved"), {}

    def get(name):
        if name not in done:
            done[name] = saved_models.save(*saved_models.SAVED[name], root / name)
        return done[name]

    return get


def embedded(folder, records):
    """The port's embeddings of records: each alone, and all in one batch."""
    port = load_port(plan_checkpoint(describe(folder, "mine"), folder))
    embed, encoded = embedder(port), tokenize(port, records)
    longest = max(map(len, encoded))
    batch = np.asarray(embed(port.state, collate(port, encoded, longest)))
    alone = [embed(port.state, collate(port, [ids], len(ids)))[0] for ids in encoded[:2]]
    return np.stack(alone), batch


@pytest.mark.parametrize("name", saved_models.SAVED)
def test_a_saved_model_embeds_as_transformers_does(saved, name):
    records = ["ACGT", *saved_models.random_records(6, 120), "ACGTTGCA" * 60]  # the last is cut
    entry = describe(saved(name), "mine")
    alone, batch = embedded(saved(name), records)
    texts = [spaced(record, entry.tokenizer.get("spaced")) for record in records]
    limit = entry.preset("corrected").max_tokens
    expected = saved_models.reference(saved(name), texts, limit)
    scale = np.abs(expected).max()
    assert np.abs(batch - expected).max() <= 1e-5 * scale
    assert np.abs(alone - expected[:2]).max() <= 1e-5 * scale


@pytest.mark.parametrize(
    ("name", "family", "tokenizer", "limit"),
    [
        ("bert-json", "bert", {"kind": "json"}, 400),  # model_max_length, of 512 positions
        ("dnabert", "bert", {"kind": "auto", "letters": "upper", "spaced": 3}, 512),
        ("esm-rotary", "esm", {"kind": "auto"}, 510),
        ("esm-absolute", "esm", {"kind": "auto"}, 510),
        ("gpt2", "gpt2", {"kind": "auto"}, 256),  # the table, for the tokenizer has no limit
        ("llama", "llama", {"kind": "json"}, 400),
        ("mistral", "llama", {"kind": "json"}, 400),
    ],
)
def test_everything_is_found_out(saved, name, family, tokenizer, limit):
    entry = describe(saved(name), "mine")
    assert (entry.id, entry.family, entry.dtype, entry.width) == ("mine", family, "float32", 32)
    assert entry.tokenizer == tokenizer
    preset = entry.preset("corrected")
    assert (preset.max_tokens, preset.pooling, preset.batching) == (limit, "mean", "masked")
    assert entry.preset("published") == preset
    assert entry.ported
    others = re.compile(r"cls\.|classifier\.|lm_head\.|.*pooler\.|.*contact_head\.|.*inv_freq")
    tensors = load_file(saved(name) / "model.safetensors")
    sizes = [array.size for tensor, array in tensors.items() if not others.match(tensor)]
    assert entry.params == sum(sizes)


@pytest.mark.parametrize(
    ("name", "architecture", "tokenization"),
    [
        ("bert-json", "T-enc", "BPE"),
        ("bert-characters", "T-enc", "SN"),
        ("dnabert", "T-enc", "overlapping 3-mers"),
        ("esm-rotary", "T-enc", "SN"),
        ("gpt2", "T-dec", "BPE"),
        ("llama", "T-dec", "BPE"),
    ],
)
def test_labels_are_words_of_the_benchmark(saved, name, architecture, tokenization):
    labels = describe(saved(name), "mine").labels
    assert (labels["architecture"], labels["tokenization"]) == (architecture, tokenization)


def test_every_model_type_of_transformers_has_a_word_of_the_paper():
    words = {entry.labels["architecture"] for entry in catalog.entries().values()}
    assert {kind.family for kind in KINDS.values() if not kind.like} == set(ARCHITECTURES)
    assert set(ARCHITECTURES.values()) <= words


def test_code_of_a_repository_has_the_labels_of_the_catalogs_model():
    labels = describe(MORE / "PlantCAD2-Small-l24-d0768", "mine").labels
    assert (labels["architecture"], labels["tokenization"]) == ("Mamba", "SN")
    labels = describe(MORE / "NTv3_8M_pre", "mine").labels
    assert (labels["architecture"], labels["tokenization"]) == ("CNN-Transformer", "SN")


def test_a_vocabulary_of_kmers_side_by_side_is_said(saved, tmp_path):
    words = [*("".join(each) for each in itertools.product("ACGT", repeat=3)), *"ACGTN"]
    folder = changed(saved("esm-rotary"), tmp_path)
    (folder / "vocab.txt").write_text("\n".join(["<cls>", "<pad>", "<eos>", "<unk>", *words]))
    options = {"tokenizer_class": "EsmTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(options))
    config = json.loads((folder / "config.json").read_text()) | {"vocab_size": 80}
    (folder / "config.json").write_text(json.dumps(config))
    assert describe(folder, "mine").labels["tokenization"] == "k-mer"


def test_a_vocabulary_of_kmers_reads_both_cases_as_the_catalogs_dnabert_does():
    folder = MORE / "DNA_bert_3"
    found, known = (
        plan_checkpoint(entry, folder)
        for entry in (describe(folder, "mine"), catalog.get("DNA_bert_3"))
    )
    records = ["ACGTACGT", "acgtacgt", "aCgNTTa"]
    for mine, theirs in zip(tokenize(found, records), tokenize(known, records), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert set("acgt") <= set(found.tokenizer.known_letters)


def test_heads_are_left_out_and_said(saved, caplog):
    plan_checkpoint(describe(saved("bert-json"), "mine"), saved("bert-json"))
    said = [r.getMessage() for r in caplog.records if "heads are left out" in r.getMessage()]
    assert len(said) == 1
    assert "classifier.bias, classifier.weight" in said[0]


@pytest.mark.parametrize(
    ("name", "head"),
    [("dnabert", "cls.predictions.bias"), ("bert-characters", "pooler.dense.bias")],
)
def test_heads_that_the_family_knows_are_said_too(saved, caplog, name, head):
    plan_checkpoint(describe(saved(name), "mine"), saved(name))
    (said,) = (r.getMessage() for r in caplog.records if "heads are left out" in r.getMessage())
    assert head in said


def test_unknown_tensors_are_refused(saved, tmp_path):
    folder = changed(saved("bert-json"), tmp_path, tensors={"bert.more.weight": np.ones((2, 3))})
    with pytest.raises(CheckpointError, match=r"bert\.more\.weight"):
        plan_checkpoint(describe(folder, "mine"), folder)


def changed(folder, tmp_path, tensors=None, dtype=None, **fields):
    """A copy of a saved model with other fields of config.json, and further tensors."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    content = json.loads((folder / "config.json").read_text()) | fields
    stated = {name: value for name, value in content.items() if value is not None}
    (copy / "config.json").write_text(json.dumps(stated))
    stored = load_file(copy / "model.safetensors") | (tensors or {})
    stored = {name: array.astype(dtype or array.dtype) for name, array in stored.items()}
    save_file(stored, copy / "model.safetensors")
    return copy


@pytest.mark.parametrize(
    ("dtype", "expected"), [(jnp.bfloat16, "bfloat16"), (np.float16, "float32")]
)
def test_the_precision_is_that_of_the_weights(saved, tmp_path, dtype, expected):
    folder = changed(saved("gpt2"), tmp_path, dtype=dtype, dtype_stated="float32")
    assert describe(folder, "mine").dtype == expected


def test_a_file_without_tensors_is_refused_in_a_line(saved, tmp_path):
    folder = shutil.copytree(saved("bert-json"), tmp_path / "empty")
    save_file({}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"bert\.embeddings"):
        plan_checkpoint(describe(folder, "mine"), folder)


def test_code_that_is_known_by_its_file_alone_is_said(caplog):
    describe(GOLDEN / "gena-lm-bert-base", "mine")
    (said,) = (r.getMessage() for r in caplog.records if "is taken to be" in r.getMessage())
    assert "'modeling_bert.py', which config.json names" in said
    assert "'gena-lm-bert-base'" in said


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"model_type": "t5"},
            ["model_type 't5' is not known", "bert, distilbert, electra", "adding-a"],
        ),
        ({"model_type": "mamba2"}, ["if it is 'eccdnamamba_weights'", "checkpoints_dir/ecc"]),
        ({"model_type": None}, ["states no model_type", "MODEL"]),
        (
            {"model_type": "nova", "auto_map": {"AutoModel": "me/nova--modeling_nova.Nova"}},
            ["code of the repository ('modeling_nova.py'", "'nova'), which is not run", "adding-a"],
        ),
        ({"auto_map": {"AutoModel": "modeling_new.New"}}, ["'modeling_new.py'", "remove auto_map"]),
        ({"quantization_config": {"quant_method": "gptq"}}, ["quantised (gptq)", "dequantize"]),
    ],
)
def test_what_cannot_be_told_is_refused_in_one_line(saved, tmp_path, fields, words):
    folder = changed(saved("bert-json"), tmp_path, **fields)
    with pytest.raises(CheckpointError) as error:
        describe(folder, "mine")
    assert len(str(error.value).splitlines()) == 1
    for word in words:
        assert word in str(error.value)


# Whose family is told from the files as the authors publish them, and which tokenizer is theirs.
TOLD = {
    "nucleotide-transformer-v2-50m-3mer-multi-species": "auto",
    "dnabert2-no-flashattention": "json",
    "hyenadna-medium-160k-seqlen-hf": "character",
    "caduceus-ps_seqlen-131k_d_model-256_n_layer-16": "character",
    "PlantCaduceus_l32": "json",
    "GENERator-eukaryote-1.2b-base": "generator",
    "MutBERT": "json",
    "gena-lm-bert-base": "json",
    "evo-1-131k-base": "utf-8",
    "Omni-DNA-300M": "json",
    "LucaOne-default-step36M": "character",
    "GROVER": "json",
    "OmniNA-220m": "json",
    "PlantCAD2-Small-l24-d0768": "json",
    "GENERanno-eukaryote-0.5b-base": "generanno",
    "gLM2_650M": "json",
}


@pytest.mark.parametrize(("name", "tokenizer"), TOLD.items())
def test_models_of_the_catalog_are_told_from_their_files(name, tokenizer):
    found, entry = describe(FOLDERS[name], "mine"), catalog.get(name)
    assert (found.family, found.unstated) == (entry.family, entry.unstated | found.unstated)
    assert found.tokenizer["kind"] == tokenizer
    assert found.preset("corrected").batching == entry.preset("corrected").batching
    ours, theirs = plan_checkpoint(found, FOLDERS[name]), plan_checkpoint(entry, FOLDERS[name])
    assert ours.config == theirs.config
    records = ["ACGTTGCATTAACC" * 3, "ACGTAC"]
    for a, b in zip(tokenize(ours, records), tokenize(theirs, records), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_table_names_families_and_models_that_are_there():
    for kind in KINDS.values():
        assert family(kind.family)
        assert kind.like is None or catalog.get(kind.like).family == kind.family


def test_a_converted_folder_is_described_as_its_source(saved, tmp_path):
    entry = describe(saved("esm-rotary"), "mine")
    made, _ = convert(entry, saved("esm-rotary"), tmp_path)
    assert describe(made, "mine") == entry
    other = plan_checkpoint(describe(made, "another"), made)
    assert other.weights_id == plan_checkpoint(entry, saved("esm-rotary")).weights_id


def test_a_tokenizer_that_does_not_read_dna_is_refused(tmp_path):
    folder = saved_models.save(
        lambda: saved_models.bert("BertModel", 69),
        lambda folder: saved_models.write_wordpiece(folder, saved_models.kmer_words(3)),
        tmp_path / "lower",
    )
    with pytest.raises(TokenizerError, match=r'"do_lower_case": false may be missing.*bring the'):
        describe(folder, "mine")
