"""Against a small server on loopback that speaks the hub's protocol."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from geneb_jax.benchmark import GENEB
from model_ports import catalog

TASK = "iDHS-EL_DNase_I"
NT = "nucleotide-transformer-v2-50m-3mer-multi-species"
FILES = {
    "README.md": b"not wanted",
    f"tasks/{TASK}/train.csv": b"text,label\nACGT,0\nGGTT,1\n",
    f"tasks/{TASK}/test.csv": b"text,label\nAAAA,0\nCCCC,1\n",
    "tasks/other/train.csv": b"not wanted",
}
CHECKPOINT = {"config.json": b"{}", "model.safetensors": b"x" * 1000, "tool.py": b"not wanted"}


class Hub(BaseHTTPRequestHandler):
    repositories = {  # noqa: RUF012
        f"datasets/{GENEB.dataset_repo}": (GENEB.dataset_revision, FILES),
        catalog.get(NT).source["repo"]: (catalog.get(NT).source["revision"], CHECKPOINT),
    }

    def log_message(self, *_):
        pass

    def send(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_GET(self):
        path = self.path.split("?")[0].strip("/")
        for repo, (revision, files) in self.repositories.items():
            api = repo if repo.startswith("datasets/") else f"models/{repo}"
            entries = [
                {"type": "file", "path": name, "rfilename": name, "size": len(content),
                 "oid": hashlib.sha1(content).hexdigest()}
                for name, content in files.items()
            ]  # fmt: skip
            if path == f"api/{api}/revision/{revision}":
                info = {"id": repo.removeprefix("datasets/"), "sha": revision, "siblings": entries}
                return self.send(200, json.dumps(info).encode(), Content_Type="application/json")
            if path == f"api/{api}/tree/{revision}":
                return self.send(200, json.dumps(entries).encode(), Content_Type="application/json")
            prefix = f"{repo}/resolve/{revision}/"
            if path.startswith(prefix) and path.removeprefix(prefix) in files:
                content = files[path.removeprefix(prefix)]
                etag = f'"{hashlib.sha1(content).hexdigest()}"'
                return self.send(200, content, ETag=etag, X_Repo_Commit=revision)
        return self.send(404, X_Error_Code="EntryNotFound")

    do_HEAD = do_GET


@pytest.fixture
def endpoint():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def python(code, endpoint, home):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home)},
    )  # fmt: skip


FETCH = f"""
from geneb_jax.tasks.hub import fetch_tasks
from model_ports import catalog
from model_ports.loading.fetch import fetch_checkpoint
from geneb_jax.tasks.reading import find_tasks, read_task
folder = fetch_tasks(["{TASK}"])
found = find_tasks(folder)
print(list(found), read_task(folder, found["{TASK}"]).train.sequences)
print(sorted(path.name for path in fetch_checkpoint(catalog.get("{NT}")).iterdir()))
"""


def test_pinned_files_are_fetched_and_kept(endpoint, tmp_path):
    done = python(FETCH, endpoint, tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-2] == f"['{TASK}'] ['ACGT', 'GGTT']"
    assert lines[-1] == "['config.json', 'model.safetensors']"
    offline = python(FETCH, "http://127.0.0.1:9", tmp_path)
    assert offline.returncode == 0, offline.stderr
    assert offline.stdout == done.stdout


@pytest.mark.slow  # it waits for the retries
def test_no_network_names_the_way_out(tmp_path):
    done = python(FETCH, "http://127.0.0.1:9", tmp_path)
    assert done.returncode == 1
    assert "HubError: darlednik/geneb-tasks at revision 4edd705b" in done.stderr
    assert "config.tasks_dir" in done.stderr


def test_models_that_are_not_on_the_hub_say_where_they_are(tmp_path):
    code = (
        "from model_ports import catalog; from model_ports.loading.fetch import fetch_checkpoint; "
        "fetch_checkpoint(catalog.get('deepgene'))"
    )
    done = python(code, "http://127.0.0.1:9", tmp_path)
    assert "fetch it by hand" in done.stderr
