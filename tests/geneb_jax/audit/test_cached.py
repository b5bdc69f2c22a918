import json
import os

import pytest

from geneb_jax.audit import cached
from geneb_jax.audit.cached import audits_folder, find_audit, identity_of, keep_audit


@pytest.fixture
def identity():
    return identity_of("0" * 64)


def test_an_audit_is_found_by_its_identity_alone(tmp_path, identity):
    assert find_audit(tmp_path, identity) is None
    keep_audit(tmp_path, identity, {"counts": {"copies": 3}})
    assert find_audit(tmp_path, identity) == {"counts": {"copies": 3}}
    assert find_audit(tmp_path, identity_of("1" * 64)) is None


@pytest.mark.parametrize("name", ["_code_digest", "_machine"])
def test_code_packages_and_device_are_part_of_the_identity(name, identity, monkeypatch):
    changed = {"_code_digest": lambda: "other", "_machine": lambda: {"packages": "other"}}[name]
    monkeypatch.setattr(cached, name, changed)
    assert identity_of("0" * 64) != identity


def test_the_code_of_audits_probes_and_letters_is_digested(tmp_path, monkeypatch):
    # Of each part a changed module, or one more, is another code.
    names = {path.name for part in cached._CODE for path in ([part] if part.is_file() else
             part.rglob("*.py"))}  # fmt: skip
    assert {"near.py", "shortcuts.py", "letters.py", "logistic_scipy.py", "sampling.py"} <= names
    module, folder = tmp_path / "letters.py", tmp_path / "audit"
    folder.mkdir()
    monkeypatch.setattr(cached, "_CODE", (folder, module))
    found = []
    for path in (module, folder / "a.py", folder / "b.py"):
        for text in ("x = 1\n", "x = 2\n"):
            module.touch()
            path.write_text(text)
            found.append(cached._code_digest.__wrapped__())
    assert len(set(found)) == len(found)


def test_a_damaged_entry_is_as_if_it_were_not_there(tmp_path, identity):
    keep_audit(tmp_path, identity, {"copies": 3})
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    content = json.loads(whole)
    others = (
        content | {"audit": {"copies": 4}},
        content | {"identity": {**identity, "rows": "1" * 64}},
        {name: content[name] for name in ("identity", "sha256")},
        [content],
    )
    for damaged in (b"", whole[:-9], b"\xff" + whole, *(json.dumps(o).encode() for o in others)):
        file.write_bytes(damaged)
        assert find_audit(tmp_path, identity) is None
        keep_audit(tmp_path, identity, {"copies": 3})
        assert find_audit(tmp_path, identity) == {"copies": 3}


def test_what_was_not_read_for_longest_goes_first(tmp_path, monkeypatch):
    identities = [identity_of(str(i)) for i in range(4)]
    audit = {"text": "x" * 1000}
    for age, identity in enumerate(identities[:3]):
        keep_audit(tmp_path, identity, audit)
        os.utime(cached._file(tmp_path, identity), (1000 + age, 1000 + age))
    size = cached._file(tmp_path, identities[0]).stat().st_size
    monkeypatch.setattr(cached, "_MOST_KEPT", 3 * size)
    assert find_audit(tmp_path, identities[0]) == audit  # read now: the second is the oldest
    keep_audit(tmp_path, identities[3], audit)
    there = [find_audit(tmp_path, identity) is not None for identity in identities]
    assert there == [True, False, True, True]


def test_a_cache_that_takes_nothing_is_said_once(tmp_path, identity, monkeypatch):
    said = []
    logger = cached.logging.get_absl_logger()
    monkeypatch.setattr(logger, "handle", lambda line: said.append(line.getMessage()))
    (tmp_path / "file").write_text("")
    for _ in range(3):
        keep_audit(tmp_path / "file" / "inside", identity, {})
        assert find_audit(tmp_path / "file" / "inside", identity) is None
    assert len(said) == 1 and "not kept" in said[0] and "inside" in said[0]


def test_the_folder_is_that_of_the_users_cache_or_the_one_that_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert audits_folder("") == tmp_path / "geneb_jax" / "audits"
    assert audits_folder(str(tmp_path / "mine")) == tmp_path / "mine" / "audits"
    assert audits_folder("none") is None
