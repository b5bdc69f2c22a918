"""Whether the files of a checkpoint are those that its authors published."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from absl import logging

from model_ports.catalog import Entry
from model_ports.loading.converted import is_converted, read_manifest
from model_ports.loading.fetch import SOURCE, read_source
from model_ports.loading.identity import checkpoint_facts
from model_ports.loading.tensors import CheckpointError, is_weight_file


class Origin(NamedTuple):
    """Repository and revision that files were fetched from; None: it is not known."""

    repo: str | None
    revision: str | None


def recorded_origin(folder: Path, facts: Mapping[str, Mapping[str, Any]]) -> Origin:
    """Returns where a folder of the authors' files came from, as far as it was recorded.

    The record is source.json, which `fetch.stage` writes, where each file still has the digest
    that stands there; or the folder is a revision of a repository in the hub client's cache,
    models--OWNER--NAME/snapshots/REVISION.

    Args:
        folder: The folder.
        facts: The folder's `checkpoint_facts`.
    """
    if (folder / SOURCE).is_file():
        try:
            source = read_source(folder)
        except CheckpointError as error:
            logging.warning("%s; where the files come from is not known", error)
            return Origin(None, None)
        same = all(source["files"].get(name) == facts[name] for name in facts)
        of_text = [source.get(name) for name in Origin._fields]
        known = same and all(isinstance(text, str) for text in of_text)
        return Origin(*of_text) if known else Origin(None, None)
    *_, repository, snapshots, revision = ("", "", *folder.absolute().parts)
    kind, _, name = repository.partition("--")
    if (kind, snapshots) == ("models", "snapshots"):
        return Origin(name.replace("--", "/"), revision)
    return Origin(None, None)


def is_published(entry: Entry, folder: Path) -> bool:
    """Says whether it is known that a checkpoint holds the published weights of the catalog.

    It is where the files were fetched from the catalog's repository at its revision and have not
    changed since, or where each weight file, and each other file that the catalog lists, has the
    digest that the catalog states. A converted checkpoint is judged by the files that it was made
    from. Files that somebody else has put there may be the published ones too: that is not known.

    Args:
        entry: The model.
        folder: Its checkpoint.

    Raises:
        CheckpointError: A file cannot be read.
    """
    if is_converted(folder):
        source = read_manifest(folder)["source"]
        facts, origin = source["files"], Origin(source.get("repo"), source.get("revision"))
    else:
        facts = checkpoint_facts(folder)
        origin = recorded_origin(folder, facts)
    if None not in origin and origin == Origin(entry.source["repo"], entry.source["revision"]):
        return True
    stated = {file["to"]: file["sha256"] for file in entry.files if file["sha256"]}
    weights = [name for name in facts if is_weight_file(name)]
    return stated.keys() >= set(weights) != set() and all(
        known["sha256"] == stated.get(name, known["sha256"]) for name, known in facts.items()
    )
