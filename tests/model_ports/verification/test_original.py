import dataclasses
import json
import shutil

import numpy as np
import pytest
import transformers
from golden_ports import GOLDEN, change_tensors, golden_port
from safetensors.numpy import save_file
from saved_models import (
    SAVED,
    VOCABULARY,
    llama,
    random_model,
    save,
    stock_port,
    write_json_bpe,
)

from model_ports import commands
from model_ports.loading.describe import describe
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.running.records import tokenize
from model_ports.verification.original import (
    TOLERANCE,
    OriginalError,
    compare_with_transformers,
    random_records,
)

pytest.importorskip("torch")

TINY = {
    "vocab_size": VOCABULARY,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "max_position_embeddings": 60,
    "pad_token_id": 1,
}


@pytest.fixture
def folder(tmp_path):
    """A BERT that transformers saved, without a tokenizer."""
    config = transformers.BertConfig(**TINY)
    random_model(transformers.BertForMaskedLM, config).save_pretrained(tmp_path)
    return tmp_path


def test_a_port_agrees_with_the_original_in_every_hidden_state(folder):
    found = compare_with_transformers(stock_port("bert", folder), folder)
    assert found.passed
    assert found.original == "BertModel"
    assert list(found.states) == [0, 1, 2, -1]
    assert 0 < found.states[-1].relative < 1e-5
    assert 0 < found.pooled.relative < 1e-5
    why = "transformers' tokenizer does not know these letters"
    assert found.tokens == {"A, C, G and T": ("not compared", why)}


def test_the_hidden_states_behind_a_wrong_layer_differ(folder):
    port = stock_port("bert", folder)
    change_tensors(
        folder,
        lambda tensors: tensors.update(
            {
                name: 2 * value
                for name, value in tensors.items()
                if "layer.1.output.dense.bias" in name
            }
        ),
    )
    found = compare_with_transformers(port, folder)
    assert not found.passed
    assert [tap for tap, far in found.states.items() if far.relative > TOLERANCE] == [2, -1]


@pytest.mark.parametrize("field", ["layer_norm_eps", "hidden_act"])
def test_a_field_that_is_read_wrongly_is_found(folder, field):
    port = stock_port("bert", folder)
    content = json.loads((folder / "config.json").read_text())
    content[field] = {"layer_norm_eps": 1e-2, "hidden_act": "relu"}[field]
    (folder / "config.json").write_text(json.dumps(content))
    assert not compare_with_transformers(port, folder).passed


def test_names_of_parallel_training_are_no_difference(folder):
    """transformers takes such tensors for unknown ones and leaves its model random."""
    change_tensors(folder, lambda tensors: _rename(tensors, lambda name: f"module.{name}"))
    found = compare_with_transformers(stock_port("bert", folder), folder)
    assert found.passed and 0 < found.pooled.relative < 1e-5


def _rename(tensors, new):
    renamed = {new(name): value for name, value in tensors.items()}
    tensors.clear()
    tensors.update(renamed)


def test_kmers_are_compared_with_blanks_between_them(tmp_path):
    build, write = SAVED["dnabert"]
    build().save_pretrained(tmp_path)
    write(tmp_path)
    port = load_port(plan_checkpoint(describe(tmp_path, "mine"), tmp_path))
    found = compare_with_transformers(port, tmp_path)
    assert found.passed
    lower = found.tokens.pop("lower case")
    assert lower.verdict == "differ by design"
    assert "read as upper case here, as the vocabulary's k-mers are" in lower.why
    assert list(found.tokens) == [
        "A, C, G and T", "N", "U for T", "J, which the tokenizer does not know"
    ]  # fmt: skip
    assert {each.verdict for each in found.tokens.values()} == {"same"}
    other = dataclasses.replace(port.tokenizer, letters=lambda text: text.replace("T", "A"))
    wrong = compare_with_transformers(dataclasses.replace(port, tokenizer=other), tmp_path)
    assert wrong.tokens["A, C, G and T"].verdict == "differ" and not wrong.passed


def qwen2_folder(path):
    """A Qwen2 whose tokenizer.json has a token for unknown letters."""
    save(lambda: llama("Qwen2"), write_json_bpe, path)
    stated = json.loads((path / "tokenizer_config.json").read_text())
    stated |= {"tokenizer_class": "Qwen2Tokenizer"}
    (path / "tokenizer_config.json").write_text(json.dumps(stated))
    return path


