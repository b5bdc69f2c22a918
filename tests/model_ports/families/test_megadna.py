"""megaDNA's levels: what the fixture holds beside the uniform check, and other configs."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from drawn_checkpoints import drawn_tensors
from flax import nnx
from safetensors.numpy import save_file

from model_ports import catalog
from model_ports.loading.planned import family_config, plan_checkpoint
from model_ports.loading.ports import load_port
from model_ports.loading.tensors import CheckpointError, read_config
from model_ports.running.embedder import embedder, forward
from model_ports.running.records import collate, tokenize

MEGA = "megaDNA_phage_145M"
FOLDER = Path(__file__).parents[2] / "golden_more" / MEGA


def fixture():
    return load_port(plan_checkpoint(catalog.get(MEGA), FOLDER)), np.load(FOLDER / "golden.npz")


def module(port):
    return nnx.merge(port.graphdef, port.state)


def levels_of(port, ids):
    with jax.default_matmul_precision("highest"):
        return jax.jit(lambda state, ids: module(replace(port, state=state)).run(ids, ())[0])(
            port.state, ids
        )


def test_all_levels_agree_with_the_original_code():
    port, golden = fixture()
    record = golden["stage_records"][1]
    length = golden["attention_mask"][record].sum()
    found = levels_of(port, golden["input_ids"][record : record + 1, :length])
    # Of 47 bases: 4 patches of 15, of 5 and of 1, as the original has them, but for the patches
    # of 5 that hold padding alone, below which nothing is computed.
    assert [rows.shape[:2] for rows in found] == [(1, 5), (4, 4), (10, 6)]
    for level, rows in enumerate(found):
        expected = golden[f"stage{level}_record{record}"]
        assert len(expected) == (1, 4, 12)[level]
        np.testing.assert_allclose(rows, expected[: len(rows)], atol=5e-5, err_msg=f"{level}")


def test_a_tap_is_the_row_of_the_patch_of_each_base():
    port, golden = fixture()
    (record, _), norms = (
        golden["stage_records"],
        [level.norm.scale for level in module(port).levels],
    )
    length = golden["attention_mask"][record].sum()
    inputs = {"input_ids": golden["input_ids"][record : record + 1, :length]}
    inputs["attention_mask"] = np.ones_like(inputs["input_ids"], bool)
    # The last blocks of the levels are 2, 3 and 5; patches are of 15, 5 and 1 bases.
    run = jax.jit(lambda state, x: forward(port, state, x, (0, 2, 3, 5, -1)).states)
    states = run(port.state, inputs)
    for level, (tap, size) in enumerate(((2, 15), (3, 5), (5, 1))):
        state = np.asarray(states[tap], np.float64)[0]
        root = np.sqrt((state**2).mean(-1, keepdims=True))
        normed = state / np.maximum(root, 1e-8) * np.asarray(norms[level][...])
        rows = golden[f"stage{level}_record{record}"][:, 1:].reshape(-1, state.shape[-1])
        np.testing.assert_allclose(normed, np.repeat(rows, size, 0)[:length], atol=5e-5)
    np.testing.assert_allclose(states[-1][0], golden["hidden"][record, :length], atol=5e-5)
    table = np.asarray(module(port).levels[-1].tokens.embedding[...])
    np.testing.assert_array_equal(states[0][0], table[inputs["input_ids"][0]])


def test_a_batch_that_is_padded_beyond_the_longest_record_changes_nothing():
    port, golden = fixture()
    ids, longest = golden["input_ids"], port.config.max_tokens
    assert longest == ids.shape[1] == 90
    embed = embedder(port)
    encoded = [row[mask] for row, mask in zip(ids, golden["attention_mask"] == 1, strict=True)]
    found = embed(port.state, collate(port, encoded, longest + 17))
    np.testing.assert_allclose(found, golden["pooled_normalized"], atol=2e-5)


# Sizes that the fixture lacks: odd widths, one width for all levels, two levels, patches of one;
# and the bases of a record.
OTHERS = {
    "odd widths": ({"dim": [13, 11, 7], "depth": [1, 2, 1], "max_seq_len": [4, 2, 3]}, 23),
    "one width": ({"dim": 9, "depth": [1, 1, 1], "max_seq_len": [5, 4, 1]}, 3),
    "two levels": ({"dim": [8, 6], "depth": [1, 2], "max_seq_len": [7, 4]}, 28),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_configs_agree_with_pytorch(name, tmp_path):
    torch = pytest.importorskip("torch")
    from benchmarks.peers import megadna as peer

    fields, length = OTHERS[name]
    content = {"num_tokens": 6, **fields}
    tensors = drawn_tensors("megadna", family_config(catalog.get(MEGA), content)[0])
    (tmp_path / "config.json").write_text(json.dumps(content))
    save_file(tensors, tmp_path / "model.safetensors")
    port = load_port(plan_checkpoint(catalog.get(MEGA), tmp_path))
    theirs = peer.build(content, tensors)
    (ids,) = tokenize(port, [("GATTACAN" * 9)[:length]])
    expected = theirs(torch.from_numpy(ids[None]).long(), None).numpy()
    run = jax.jit(lambda state, x: forward(port, state, x).states[-1])
    found = run(port.state, collate(port, [ids], length))
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"depth": [2]}, "depth is [2]; it must name two levels or more"),
        ({"depth": []}, "depth is []; it must be a list of some whole numbers from 1 to 4096"),
        ({"dim": [18, 12]}, "dim is [18, 12]; it must be a list of 3 whole numbers"),
        ({"max_seq_len": [2**25, 2, 2]}, "records of more than 67108864 bases are not read"),
        ({"max_seq_len": [1, 2**15, 2**11], "dim": 10}, "dim is 10; more than 67108864 channels"),
        ({"heads": 4}, "heads is 4; only 8 is computed here"),
        ({"pos_emb": True}, "pos_emb is true; only false is computed here"),
    ],
)
def test_what_is_not_computed_is_refused(fields, words):
    with pytest.raises(CheckpointError) as error:
        family_config(catalog.get(MEGA), {**read_config(FOLDER), **fields})
    assert words in str(error.value)


def test_letters_are_those_of_the_authors():
    (ids,) = tokenize(fixture()[0], ["ATCGatcgNRU-"])
    assert ids.tolist() == [1, 2, 3, 4, 1, 2, 3, 4, 1, 1, 1, 1]


def test_a_pickled_module_is_refused_unread(tmp_path, capsys):
    torch = pytest.importorskip("torch")

    class Published(torch.nn.Linear):
        def __reduce__(self):
            return print, ("code of the file ran",)

    (tmp_path / "config.json").write_bytes((FOLDER / "config.json").read_bytes())
    torch.save(Published(2, 2), tmp_path / f"{MEGA}.pt")
    with pytest.raises(
        CheckpointError, match=r"other Python objects .*; save model\.state_dict.*docs/your-model"
    ):
        plan_checkpoint(catalog.get(MEGA), tmp_path)
    assert "ran" not in capsys.readouterr().out
    said = " ".join(catalog.get(MEGA).known_defects)
    assert "pickled module" in said and "docs/your-model.md" in said
