import functools
import shutil
import subprocess
import sys

import numpy as np
import pytest
from golden_ports import GOLDEN, golden_port
from shared_data import need

from model_ports import catalog
from model_ports.running.embedder import embedder
from model_ports.running.records import collate, tokenize
from model_ports.tokenizers import TokenizerError, build_tokenizer
from model_ports.verification.anchors import AnchorError, anchors_of, verify_real

NAME = "nucleotide-transformer-v2-50m-3mer-multi-species"  # its fixture stands in for the real one
ENTRY = catalog.get(NAME)
WITHOUT = {"METAGENE-1", "evo-1-131k-base"}


@functools.cache
def embedded(sequence):
    """The ids of a record and its vector by the fixture."""
    port = golden_port(NAME)
    (ids,) = tokenize(port, [sequence])
    vector = np.asarray(embedder(port)(port.state, collate(port, [ids], len(ids))))[0]
    return ids.tolist(), vector.astype(np.float64)


def stand_in(sequence="ACGTTAGCCATTGA"):
    ids, vector = embedded(sequence)
    return {
        "sequence": sequence,
        "token_ids": ids,
        "dtype": "float32",
        "width": len(vector),
        "first_16": vector[:16].tolist(),
        "l2_norm": float(np.linalg.norm(vector)),
        "mean": float(vector.mean()),
        "max_abs": float(np.abs(vector).max()),
        "tolerance_max_abs": 1e-5,
    }


def test_all_models_but_two_have_anchors():
    for name in catalog.entries():
        if name in WITHOUT:
            with pytest.raises(AnchorError, match="no anchor exists: the input records"):
                anchors_of(catalog.get(name))
        else:
            for anchor in anchors_of(catalog.get(name)):
                assert anchor["width"] == catalog.get(name).width
                assert anchor["revision"] in (None, catalog.get(name).source["revision"])


def test_the_checkpoint_that_an_anchor_was_made_of_passes():
    long = {
        **stand_in("ACG" * 9),
        "sequence": None,
        "sequence_parts": [["ACG", 5], ["ACGACG", 2]],
    }
    results = verify_real(ENTRY, GOLDEN / NAME, [stand_in(), long])
    assert [r.passed for r in results] == [True, True]
    assert results[0].tokens == ""
    assert results[0].cosine == pytest.approx(1)


@pytest.mark.parametrize(
    "change",
    [
        {"mean": 0.5},
        {"l2_norm": 1.0},
        {"token_ids": [1, 2]},
        {"first_16": [0.0] * 15 + [1.0]},
        {"width": 7},
    ],
)
def test_another_anchor_fails(change):
    (result,) = verify_real(ENTRY, GOLDEN / NAME, [{**stand_in(), **change}])
    assert not result.passed


def test_without_recorded_ids_the_vector_alone_counts():
    anchor = stand_in()
    del anchor["token_ids"]
    (result,) = verify_real(ENTRY, GOLDEN / NAME, [anchor])
    assert result.passed
    assert result.tokens is None


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "model_ports", "verify", *map(str, arguments)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_command_shows_the_differences(tmp_path):
    folder = shutil.copytree(GOLDEN / NAME, tmp_path / "model")
    done = command("--real", NAME, "--source", folder)  # a small stand-in is not the real model
    assert done.returncode == 1
    assert "FAIL" in done.stdout
    assert "first 16" in done.stdout


def test_command_says_that_no_anchor_exists():
    done = command("--real", "METAGENE-1")
    assert done.returncode == 2
    assert "no anchor exists" in done.stderr


@pytest.mark.parametrize("name", [n for n in catalog.entries() if n not in WITHOUT])
def test_tokenizers_give_the_recorded_ids(name):
    entry = catalog.get(name)
    folder = need("tokenizers") / name
    try:
        tokenizer = build_tokenizer(folder if folder.is_dir() else None, entry.tokenizer)
    except TokenizerError as error:
        pytest.skip(f"tokenizer files are not there: {error}")
    anchors = [a for a in anchors_of(catalog.get(name)) if "token_ids" in a and a["sequence"]]
    if not anchors:
        pytest.skip("no ids were recorded")
    for anchor in anchors:
        (ids,) = tokenizer.encode([anchor["sequence"]], entry.preset("corrected").max_tokens)
        assert ids.tolist() == anchor["token_ids"]