def test_letters_that_the_original_drops_are_said_and_no_fault(tmp_path, capsys):
    folder = qwen2_folder(tmp_path / "mine")
    port = load_port(plan_checkpoint(describe(folder, "mine"), folder))
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    assert theirs("ACGNNT")["input_ids"] == theirs("ACGT")["input_ids"]
    assert port.tokenizer.unknown_id in tokenize(port, ["ACGNNT"])[0]
    found = compare_with_transformers(port, folder)
    verdicts = {letters: ids.verdict for letters, ids in found.tokens.items()}
    assert verdicts == {
        "A, C, G and T": "same",
        "lower case": "differ by design",
        "N": "differ by design",
        "U for T": "differ by design",
        "J, which the tokenizer does not know": "differ by design",
    }
    assert found.passed
    assert commands.main(["verify", str(folder), "--against", "transformers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "token ids of A, C, G and T: the same" in lines
    (line,) = (line for line in lines if line.startswith("token ids of N: "))
    assert line.endswith(
        "differ by design: transformers drops letters that its tokenizer does not know; here they "
        "are the unknown token that tokenizer.json names"
    )


def test_other_letters_that_are_read_in_another_way_are_a_fault(tmp_path):
    folder = qwen2_folder(tmp_path / "mine")
    port = load_port(plan_checkpoint(describe(folder, "mine"), folder))
    # A port that reads N as A: neither its records nor its letters say so.
    wrong = dataclasses.replace(port.tokenizer, letters=lambda text: text.replace("N", "A"))
    found = compare_with_transformers(dataclasses.replace(port, tokenizer=wrong), folder)
    assert found.tokens["A, C, G and T"].verdict == "same"
    assert found.tokens["N"].verdict == "differ" and "differs from token" in found.tokens["N"].why
    assert found.tokens_differ and not found.passed


def test_a_config_that_transformers_refuses_is_no_lack_of_its_code(folder):
    port = stock_port("bert", folder)
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(content | {"hidden_act": "no such function"}))
    with pytest.raises(OriginalError, match=r"transformers \S+ cannot load it, so that nothing is"):
        compare_with_transformers(port, folder)


def test_token_ids_are_compared():
    model_id = "GROVER"
    port = golden_port(model_id)
    tokens = compare_with_transformers(port, GOLDEN / model_id).tokens
    assert {each.verdict for each in tokens.values()} == {"same"}
    shifted = dataclasses.replace(port.tokenizer, letters=lambda text: text.replace("T", "A"))
    found = compare_with_transformers(
        dataclasses.replace(port, tokenizer=shifted), GOLDEN / model_id
    )
    assert found.tokens_differ
    assert not found.passed
    assert "differs from token" in found.tokens["A, C, G and T"].why


@pytest.mark.parametrize(
    ("model_id", "message"),
    [
        (
            "DNABERT-S",
            "BertModel has other tensors, such as 'embeddings.position_embeddings.weight' and",
        ),
        ("eccdnamamba_weights", "Mamba2Model has other tensors, such as '"),
        ("Omni-DNA-1B", "transformers has no class of model_type 'olmo-gfm'"),
        ("dna_gpt0.1b_h", "config.json states no model_type"),
    ],
)
def test_code_that_transformers_lacks_is_named(model_id, message):
    with pytest.raises(OriginalError) as error:
        compare_with_transformers(golden_port(model_id), GOLDEN / model_id)
    assert message in str(error.value)
    assert "the reference is what that code gave" in str(error.value)


def test_records_are_the_same_each_time_and_of_several_lengths():
    records = random_records(None)
    assert records == random_records(None)
    assert records != random_records(None, seed=1)
    assert [len(record) for record in records] == [200, 131, 64, 33, 12, 7, 64]
    assert {letter for record in records for letter in record} == set("ACGTN")
    assert max(map(len, random_records(40))) == 40
    assert {len(record) for record in random_records(8)} == {7, 8}


def test_the_command_prints_a_table_and_its_status(tmp_path, capsys):
    folder = shutil.copytree(GOLDEN / "gpt2_gene_v1", tmp_path / "mine")
    assert commands.main(["verify", str(folder), "--against", "transformers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "against transformers' GPT2Model" in lines[0]
    assert lines[-1].startswith("PASS")
    states = [line for line in lines[2:-1] if not line.startswith("token ids of ")]
    assert [line.split()[0] for line in states] == ["0", "1", "final", "embedding"]
    assert commands.main(["verify", str(GOLDEN / "DNABERT-S"), "--against", "transformers"]) == 2
    assert "'DNABERT-S': transformers' BertModel has other" in capsys.readouterr().out
    (folder / "meta.json").unlink()
    arguments = ["verify", str(folder), "--against", "transformers"]
    assert commands.main(arguments) == 0  # what the folder says of itself is enough
    assert capsys.readouterr().out.splitlines()[-1].startswith("PASS")
    assert commands.main([*arguments, "--model", "GENERATOR"]) == 2


def test_an_adapter_is_compared_with_what_its_sums_give(tmp_path, capsys):
    base = save(*SAVED["bert-json"], tmp_path / "base")
    name = "bert.encoder.layer.0.attention.self.value"
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 32)).astype("f4"), rng.normal(size=(32, 2)).astype("f4")
    adapter = tmp_path / "lora"
    adapter.mkdir()
    fields = {"peft_type": "LORA", "r": 2, "lora_alpha": 6, "base_model_name_or_path": str(base)}
    (adapter / "adapter_config.json").write_text(json.dumps(fields))
    of_module = f"base_model.model.{name}.lora_"
    tensors = {f"{of_module}A.weight": a, f"{of_module}B.weight": b}
    save_file(tensors, adapter / "adapter_model.safetensors")
    port = load_port(plan_checkpoint(describe(base, "mine"), base, adapter=adapter))
    assert compare_with_transformers(port, base, adapter=adapter).passed
    assert not compare_with_transformers(port, base).passed
    # the sum by hand: s = alpha / r = 3
    by_hand = shutil.copytree(base, tmp_path / "by_hand")
    summed = f"{name}.weight"
    change_tensors(by_hand, lambda tensors: tensors.update({summed: tensors[summed] + 3 * (b @ a)}))
    assert compare_with_transformers(port, by_hand).passed
    for given in (str(adapter), f"{base}+{adapter}"):
        assert commands.main(["verify", given, "--against", "transformers"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith(f"{given}: 7 records")
        assert lines[0].endswith("BertModel with the sums of weights and adapter")


def test_a_folder_is_named_once_in_what_is_wrong_with_it(tmp_path, capsys):
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "org/gone"}')
    for folder, words in (
        (tmp_path, "is a PEFT adapter of org/gone; name the folder of its base too"),
        (tmp_path / "gone", "no such folder"),
    ):
        assert commands.main(["verify", str(folder), "--against", "transformers"]) == 2
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith(f"{folder}: {words}") and line.count(str(folder)) == 1
