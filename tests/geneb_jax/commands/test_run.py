import pytest

from geneb_jax.commands.run import config_file, config_names, help_text
from geneb_jax.config import fields


def test_help_tells_every_field_with_its_default():
    text = help_text()
    for field in fields():
        assert f"--config.{field.name}={field.default}\n" in text
        assert field.help.split()[0] in text


def test_a_config_is_found_by_name_and_by_file(tmp_path):
    assert {"full", "quickstart", "paper"} <= set(config_names())
    assert config_file("full").name == "full.py"
    mine = tmp_path / "mine.py"
    mine.write_text("")
    assert config_file(str(mine)) == mine
    with pytest.raises(ValueError, match=r"--config=fulll: no such .*; did you mean full"):
        config_file("fulll")
    with pytest.raises(ValueError, match="no such file or config; valid: full, layers"):
        config_file("zzz")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ([], "--config and --workdir must be given"),
        (["--config=full"], "--workdir must be given"),
        (["--config=full", "--workdir=x", "--config.sedes=1"], "did you mean seeds"),
        (["--config=full", "--workdir=x", "--confg.C=1"], "confg.C"),
        (["--config=full", "--workdir=x", "--config.C=0"], "config.C: 0"),
        (["--config=full", "--workdir=x", "kmer-4"], "'kmer-4' is not a flag"),
    ],
)
def test_a_wrong_call_is_answered_in_a_line(command, tmp_path, monkeypatch, words, answer):
    monkeypatch.chdir(tmp_path)
    done = command("run", *words)
    assert done.returncode == 2
    assert answer in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_workdir_that_is_a_file_is_named(command, tmp_path):
    (tmp_path / "file").write_text("")
    done = command("run", "--config=quickstart", f"--workdir={tmp_path / 'file'}")
    assert done.returncode == 2
    assert done.stderr == f"nothing was started:\n--workdir={tmp_path / 'file'} is not a folder\n"
