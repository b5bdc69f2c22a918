"""LoRA adapters: what is merged is compared with sums worked out here in float64."""

import json

import numpy as np
import pytest
import saved_models
from safetensors.numpy import load_file, save_file

from model_ports.loading.adapter import merged
from model_ports.loading.describe import describe
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.loading.tensors import CheckpointError, open_checkpoint
from model_ports.running.embedder import embedder
from model_ports.running.records import collate, tokenize

QUERY = "bert.encoder.layer.0.attention.self.query"
VALUE = "bert.encoder.layer.1.attention.self.value"
PLAIN = {"peft_type": "LORA", "r": 4, "lora_alpha": 6, "target_modules": ["query", "value"]}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A fine-tuned BERT as transformers saves it."""
    root = tmp_path_factory.mktemp("base")
    return saved_models.save(*saved_models.SAVED["bert-json"], root / "base")


def write_adapter(folder, modules, shape=(32, 32), more=None, rank=4, **fields):
    """Writes an adapter of some modules of the shape [in, out]; returns its A and B by module."""
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(PLAIN | fields))
    generator = np.random.default_rng(1)
    pairs = {
        module: (
            generator.normal(size=(rank, shape[0])).astype(np.float32),
            generator.normal(size=(shape[1], rank)).astype(np.float32),
        )
        for module in modules
    }
    tensors = dict(more or {})
    for module, (a, b) in pairs.items():
        tensors[f"base_model.model.{module}.lora_A.weight"] = a
        tensors[f"base_model.model.{module}.lora_B.weight"] = b
    save_file(tensors, folder / "adapter_model.safetensors")
    return pairs


@pytest.mark.parametrize(
    ("fields", "scale"), [({}, 6 / 4), ({"use_rslora": True}, 6 / 2), ({"lora_alpha": 1}, 1 / 4)]
)
def test_products_are_added(base, tmp_path, fields, scale):
    pairs = write_adapter(tmp_path / "lora", [QUERY, VALUE], **fields)
    before, tensors = load_file(base / "model.safetensors"), open_checkpoint(base)
    found = merged(tensors, tmp_path / "lora")
    assert found.keys() == before.keys()
    for name, weight in before.items():
        if name.removesuffix(".weight") in pairs:
            a, b = (each.astype(np.float64) for each in pairs[name.removesuffix(".weight")])
            weight = (weight + scale * b @ a).astype(np.float32)  # noqa: PLW2901
        np.testing.assert_array_equal(found.read(name), weight)


def test_matrices_that_are_stored_transposed(tmp_path):
    base = saved_models.save(*saved_models.SAVED["gpt2"], tmp_path / "gpt2")
    module = "transformer.h.0.attn.c_attn"
    pairs = write_adapter(tmp_path / "lora", [module], (32, 96), fan_in_fan_out=True)
    a, b = (each.astype(np.float64) for each in pairs[module])
    name = f"{module}.weight"
    weight = load_file(base / "model.safetensors")[name]
    found = merged(open_checkpoint(base), tmp_path / "lora").read(name)
    np.testing.assert_array_equal(found, (weight + 1.5 * (b @ a).T).astype(np.float32))


def test_modules_that_were_trained_as_a_whole_replace_the_bases(base, tmp_path):
    norm = "bert.encoder.layer.0.output.LayerNorm"
    new = np.arange(32, dtype=np.float32)
    more = {
        f"base_model.model.{norm}.weight": new,
        "base_model.model.classifier.modules_to_save.weight": np.ones((2, 32), np.float32),
    }
    write_adapter(tmp_path / "lora", [QUERY], more=more, modules_to_save=["classifier"])
    found = merged(open_checkpoint(base), tmp_path / "lora")
    np.testing.assert_array_equal(found.read(f"{norm}.weight"), new)
    np.testing.assert_array_equal(found.read("classifier.weight"), np.ones((2, 32)))


def test_the_base_may_be_saved_without_its_prefix(base, tmp_path):
    bare = saved_models.save(
        lambda: saved_models.bert("BertModel"), saved_models.write_json_bpe, tmp_path / "bare"
    )
    assert f"{QUERY}.weight" not in open_checkpoint(bare)
    pairs = write_adapter(tmp_path / "lora", [QUERY])
    a, b = pairs[QUERY]
    name = QUERY.removeprefix("bert.") + ".weight"
    expected = load_file(bare / "model.safetensors")[name] + 1.5 * b @ a
    found = merged(open_checkpoint(bare), tmp_path / "lora").read(name)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"use_dora": True}, "use_dora is 'True', which is not plain LoRA: merge it first"),
        ({"peft_type": "IA3"}, "peft_type is 'IA3'"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights is 'pissa'"),
        ({"rank_pattern": {"query": 8}}, "rank_pattern"),
        ({"bias": "all"}, "bias is 'all'"),
        ({"more": {"x.lora_magnitude_vector": np.ones(2, np.float32)}}, "'x.lora_magnitude_vect"),
        ({"modules": ["bert.encoder.layer.7.attention.self.query"]}, "no such tensor; is it the"),
        ({"shape": (16, 32)}, r"is \[32, 32\], but the adapter's product is \[32, 16\]"),
        ({"lora_alpha": "6"}, "make no product"),
        ({"modules": []}, "holds no tensors of LoRA"),
    ],
)
def test_what_is_not_plain_lora_is_refused_by_name(base, tmp_path, options, words):
    options = {"modules": [QUERY], **options}
    write_adapter(tmp_path / "lora", **options)
    with pytest.raises(CheckpointError, match=words) as error:
        merged(open_checkpoint(base), tmp_path / "lora")
    assert len(str(error.value).splitlines()) == 1


def test_a_port_embeds_with_the_sum(base, tmp_path):
    """As the folder does whose weights were summed here and saved."""
    pairs = write_adapter(tmp_path / "lora", [QUERY, VALUE])
    summed = tmp_path / "summed"
    summed.mkdir()
    for path in base.iterdir():
        (summed / path.name).write_bytes(path.read_bytes())
    tensors = load_file(base / "model.safetensors")
    for module, (a, b) in pairs.items():
        total = tensors[f"{module}.weight"] + 1.5 * b.astype(np.float64) @ a
        tensors[f"{module}.weight"] = total.astype(np.float32)
    save_file(tensors, summed / "model.safetensors")

    def embedded(folder, adapter=None):
        planned = plan_checkpoint(describe(folder, "mine"), folder, adapter=adapter)
        port = load_port(planned)
        (ids,) = tokenize(port, ["ACGTTGCAGG" * 4])
        return np.asarray(embedder(port)(port.state, collate(port, [ids], len(ids)))), planned

    (found, planned), (expected, _) = embedded(base, tmp_path / "lora"), embedded(summed)
    (alone, bare) = embedded(base)
    np.testing.assert_array_equal(found, expected)
    assert not np.allclose(found, alone)
    first, _, second = planned.weights_id.partition("+")
    assert first == bare.weights_id
    assert second.startswith("sha256:")
    other = json.loads((tmp_path / "lora" / "adapter_config.json").read_text())
    (tmp_path / "lora" / "adapter_config.json").write_text(json.dumps(other | {"lora_alpha": 7}))
    assert embedded(base, tmp_path / "lora")[1].weights_id != planned.weights_id
