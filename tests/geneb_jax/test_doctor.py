"""What the doctor finds; each line that may warn or fail is made to."""

import http.server
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from geneb_jax import doctor
from geneb_jax.doctor import Asked

ROOT = Path(__file__).parents[2]
NOTHING = Asked(None, "")


def lines(check, asked=NOTHING):
    return {line.subject: line for line in check(asked)}


def start(*words, **variables):
    """`geneb-jax doctor` in a process, without a network."""
    known = {name: value for name, value in os.environ.items() if name != "JAX_PLATFORMS"}
    return subprocess.Popen(
        [sys.executable, "-m", "geneb_jax", "doctor", *words],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=known | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)} | variables,
    )  # fmt: skip


def ended(process):
    text, _ = process.communicate(timeout=120)
    return process.returncode, text


def test_several_devices_multiply_and_add_up(tmp_path):
    code, text = ended(start(
        f"--workdir={tmp_path / 'new'}", JAX_PLATFORMS="cpu",
        XLA_FLAGS="--xla_force_host_platform_device_count=3",
    ))  # fmt: skip
    assert code == 0, text
    assert "ok     all-reduce: 3 devices sum to 6\n" in text
    assert text.count("ok     product") == 6
    assert "ok     hub: HF_HUB_OFFLINE is set" in text
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("platform", ["cuda", "nonsense"])
def test_a_jax_that_does_not_start_is_a_line(platform):
    code, text = ended(start(JAX_PLATFORMS=platform))
    assert code == 1
    assert "fails  JAX: " in text and f"-> JAX_PLATFORMS={platform} asks for it" in text
    assert "Traceback" not in text
    assert text.splitlines()[-1].endswith("1 fails")


@pytest.mark.slow
def test_processes_meet():
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    both = [start(f"--processes={i}/2@localhost:{port}", JAX_PLATFORMS="cpu") for i in range(2)]
    for index, (code, text) in enumerate(map(ended, both)):
        assert code == 0, text
        assert f"ok     processes: all 2 are here, this is {index}" in text


def test_a_wrong_address_is_a_line():
    code, text = ended(start("--processes=2/2@localhost:1", JAX_PLATFORMS="cpu"))
    assert code == 1 and "fails  JAX: '2/2@localhost:1': there is no process 2 of 2" in text


def test_a_device_that_computes_wrongly_is_found(monkeypatch):
    import jax

    (device, *_) = jax.local_devices()
    assert doctor._product_line(device, "float32").state == "ok"
    right = jax.numpy.matmul
    monkeypatch.setattr(jax.numpy, "matmul", lambda a, b, **how: right(a, b, **how) + 1)
    found = doctor._product_line(device, "float32")
    assert found.state == "fails" and "computes wrongly" in found.mend
    monkeypatch.setattr(jax.numpy, "matmul", lambda a, b, **how: right(a, b, **how) * np.nan)
    assert doctor._product_line(device, "float32").state == "fails"
    monkeypatch.setattr(doctor, "_all_reduce", lambda _: 2.0)
    (line,) = doctor._sums([device, device])
    assert line.state == "fails" and "do not add up" in line.mend


def test_missing_packages_and_little_memory_are_said(monkeypatch):
    monkeypatch.setattr(doctor, "_PACKAGES", ("numpy", "no-such-package"))
    found = lines(doctor._versions)["packages"]
    assert (found.state, found.found) == ("fails", "not installed: no-such-package")
    assert lines(doctor._host)["cores"].state == "ok"
    monkeypatch.setattr(doctor, "_available_memory", lambda _: 2**30)
    found = lines(doctor._host)["host memory"]
    assert found.state == "warn" and found.found.startswith("1.0 GiB free of")


def test_threads_beyond_the_cores_are_said(monkeypatch):
    monkeypatch.setattr(doctor, "_usable_cores", lambda: 0)
    assert lines(doctor._linear_algebra)["BLAS"].mend == "set OMP_NUM_THREADS=0"


def test_a_library_that_two_packages_bring_is_said_once(monkeypatch):
    blas = {"user_api": "blas", "internal_api": "openblas", "num_threads": 1}
    monkeypatch.setattr("threadpoolctl.threadpool_info", lambda: [blas, dict(blas)])
    assert lines(doctor._linear_algebra)["BLAS"].found == "openblas with 1 threads"


def test_workdirs_that_take_nothing_are_said(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("")
    assert lines(doctor._workdir, Asked(file, ""))["workdir"].found == f"{file} is a file"
    assert lines(doctor._workdir, Asked(tmp_path / "a" / "b", ""))["workdir"].state != "fails"

    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "NamedTemporaryFile", refuse)
    found = lines(doctor._workdir, Asked(tmp_path / "a", ""))["workdir"]
    assert found.state == "fails"
    assert found.found.endswith(f"nothing can be written into {tmp_path}: Permission denied")
    assert {line.state for line in doctor._caches(NOTHING)} == {"fails"}


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 2**30})
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    found = lines(doctor._workdir, Asked(tmp_path, ""))["workdir"]
    assert found.state == "warn" and "1.0 GiB free" in found.found


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers with the status of its class, after some seconds."""

    status, seconds = 200, 0.0

    def do_GET(self):
        time.sleep(self.seconds)
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(
    ("status", "seconds", "state", "words"),
    [
        (200, 0, "ok", "answers in 0."),
        (401, 0, "warn", "refuses: 401"),
        (200, 1.0, "warn", "does not answer within 0.5 s"),
    ],
)
def test_the_hub_is_asked(monkeypatch, status, seconds, state, words):
    monkeypatch.setattr(Hub, "status", status)
    monkeypatch.setattr(Hub, "seconds", seconds)
    monkeypatch.setattr(doctor, "_REACHED_WITHIN", 0.5)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    server = http.server.ThreadingHTTPServer(("localhost", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://localhost:{server.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    found = lines(doctor._network)["hub"]
    server.shutdown()
    assert (found.state, words in found.found) == (state, True), found
    if seconds == 0:
        server.server_close()
        gone = lines(doctor._network)["hub"]
        assert gone.state == "warn" and "config.tasks_dir" in gone.mend


def test_what_a_check_does_not_expect_is_a_line(monkeypatch):
    def _strange_check(_):
        raise RuntimeError("several\nlines " + "x" * 300)

    monkeypatch.setattr(doctor, "CHECKS", (_strange_check,))
    (line,) = doctor.examine(NOTHING)
    assert (line.subject, line.state) == ("strange check", "fails")
    assert line.found.startswith("several lines xxx") and line.found.endswith("...")
