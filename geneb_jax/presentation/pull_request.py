"""What a pull request to GENEB's repository holds, and a card for the model's page on the hub.

GENEB's CONTRIBUTING.md asks for `submissions/ID.json`, `harness/extractors/MODULE.py` and
`model_cards/ID.md`; the folders here are those of its repository, so that they can be copied over
a clone. README.md is the draft of a model card for the Hugging Face hub, and provenance.json says
what the scores depend on.
"""

import hashlib
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geneb_jax.benchmark import GENEB
from geneb_jax.config import fields_of_scores
from geneb_jax.config_checks import names
from geneb_jax.embedding.identity import LOCAL_WEIGHTS
from geneb_jax.files.json_files import json_bytes
from geneb_jax.presentation import extractor, model_card
from geneb_jax.presentation.genebs_tasks import source_of_tasks
from geneb_jax.presentation.submission_checks import ModelRun, make_submission
from geneb_jax.scoring.scores import protocol_rows
from model_ports import catalog

_HUB = re.compile(
    r"https://huggingface\.co/([\w.-]+/[\w.-]+?)(?:/(?:tree|commit)/([0-9a-f]{40})|/tree/main)?/?"
)
# An item of `config.models`: NAME, kind, address, and the variant with random weights.
_ADDRESSED = re.compile("(?:([^=]*)=)?(hf|embeddings):(.*?)((?::random(?::tiny)?(?::[0-9]+)?)?)")
_ON_THE_HUB = re.compile(r"[\w-][\w.-]*/[\w.-]+@[0-9a-f]{40}", re.ASCII)  # what a run takes


def pull_request(run: ModelRun, said: Mapping[str, Any]) -> dict[str, bytes]:
    """Returns the files of a model's pull request, by path.

    Args:
        run: The model, of which `submission_checks.problems` finds none.
        said: Replaces model_id and fields of `meta`.

    Raises:
        ValueError: No row of the model follows GENEB's protocol.
    """
    content = make_submission(run, said)
    if content is None:
        raise ValueError(f"model '{run.model}': no row of scores.csv follows GENEB's protocol")
    name, meta = content["model_id"], content["meta"]
    facts = _facts(run, meta)
    command, names = _command(run, meta["url"])
    body = model_card.card_body(
        facts,
        meta,
        run.scores,
        command,
        tasks=source_of_tasks(run.record),
        names=names,
        defects=run.known_defects,
    )
    licence = run.entry.licence["weights"] if run.entry and run.has_weights else None
    front = model_card.front_matter(meta["display"], run.scores, licence=licence, repo=_repo(run))
    saved = json_bytes(content)
    return {
        f"submissions/{name}.json": saved,
        f"harness/extractors/{extractor.module_name(name)}.py": _extractor(
            run, name, meta, facts
        ).encode(),
        f"model_cards/{name}.md": f"# {name}\n\n{body}".encode(),
        "README.md": model_card.hub_card(front, meta["display"], body).encode(),
        "provenance.json": json_bytes(_provenance(run, name, hashlib.sha256(saved).hexdigest())),
    }


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes a new folder of files, which appears whole or not at all.

    Args:
        folder: The folder, which is not there or empty.
        files: Contents by path in it.

    Raises:
        ValueError: It holds something, or is a file.
        OSError: It cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"--out {folder}: is there already; name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as made:
        whole = Path(made) / "whole"
        for name, content in files.items():
            path = whole / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if folder.is_dir():
            folder.rmdir()
        whole.rename(folder)


def address_of(run: ModelRun) -> str:
    """Returns what `config.models` called a model, with words in capitals for paths of a host.

    These are FOLDER and, for an adapter that is merged into its model, FOLDER+ADAPTER.
    """
    for item in names(run.record["config"]["models"]):
        match = _ADDRESSED.fullmatch(item)
        if match is None:
            continue
        given, kind, address, variant = match.groups()
        name = (given or Path(address.partition("@")[0]).name) + variant
        if run.model not in (name, item):
            continue
        if kind == "embeddings" or not _ON_THE_HUB.fullmatch(address):
            adapted = "+" in str(run.identity.get("weights", "")) and "+" in address
            address = "FOLDER+ADAPTER" if adapted else "FOLDER"
        return f"{name.removesuffix(variant)}={kind}:{address}{variant}"
    return run.model


# Fields that name folders of a host, with the words that stand for these in a card.
_FOLDERS: Mapping[str, tuple[str, str]] = {
    "tasks_dir": ("TASKS", "the folder of the task files"),
    "checkpoints_dir": ("CHECKPOINTS", "the folder that holds the checkpoint's folder"),
    "catalog": ("CATALOG", "the folder that holds the model's entry"),
}


