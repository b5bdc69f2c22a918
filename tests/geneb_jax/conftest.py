import socket
import uuid

import pytest


@pytest.fixture(scope="session")
def _cloud():
    """An emulated Google Cloud Storage, for this process and those it starts."""
    from gcp_storage_emulator.server import create_server

    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    server = create_server("localhost", port, in_memory=True, default_bucket="bucket")
    server.start()
    settings = {
        "STORAGE_EMULATOR_HOST": f"http://localhost:{port}",
        "FSSPEC_GS_TOKEN": "anon",
        # gcsfs asks for the kind of bucket over a protocol that is not emulated.
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        import fsspec.config

        fsspec.config.set_conf_env(fsspec.config.conf)
        yield
    server.stop()


@pytest.fixture
def bucket_folder(_cloud):
    """The address of a folder in a bucket, where nothing is yet."""
    return f"gs://bucket/{uuid.uuid4().hex}"
