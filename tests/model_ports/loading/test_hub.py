"""The hub here is a small one on loopback."""

import numpy as np

from model_ports.loading.fetch import checkpoint_source

NAME = "nucleotide-transformer-v2-50m-3mer-multi-species"
_, REVISION = checkpoint_source(NAME)


def test_first_use_converts_and_later_ones_need_no_network(hub, command, tmp_path):
    records = tmp_path / "records.txt"
    records.write_text("ACGTACGTAACC\nTTGACCA\n")
    found = []
    for served in (hub, None):
        out = tmp_path / f"{len(found)}.npz"
        done = command(served, tmp_path / "home", "embed", "--model", NAME, "--input", records,
                       "--out", out, package="geneb_jax")  # fmt: skip
        assert done.returncode == 0, done.stderr
        with np.load(out) as arrays:
            found.append(arrays["embeddings"])
    np.testing.assert_array_equal(*found)
    assert (tmp_path / "home" / "geneb_jax" / REVISION / NAME / "manifest.json").is_file()
    nowhere = command(None, tmp_path / "empty", "embed", "--model", NAME, "--input", records,
                      "--out", tmp_path / "none.npz", package="geneb_jax")  # fmt: skip
    assert nowhere.returncode == 1
    assert f"python -m model_ports fetch {NAME} --to DIR" in nowhere.stderr
