import json

import numpy as np
from golden_ports import GOLDEN

import geneb_jax

MODEL = "nucleotide-transformer-v2-50m-multi-species"


def test_embeddings_of_a_file_are_the_original_codes(tmp_path, command):
    fixture = GOLDEN / MODEL
    records = json.loads((fixture / "cases.json").read_text())["sequences"]
    (tmp_path / "x.fa").write_text("".join(f">r{i}\n{s}\n" for i, s in enumerate(records)))
    out = tmp_path / "x.npz"
    done = command(
        "embed", "--model", MODEL, "--checkpoints_dir", GOLDEN, "--input", tmp_path / "x.fa",
        "--out", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    check = json.loads((fixture / "meta.json").read_text())["check"]
    with np.load(out) as found, np.load(fixture / "golden.npz") as golden:
        expected = golden[check["corrected"]["pooled"]]
        assert found["ids"].tolist() == [f"r{i}" for i in range(len(records))]
        np.testing.assert_allclose(
            found["embeddings"], expected, rtol=check["rtol"], atol=check["pooled_atol"]
        )
        api = geneb_jax.embed(MODEL, records, checkpoints_dir=GOLDEN)
        np.testing.assert_array_equal(api, found["embeddings"])


def test_several_views_are_named_and_bad_ones_refused(tmp_path, command):
    (tmp_path / "x.txt").write_text("ACGTAC\nGGG\n")
    known = ("embed", "--model", f"{MODEL}:random:tiny", "--input", tmp_path / "x.txt")
    out = tmp_path / "x.npz"
    done = command(*known, "--out", out, "--taps=-1,0", "--poolings", "mean,last")
    assert done.returncode == 0, done.stderr
    with np.load(out) as found:
        views = {"-1/mean", "-1/last", "0/mean", "0/last"}
        assert set(found) == {"ids"} | views
        assert {found[view].shape for view in views} == {(2, 32)}
    done = command(*known, "--out", out, "--taps=all")
    with np.load(out) as found:
        assert set(found) == {"ids", "-1/mean", "0/mean", "1/mean", "2/mean"}
    assert (
        "--taps: 'x' is no number; valid: -1 final"
        in command(*known, "--out", out, "--taps=0,x").stderr
    )
    assert "no hidden state 7" in command(*known, "--out", out, "--taps=7").stderr
    assert "ends with .npz" in command(*known, "--out", tmp_path / "x.npy").stderr
    assert "no such folder" in command(*known, "--out", tmp_path / "none" / "x.npz").stderr
