import hashlib
import json

import pandas as pd
import pytest
from huggingface_hub import ModelCard
from run_folders import KMER_CARD, PORT, change_record, scores_of, write_run

from geneb_jax.benchmark import GENEB
from geneb_jax.presentation.pull_request import address_of, pull_request, write_folder
from geneb_jax.presentation.submission import write_submission
from geneb_jax.presentation.submission_checks import problems, read_model_run

SAID = {"submitted_by": "A. Person"}
HF = {
    "model": "mine", "revision": None, "weights": "sha256:abc", "dtype": "float32", "tap": -1,
    "preset": {"max_tokens": 512, "pooling": "mean"}, "numerics": 1,
    "described": {"family": "bert", "tokenizer": {"kind": "auto"}, "unstated": {}},
}  # fmt: skip
HF_SAID = {**SAID, "url": "https://example.org/mine", "training_data": "maize", "params": 5}

COMMIT = "0abc" * 10


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return read_model_run(write_run(tmp_path_factory.mktemp("box") / "run"), "kmer-4")


def test_it_holds_what_genebs_repository_asks_for(run):
    files = pull_request(run, SAID)
    assert list(files) == [
        "submissions/kmer-4.json", "harness/extractors/kmer_4.py", "model_cards/kmer-4.md",
        "README.md", "provenance.json",
    ]  # fmt: skip
    compile(files["harness/extractors/kmer_4.py"], "kmer_4.py", "exec")
    assert files["model_cards/kmer-4.md"].startswith(b"# kmer-4\n\n- **Display name:** kmer-4\n")
    assert len(ModelCard(files["README.md"].decode()).data.eval_results or []) == 3 + 100 * 3 * 3
    assert files == pull_request(run, SAID)


def test_the_submission_has_the_bytes_of_the_runs(run, tmp_path):
    path = write_submission("kmer-4", KMER_CARD, run.scores, tmp_path)
    assert path is not None
    assert pull_request(run, {})["submissions/kmer-4.json"] == path.read_bytes()


def test_provenance_says_what_scores_depend_on_and_no_path(run):
    files = pull_request(run, SAID)
    found = json.loads(files["provenance.json"])
    digest = hashlib.sha256(files["submissions/kmer-4.json"]).hexdigest()
    assert found["submission_sha256"] == digest
    assert found["identity"] == {"model": "kmer-4", "numerics": 1}
    assert found["benchmark"]["revision"] == GENEB.dataset_revision
    assert found["tasks"][GENEB.tasks[0].id]["train"] == {
        "rows": 30_000, "class_rows": [15_000, 15_000], "sha256": "f" * 64
    }  # fmt: skip
    assert len(found["tasks"]) == 100
    assert "tasks_dir" not in found["config"] and found["config"]["solver"] == "geneb"


def test_a_checkpoint_of_ones_own_is_described_by_its_files(tmp_path):
    card = {"model_id": "mine", "display": "mine", "params": 0, "url": "",
            "training_data": "not stated"}  # fmt: skip
    write_run(tmp_path / "run", scores_of("mine", PORT), identity=HF, card=card, columns=PORT,
              models="kmer-4,mine=hf:/home/me/ckpt", letters="as-is", dtype="float32")  # fmt: skip
    run = read_model_run(tmp_path / "run", "mine")
    assert problems(run, HF_SAID) == []
    files = pull_request(run, HF_SAID)
    code = files["harness/extractors/mine.py"].decode()
    assert 'geneb_jax.embed(f"{MODEL}=hf:{self.name_model}", sequences, **OPTIONS)' in code
    text = files["model_cards/mine.md"].decode()
    for line in ("- **Architecture:** bert", "- **Weights' digest:** sha256:abc",
                 "- **Pooling:** mean of the final hidden state",
                 "- **Tokenizer / input:** the checkpoint's tokenizer, as transformers reads its "
                 "files; at most 512 tokens"):  # fmt: skip
        assert line in text.splitlines(), line
    command = (
        "geneb-jax run --config=full --workdir=WORKDIR --config.models=mine=hf:FOLDER "
        "--config.dtype=float32"
    )
    assert f"    {command}" in text.splitlines()
    assert (
        "- `FOLDER` is the folder of the model's files, from https://example.org/mine."
    ) in text.splitlines()
    assert not any(b"/home/me" in content for content in files.values())


def test_a_cards_command_names_every_folder_and_the_hub(tmp_path):
    write_run(tmp_path / "run", scores_of("mine", PORT), identity=HF, columns=PORT,
              models="mine=hf:/home/me/ckpt", tasks_dir="/home/me/tasks",
              checkpoints_dir="/home/me/checkpoints")  # fmt: skip
    change_record(tmp_path / "run", representations={"mine": [PORT]})
    run = read_model_run(tmp_path / "run", "mine")
    for url, address in (
        ("https://huggingface.co/me/mine", "me/mine@REVISION"),
        (f"https://huggingface.co/me/mine/tree/{COMMIT}", f"me/mine@{COMMIT}"),
        ("https://huggingface.co/me/mine/tree/main", "me/mine@REVISION"),
    ):
        text = pull_request(run, HF_SAID | {"url": url})["README.md"].decode()
        command = next(line for line in text.splitlines() if line.startswith("    geneb-jax run"))
        assert f" --config.models=mine=hf:{address} " in f"{command} "
        assert "--config.tasks_dir=TASKS --config.checkpoints_dir=CHECKPOINTS" in command
        assert "- `TASKS` is the folder of the task files." in text
        assert "FOLDER" not in text and "/home/me" not in text
        assert ("- `REVISION` is the commit" in text) == address.endswith("@REVISION")


