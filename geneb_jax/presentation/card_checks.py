"""What keeps the card of a submission from being true: names, address, size, training data.

GENEB's harness calls a submission's file after its `model_id`. Names and addresses of the models
that the catalog knows are for their authors' weights alone.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from geneb_jax.embedding.identity import LOCAL_WEIGHTS
from model_ports import catalog

# GENEB's harness puts '_' in place of every other letter of a model's id in its file's name.
_ID = re.compile(r"[A-Za-z0-9._-]+")
_URL = re.compile(r"https?://\S+")
# What people write where they do not know, in lower case and without points and dashes around it.
_NOTHING = {"", "not stated", "not known", "unknown", "unspecified", "n/a", "tbd", "todo"}
_MUCH = 2.0  # times the counted parameters, which leave out heads, that a stated number may be


def card_problems(
    model: str, card: Mapping[str, Any], of_run: Mapping[str, Any], *, has_weights: bool
) -> Iterator[str]:
    """Yields what a reader of the leaderboard would miss of a model, or be misled by, a line each.

    Args:
        model: The model's name in scores.csv.
        card: What the submission says: model_id, display, params, url, training_data and, where
            it is said, submitted_by.
        of_run: The first five as the run says them: the authors' id and address where the weights
            are known to be theirs, and the counted parameters, 0 where nothing was counted.
        has_weights: Whether there are weights, or stored contents.
    """
    name = card["model_id"]
    if not _ID.fullmatch(name):
        yield (
            f"model_id is '{name}', but the file is called after it and takes letters, digits, "
            ". _ and - alone; give another with --id"
        )
    yield from identity_problems(card, of_run)
    counted = of_run["params"]
    if counted and not counted / _MUCH <= card["params"] <= counted * _MUCH:
        yield (
            f"meta.params is {card['params']:,}, but the model that was run has {counted:,} "
            "(heads aside); leave --params out, or say the number"
        )
    needs_url = card["url"] != "" or has_weights
    for field, wrong, why, option in (
        ("display", not card["display"], "the leaderboard shows it", "--name"),
        (
            "params",
            not counted and card["params"] < int(has_weights),
            "no number of parameters",
            "--params",
        ),
        ("url", needs_url and not _URL.fullmatch(card["url"]), "no address (https://)", "--url"),
        (
            "training_data",
            _says_nothing(card["training_data"]),
            "unknown",
            "--training-data",
        ),
        (
            "submitted_by",
            _says_nothing(card.get("submitted_by", "")),
            "nobody's name",
            "--submitted-by",
        ),
    ):
        if wrong:
            yield f"meta.{field} is {card.get(field, '')!r}, {why}; say it with {option}"
    if card["url"] == LOCAL_WEIGHTS:
        yield (
            f"model '{model}': the weights of its folder are not known to be the authors'; "
            "publish them and say where, or fetch the authors' with `geneb-jax models fetch`"
        )


def _says_nothing(text: str) -> bool:
    return text.strip(" .?-").casefold() in _NOTHING


def identity_problems(card: Mapping[str, Any], of_run: Mapping[str, Any]) -> Iterator[str]:
    """Yields which names and addresses of the card are those of models that were not run.

    Args:
        card: What the submission says.
        of_run: What the run says of the model: the authors' id and address where the weights are
            known to be theirs.
    """
    ran = {of_run["model_id"]}
    from_there = ran | catalog.at_address(of_run["url"])
    named, at = catalog.named_alike, catalog.at_address
    for field, others, known, option in (
        ("model_id", named(card["model_id"]), ran, "--id"),
        ("display", named(card["display"]), from_there, "--name"),
        ("url", at(card["url"]), from_there, "--url"),
    ):
        if others and others.isdisjoint(known):
            shown = field if field == "model_id" else f"meta.{field}"
            yield (
                f"{shown} '{card[field]}' is that of a published model ('{min(others)}'), whose "
                f"weights were not run; give another with {option}"
            )
