import json

import numpy as np
import saved_models
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


def test_without_a_terminal_a_line_says_how_far_it_is(tmp_path, command, monkeypatch):
    (tmp_path / "x.txt").write_text("ACGTAC\nGGG\n")
    words = ("embed", "--model", f"{MODEL}:random:tiny", "--input", tmp_path / "x.txt")
    words = (*words, "--out", tmp_path / "x.npz")
    assert "sequences" not in command(*words).stderr
    monkeypatch.setattr("geneb_jax.commands.embed._LINE", 0.0)
    assert "2 of 2 sequences\n" in command(*words).stderr


def test_the_pooling_that_was_taken_is_said(tmp_path, command, caplog):
    (tmp_path / "x.txt").write_text("ACGTAC\nGGG\n")
    known = ("embed", "--input", tmp_path / "x.txt", "--out", tmp_path / "x.npz")
    catalog = command(*known, "--model", "DNABERT-S", "--checkpoints_dir", GOLDEN)
    described = command(*known, "--model", f"mine=hf:{GOLDEN / 'DNABERT-S'}")
    assert "embeddings: float32 [2, 30], hidden state -1, pooling first\n" in catalog.stdout
    assert "embeddings: float32 [2, 30], hidden state -1, pooling mean\n" in described.stdout
    caplog.set_level("INFO", "absl")
    geneb_jax.embed("DNABERT-S", ["ACGTAC"], checkpoints_dir=GOLDEN)
    assert "model 'DNABERT-S': hidden state -1, pooling 'first'" in caplog.messages


def test_a_model_of_a_catalog_of_ones_own_gives_what_transformers_does(tmp_path, command):
    folder = saved_models.save(*saved_models.SAVED["bert-characters"], tmp_path / "bert")
    (tmp_path / "mine.json").write_text(json.dumps({"folder": folder.name}))
    records = ["ACGTTAGC", "GATTACA"]
    (tmp_path / "x.txt").write_text("\n".join(records))
    out = tmp_path / "x.npz"
    words = ("embed", "--model", "mine", "--input", tmp_path / "x.txt", "--out", out)
    done = command(*words, "--catalog", tmp_path)
    assert done.returncode == 0, done.stderr
    expected = saved_models.reference(folder, records, None)
    with np.load(out) as found:
        np.testing.assert_allclose(found["embeddings"], expected, rtol=1e-4, atol=1e-5)
        api = geneb_jax.embed("mine", records, catalog=tmp_path)
        np.testing.assert_array_equal(api, found["embeddings"])
    missing = tmp_path / "missing"
    wrong = {
        (): "model 'mine' is not in the catalog",
        ("--catalog", missing): f"catalog is {missing}: no such folder",
    }
    for catalog, words_of_it in wrong.items():
        done = command(*words, *catalog)
        assert done.returncode == 2
        assert done.stderr.strip().splitlines()[-1].startswith(words_of_it)
        assert "Traceback" not in done.stderr


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
        "--taps: 'x' is not an integer; valid: preset, -1 final"
        in command(*known, "--out", out, "--taps=0,x").stderr
    )
    assert "no hidden state 7" in command(*known, "--out", out, "--taps=7").stderr
    assert "ends with .npz" in command(*known, "--out", tmp_path / "x.npy").stderr
    assert "no such folder" in command(*known, "--out", tmp_path / "none" / "x.npz").stderr


def test_letters_that_the_model_does_not_know_are_said_and_prepared(tmp_path, command, caplog):
    (tmp_path / "x.fa").write_text(">good\nACGTAC\n>masked\nacguac\n")
    known = ("embed", "--model", "kmer-1", "--input", tmp_path / "x.fa")
    command(*known, "--out", tmp_path / "as_is.npz")
    (line,) = [line for line in caplog.messages if line.startswith("model 'kmer-1'")]
    assert "1 of 2 records (50 %) hold letters other than A, C, G and T" in line
    assert line.endswith("(u; first: 'masked'); see letters (--letters)")
    assert [line for line in caplog.messages if "the file is read as it is" in line]
    caplog.clear()
    command(*known, "--out", tmp_path / "dna.npz", "--letters=dna")
    assert not [line for line in caplog.messages if "letters" in line]
    with np.load(tmp_path / "dna.npz") as dna, np.load(tmp_path / "as_is.npz") as as_is:
        assert dna["embeddings"][0].tolist() == dna["embeddings"][1].tolist()
        np.testing.assert_allclose(as_is["embeddings"][1], [2 / 5, 2 / 5, 1 / 5, 0])