def test_an_adapter_has_two_folders(tmp_path):
    identity = HF | {"weights": "sha256:1+sha256:2"}
    write_run(tmp_path, scores_of("mine", PORT), identity=identity, columns=PORT,
              models="mine=hf:base+lora")  # fmt: skip
    said = HF_SAID | {"url": "https://huggingface.co/me/lora"}
    text = pull_request(read_model_run(tmp_path, "mine"), said)["README.md"].decode()
    assert "--config.models=mine=hf:FOLDER+ADAPTER" in text
    assert "- `FOLDER` is the folder of the model that the adapter was trained on." in text
    assert (
        "- `ADAPTER` is the folder of the adapter's files, from https://huggingface.co/me/lora."
    ) in text


@pytest.mark.parametrize("tasks_dir", ["", "tasks"])
def test_the_cards_say_where_the_tasks_are_from_and_who_says_so(tmp_path, tasks_dir):
    write_run(tmp_path, tasks_dir=tasks_dir)
    files = pull_request(read_model_run(tmp_path, "kmer-4"), SAID)
    sentences = {
        json.loads(files["provenance.json"])["benchmark"]["read_from"],
        *(next(line for line in files[name].decode().splitlines() if "tasks were read" in line)
          for name in ("README.md", "model_cards/kmer-4.md")),
    }  # fmt: skip
    (sentence,) = sentences
    pinned = f"{GENEB.dataset_repo} at revision {GENEB.dataset_revision}"
    assert pinned in sentence
    assert ("Whoever published the scores says" in sentence) == bool(tasks_dir)


def test_known_defects_stand_on_the_card(tmp_path):
    identity = HF | {"known_defects": ["its tokenizer drops N"]}
    write_run(tmp_path, scores_of("mine", PORT), identity=identity, columns=PORT)
    change_record(tmp_path, representations={"mine": [PORT]}, models={"mine": identity})
    text = pull_request(read_model_run(tmp_path, "mine"), HF_SAID)["README.md"].decode()
    assert "## Known of the model\n\n- its tokenizer drops N\n" in text


def test_of_several_hidden_states_the_presets_is_described(tmp_path):
    views = [PORT | {"tap": "0"}, PORT]
    rows = [scores_of("mine", view, tasks=GENEB.tasks[:1]) for view in views]
    write_run(tmp_path, pd.concat(rows, ignore_index=True), identity=HF, columns=views[0])
    change_record(tmp_path, representations={"mine": views})
    files = pull_request(read_model_run(tmp_path, "mine"), HF_SAID)
    assert json.loads(files["provenance.json"])["representation"] == PORT
    assert b"**Pooling:** mean of the final hidden state" in files["model_cards/kmer-4.md"]


@pytest.mark.parametrize(
    ("models", "model", "address"),
    [
        ("kmer-4", "kmer-4", "kmer-4"),
        ("a=hf:/x/y,b=hf:/x/z", "b", "b=hf:FOLDER"),
        (f"hf:org/name@{COMMIT}", "name", f"name=hf:org/name@{COMMIT}"),
        ("hf:/x/y", "y", "y=hf:FOLDER"),
        ("c=hf:x/y", "c", "c=hf:FOLDER"),
        ("hf:y", "y", "y=hf:FOLDER"),
        ("a=hf:x/y:random:tiny:3", "a:random:tiny:3", "a=hf:FOLDER:random:tiny:3"),
        ("a=hf:x/y+z/b,b=hf:x/y", "a", "a=hf:FOLDER+ADAPTER"),
        ("b=hf:x+y", "b", "b=hf:FOLDER"),
        ("embeddings:/x/e", "embeddings:/x/e", "e=embeddings:FOLDER"),
        ("all", "GROVER", "GROVER"),
    ],
)
def test_addresses_lose_the_paths_of_a_host(run, tmp_path, models, model, address):
    weights = {"a": "sha256:1+sha256:2"}.get(model, "sha256:1")
    record = {
        **run.record,
        "config": {**run.record["config"], "models": models},
        "models": {model: {"model": model, "weights": weights}},
    }
    assert address_of(type(run)(tmp_path, model, record, run.scores, [])) == address


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    files = {"a/b.json": b"{}", "c.md": b"c"}
    write_folder(tmp_path / "new" / "out", files)
    out = tmp_path / "new" / "out"
    assert {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*.*")} == files
    with pytest.raises(ValueError, match="is there already; name a new folder"):
        write_folder(out, files)
    (tmp_path / "empty").mkdir()
    write_folder(tmp_path / "empty", files)
    bad = {"a": b"1", "a/b": b"2"}  # a file where a folder has to be
    with pytest.raises(OSError, match="a"):
        write_folder(tmp_path / "never", bad)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "new"]


def test_no_row_of_the_protocol_makes_no_pull_request(tmp_path):
    write_run(tmp_path, scores_of("kmer-4", tasks=GENEB.tasks[:1], solver="converged"))
    run = read_model_run(tmp_path, "kmer-4")
    with pytest.raises(ValueError, match=r"no row of scores.csv follows GENEB's protocol"):
        pull_request(run, SAID)
