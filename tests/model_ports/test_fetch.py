"""Against a small hub on loopback that can drop connections."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from model_ports import catalog
from model_ports.loading import fetch
from model_ports.loading.converted import file_facts

GOLDEN = Path(__file__).parents[1] / "golden"
NAME = "nucleotide-transformer-v2-50m-3mer-multi-species"
REPO, REVISION = fetch.checkpoint_source(NAME)
SERVED = ("config.json", "vocab.txt", "model.safetensors")
FILES = {name: (GOLDEN / NAME / name).read_bytes() for name in SERVED} | {"tool.py": b"not wanted"}


class Hub(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def send(self, status, body=b"", cut=None, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[:cut])

    def do_GET(self):
        path = self.path.split("?")[0].strip("/")
        entries = [
            {"type": "file", "path": name, "rfilename": name, "size": len(content),
             "oid": hashlib.sha1(content).hexdigest()}
            for name, content in FILES.items()
        ]  # fmt: skip
        if path == f"api/models/{REPO}/revision/{REVISION}":
            info = {"id": REPO, "sha": REVISION, "siblings": entries}
            return self.send(200, json.dumps(info).encode(), Content_Type="application/json")
        if path == f"api/models/{REPO}/tree/{REVISION}":
            return self.send(200, json.dumps(entries).encode(), Content_Type="application/json")
        name = path.removeprefix(f"{REPO}/resolve/{REVISION}/")
        if name not in FILES:
            return self.send(404, X_Error_Code="EntryNotFound")
        content = FILES[name]
        headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X_Repo_Commit": REVISION}
        asked = self.headers.get("Range", "")
        if self.command == "GET":
            self.server.gets.append((name, asked))
        if self.command == "GET" and name == "model.safetensors" and self.server.drops > 0:
            self.server.drops -= 1
            self.close_connection = True
            return self.send(200, content, cut=len(content) // 2, **headers)
        if asked:
            start = int(asked.removeprefix("bytes=").split("-")[0])
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return self.send(206, content[start:], Content_Range=span, **headers)
        return self.send(200, content, **headers)

    do_HEAD = do_GET


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.drops, server.gets = 0, []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def command(hub, home, *arguments, package="model_ports"):
    endpoint = f"http://127.0.0.1:{hub.server_port if hub else 9}"
    return subprocess.run(
        [sys.executable, "-m", package, *map(str, arguments)],
        capture_output=True, text=True, timeout=200, check=False,
        env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home)},
    )  # fmt: skip


def test_a_dropped_connection_is_taken_up_and_the_checkpoint_converts(hub, tmp_path):
    hub.drops = 1
    done = command(hub, tmp_path / "home", "fetch", NAME, "--to", tmp_path / "staged")
    assert done.returncode == 0, done.stderr
    assert len([name for name, _ in hub.gets if name == "model.safetensors"]) >= 2
    folder = tmp_path / "staged" / NAME
    assert sorted(p.name for p in folder.iterdir()) == sorted([*SERVED, "source.json"])
    assert [p.name for p in folder.parent.iterdir()] == [NAME]
    source = json.loads((folder / "source.json").read_text())
    assert (source["repo"], source["revision"]) == (REPO, REVISION)
    for name in SERVED:
        assert (folder / name).read_bytes() == FILES[name]
        assert source["files"][name]["sha256"] == hashlib.sha256(FILES[name]).hexdigest()

    again = command(None, tmp_path / "home", "fetch", NAME, "--to", tmp_path / "staged")
    assert again.returncode == 0, again.stderr  # complete: no network is needed

    direct = command(hub, tmp_path / "home", "convert", NAME, "--out", tmp_path / "direct")
    staged = command(
        None, tmp_path, "convert", NAME, "--source", folder, "--out", tmp_path / "converted"
    )
    manifests = []
    for done, out in ((direct, "direct"), (staged, "converted")):
        assert done.returncode == 0, done.stderr
        manifests.append(json.loads((tmp_path / out / NAME / "manifest.json").read_text()))
    assert manifests[1]["source"]["revision"] == REVISION
    assert manifests[0]["weights_id"] == manifests[1]["weights_id"]


def test_first_use_converts_and_later_ones_need_no_network(hub, tmp_path):
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


def test_no_network_leaves_nothing_that_looks_finished(tmp_path):
    done = command(None, tmp_path / "home", "fetch", NAME, "--to", tmp_path / "staged")
    assert done.returncode == 1
    assert f"{REPO} at revision {REVISION[:8]} cannot be fetched" in done.stderr
    assert not (tmp_path / "staged" / NAME).exists()


def test_a_staged_file_that_changed_is_named(tmp_path):
    folder = Path(shutil.copytree(GOLDEN / NAME, tmp_path / NAME))
    fetch._write_source(folder, REPO, REVISION)
    fetch.stage(NAME, tmp_path)
    (folder / "vocab.txt").write_text("other")
    with pytest.raises(fetch.CheckpointError, match=r"vocab\.txt: is not the file"):
        fetch.stage(NAME, tmp_path)


BY_HAND = [
    entry.id for entry in catalog.entries().values() if entry.source["kind"] != "huggingface"
]


@pytest.mark.parametrize("name", BY_HAND)
def test_files_to_fetch_by_hand_are_named(name, tmp_path):
    entry = catalog.get(name)
    with pytest.raises(fetch.HubError) as error:
        fetch.stage(name, tmp_path)
    for file in entry.files:
        words = f"{tmp_path / name / file['to']}: missing; fetch '{file['name']}' from {file['at']}"
        assert words in str(error.value)
        assert f"{file['size']:,} bytes" in str(error.value)


def test_files_fetched_by_hand_are_checked(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch", reason="the extra 'convert' is not installed")
    name = "dna_gpt0.1b_h"
    folder = tmp_path / name
    folder.mkdir()
    path = folder / "dna_gpt0.1b_h.pth"
    path.write_bytes(b"cut off")
    with pytest.raises(fetch.HubError, match="has 7 bytes; fetch"):
        fetch.stage(name, tmp_path)
    torch.save({"a": torch.zeros(3)}, path)
    entry = catalog.get(name)
    file = dict(entry.files[0]) | {"size": path.stat().st_size}
    known = {name: fetch.catalog.Entry(**{**vars(entry), "files": [file]})}
    monkeypatch.setattr(fetch.catalog, "entries", lambda: known)
    with pytest.raises(fetch.HubError, match="SHA-256 is not the published"):
        fetch.stage(name, tmp_path)
    file["sha256"] = file_facts(path)["sha256"]
    fetch.stage(name, tmp_path)
    assert json.loads((folder / "config.json").read_text()) == entry.config
    fetch.stage(name, tmp_path)
