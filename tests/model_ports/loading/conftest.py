"""A checkpoint folder to change, its conversion, and a small hub on loopback."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from golden_ports import GOLDEN

from model_ports import catalog
from model_ports.loading.convert import convert
from model_ports.loading.fetch import checkpoint_source

CHANGED = "GENERator-eukaryote-1.2b-base"
SERVED = "nucleotide-transformer-v2-50m-3mer-multi-species"
REPO, REVISION = checkpoint_source(catalog.get(SERVED))
FILES = {
    name: (GOLDEN / SERVED / name).read_bytes()
    for name in ("config.json", "vocab.txt", "tokenizer_config.json", "model.safetensors")
}


@pytest.fixture
def torch():
    """PyTorch, which reads what the authors publish in its format."""
    return pytest.importorskip("torch", reason="the extra 'convert' is not installed")


@pytest.fixture
def source(tmp_path):
    """A copy of a fixture's checkpoint, which a test may change."""
    return Path(shutil.copytree(GOLDEN / CHANGED, tmp_path / "source"))


@pytest.fixture
def made(source, tmp_path):
    """The conversion of `source`."""
    return convert(catalog.get(CHANGED), source, tmp_path / "out")[0]


OFFERED = FILES | {"tool.py": b"not wanted"}


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
            for name, content in OFFERED.items()
        ]  # fmt: skip
        if path in (f"api/models/{REPO}", f"api/models/{REPO}/revision/{REVISION}"):
            info = {"id": REPO, "sha": REVISION, "siblings": entries}
            return self.send(200, json.dumps(info).encode(), Content_Type="application/json")
        if path == f"api/models/{REPO}/tree/{REVISION}":
            return self.send(200, json.dumps(entries).encode(), Content_Type="application/json")
        name = path.removeprefix(f"{REPO}/resolve/{REVISION}/")
        if name not in OFFERED:
            return self.send(404, X_Error_Code="EntryNotFound")
        content = OFFERED[name]
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
    """A hub that offers one checkpoint; it drops `drops` connections and notes `gets`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.drops, server.gets = 0, []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def command():
    """Runs a package as a program, with the hub's address or, without one, with no network."""

    def run(hub, home, *arguments, package="model_ports"):
        endpoint = f"http://127.0.0.1:{hub.server_port if hub else 9}"
        return subprocess.run(
            [sys.executable, "-m", package, *map(str, arguments)],
            capture_output=True, text=True, timeout=200, check=False,
            env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home)},
        )  # fmt: skip

    return run
