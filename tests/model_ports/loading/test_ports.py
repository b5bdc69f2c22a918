import json
import shutil

import jax
import numpy as np
from golden_ports import GOLDEN
from jax.sharding import Mesh

from model_ports import catalog
from model_ports.loading.planned import plan_checkpoint
from model_ports.loading.ports import control_reader, load_port, random_reader, size_of

NAME = "GENERator-eukaryote-1.2b-base"


def test_the_authors_files_load_into_shardings_too():
    mesh = Mesh(np.array(jax.devices()[:1]).reshape(1, 1), ("data", "model"))
    port = load_port(plan_checkpoint(catalog.get(NAME), GOLDEN / NAME), mesh=mesh)
    assert all(leaf.sharding.mesh == mesh for leaf in jax.tree.leaves(port.state))


def test_fields_of_an_object_in_a_config_change_one_by_one():
    full = random_reader(catalog.get("JanusDNA_72_w")).config
    tiny = random_reader(catalog.get("JanusDNA_72_w"), tiny=True).config
    assert (full.width, full.experts, full.layers) == (72, 16, 8)
    assert (tiny.width, tiny.experts, tiny.layers) == (32, 4, 8)
    deep = random_reader(
        catalog.get("JanusDNA_72_w"), tiny=True, fields={"config": {"num_hidden_layers": 3}}
    ).config
    assert (deep.width, deep.layers) == (32, 3)


def test_a_control_is_the_checkpoint_but_for_its_weights(tmp_path):
    entry = catalog.get("gena-lm-bert-base")
    folder = GOLDEN / entry.id  # its config.json is of a small model
    control, planned = control_reader(entry, folder), plan_checkpoint(entry, folder)
    assert (control.config, control.preset) == (planned.config, planned.preset)
    assert (size_of(control), size_of(planned)) == ("checkpoint", "checkpoint")
    shutil.copy(folder / "tokenizer.json", tmp_path)
    full = control_reader(entry, tmp_path)  # tokenizer files alone
    assert size_of(full) == "full" and full.config == random_reader(entry, tmp_path).config
    (tmp_path / "config.json").write_text(json.dumps(entry.config | {"torch_dtype": "float32"}))
    assert size_of(control_reader(entry, tmp_path)) == "full"


def test_what_a_tiny_model_adds_is_not_said_to_be_unknown():
    entry = catalog.get("gpt2_gene_v1")  # TINY of its family names fields of GPT-2 code it has not
    assert random_reader(entry, GOLDEN / entry.id, tiny=True).unknown_fields == ()
