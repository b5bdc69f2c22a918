from types import SimpleNamespace

import pytest

from geneb_jax.commands import main


@pytest.fixture
def command(capsys):
    """Runs `geneb-jax` in this process."""

    def run(*arguments):
        code = main([*map(str, arguments)])
        text = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=text.out, stderr=text.err)

    return run