def _command(run: ModelRun, url: str) -> tuple[str, dict[str, str]]:
    """Returns the command whose run gives the scores, and what the words in capitals stand for.

    Of the fields, it has those that are not the default ones.

    Args:
        run: The model.
        url: Where its weights are, as the submission says.
    """
    config = run.record["config"]
    folders = {name: word for name, (word, _) in _FOLDERS.items() if config.get(name)}
    if not run.has_weights:
        folders.pop("checkpoints_dir", None)
        folders.pop("catalog", None)
    words = {"WORKDIR": "a new folder for the results"}
    words |= {_FOLDERS[name][0]: _FOLDERS[name][1] for name in folders}
    model, there = address_of(run), f", from {url}" if url else ""
    hub = _HUB.fullmatch(url)
    if hub and "=hf:FOLDER" in model and "ADAPTER" not in model:
        model = model.replace("FOLDER", f"{hub[1]}@{hub[2] or 'REVISION'}")
        if not hub[2]:
            words["REVISION"] = "the commit of the repository that holds these weights, 40 digits"
    elif "ADAPTER" in model:
        words["FOLDER"] = "the folder of the model that the adapter was trained on"
        words["ADAPTER"] = f"the folder of the adapter's files{there}"
    elif "FOLDER" in model:
        kept = "embeddings" if "=embeddings:" in model else "model's files"
        words["FOLDER"] = f"the folder of the {kept}{there}"
    changed = {
        field.name: config[field.name]
        for field in fields_of_scores()
        if config.get(field.name, field.default) != field.default
    }
    options = [f"--config.{name}={value}" for name, value in (folders | changed).items()]
    start = f"geneb-jax run --config=full --workdir=WORKDIR --config.models={model}"
    return " ".join([start, *options]), words


def _repo(run: ModelRun) -> str | None:
    """Returns the repository on the hub that a catalog's weights are of; None: none."""
    if run.entry is None or not run.has_weights or _local(run):
        return None
    return run.entry.source["repo"] if run.entry.source["kind"] == "huggingface" else None


def _probed(run: ModelRun) -> dict[str, str]:
    """Returns preset, dtype, tap and pooling of the representation whose scores are submitted."""
    row = protocol_rows(run.scores).iloc[0]
    return {name: str(row[name]) for name in ("preset", "dtype", "tap", "pooling")}


def _local(run: ModelRun) -> bool:
    return run.record["cards"][run.model]["url"] == LOCAL_WEIGHTS


def _facts(run: ModelRun, meta: Mapping[str, Any]) -> dict[str, str]:
    """Returns what is known of how a model is loaded, tokenized and pooled; '': it is not known."""
    identity, entry = run.identity, run.entry
    described = identity.get("described", {})
    tokenizer = described.get("tokenizer") or (dict(entry.tokenizer) if entry else {})
    preset = identity.get("preset", {})
    probed = _probed(run)
    if run.model.startswith("kmer-"):
        k = run.model.removeprefix("kmer-")
        return {
            "Architecture": "none: a baseline without a model",
            "Tokenizer / input": f"all windows of {k} letters, upper-cased; others than A, C, G "
            "and T do not count",
            "Pooling": f"frequencies of the {k}-mers in alphabetical order",
        }
    limit = preset.get("max_tokens")
    cut = f"; at most {limit} tokens" if limit else "; records are not cut"
    size = preset.get("window")
    windows = f"; windows of {size} letters every {preset['stride']}, averaged" if size else ""
    kind = extractor.tokenizer_text(tokenizer)
    state = "final hidden state" if probed["tap"] == "-1" else f"hidden state {probed['tap']}"
    family = described.get("family") or (entry.family if entry else "")
    label = f" ({entry.labels['architecture']})" if entry else ""
    return {
        "Architecture": f"{family}{label}" if family else "",
        "Weights / URL": meta["url"],
        "Revision": str(identity.get("revision") or ""),
        "Weights' digest": str(identity.get("weights", "")),
        "Tokenizer / input": f"{kind}{cut}{windows}" if kind else "",
        "Pooling": f"{probed['pooling']} of the {state}" if preset else "",
        "Precision": str(identity.get("dtype", "")),
        "Preset": "" if probed["preset"] == "none" else probed["preset"],
    }


def _extractor(run: ModelRun, name: str, meta: Mapping[str, Any], facts: Mapping[str, str]) -> str:
    config = run.record["config"]
    base = run.model.partition(":")[0]
    listed = base in catalog.entries() or base in catalog.more()
    probed = _probed(run)
    ported = probed["preset"] != "none"
    options = {name: probed[name] for name in ("preset", "dtype")} if ported else {}
    return extractor.extractor(
        run.model,
        name,
        extractor.kind_of(run.identity, config, listed=listed, local=_local(run)),
        options,
        display=meta["display"],
        params=meta["params"],
        facts=facts,
        version=run.record["geneb_jax"],
    )


def _provenance(run: ModelRun, name: str, submission_digest: str) -> dict[str, Any]:
    """Returns what the scores depend on, and by what each of it is found again."""
    record, config = run.record, run.record["config"]
    settings = {f.name: config[f.name] for f in fields_of_scores() if f.name in config}
    return {
        "model": run.model,
        "model_id": name,
        "identity": dict(run.identity),
        "representation": _probed(run),
        "config": {"models": address_of(run), **settings},
        "geneb_jax": record["geneb_jax"],
        "packages": record["packages"],
        "devices": record["devices"],
        "engines": record["engines"],
        "benchmark": {
            "harness_version": GENEB.harness_version,
            "dataset": GENEB.dataset_repo,
            "revision": GENEB.dataset_revision,
            "read_from": source_of_tasks(record),
        },
        "tasks": {
            task.id: {split: record["tasks"][task.id][split] for split in ("train", "test")}
            for task in GENEB.tasks
            if task.id in record["tasks"]
        },
        "unseen": record.get("unseen", {}).get(run.model, {}),
        "submission_sha256": submission_digest,
    }
