"""Files of a repository on the hub, at a pinned revision.

HF_ENDPOINT, HF_HOME and HF_TOKEN count as everywhere. The hub's library loads its HTTP client,
which takes a fifth of a second, where something is asked of it; so its errors are imported there.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import huggingface_hub
from absl import logging
from huggingface_hub import constants

_ATTEMPTS = 3
_SECONDS = 20  # until a question to the hub counts as not answered
_QUESTIONS = 2  # to a hub that does not answer, before nothing is fetched from it


class HubError(ValueError):
    """Raised where something could not be fetched."""


def current_revision(repo: str) -> str:
    """Returns the commit that a model's repository is at; '' where the hub does not say."""
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415

    try:
        return huggingface_hub.HfApi().model_info(repo, timeout=_SECONDS).sha or ""
    except (HfHubHTTPError, OSError, ValueError, _transport_error()):
        return ""


def download(
    repo: str,
    revision: str,
    patterns: Sequence[str],
    *,
    kind: str = "model",
    hint: str = "",
    folder: Path | None = None,
) -> Path:
    """Fetches files of a repository at a revision; returns their folder.

    A connection that drops is tried again from what had come. Where the hub does not answer at all,
    what was fetched before counts.

    Args:
        repo: The repository.
        revision: Its full revision.
        patterns: Names of the wanted files; a * does not end at a slash.
        kind: 'model' or 'dataset'.
        hint: What the user can do where it cannot be fetched.
        folder: Where the files go; None: into HF_HOME.

    Raises:
        HubError: The hub cannot be reached or refuses.
    """
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError  # noqa: PLC0415

    silence = _silence(repo, revision, kind)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            found = huggingface_hub.snapshot_download(
                repo,
                repo_type=kind,
                revision=revision,
                allow_patterns=list(patterns),
                local_dir=folder,
                local_files_only=silence is not None,
            )
            return Path(found)
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError, _transport_error()) as error:
            refused = isinstance(error, HfHubHTTPError | LocalEntryNotFoundError)
            if refused or silence or attempt == _ATTEMPTS:
                words = silence or _first_line(error)
                raise HubError(
                    f"{repo} at revision {revision[:8]} cannot be fetched: {words}; {hint}"
                ) from error
            time.sleep(attempt)
    raise AssertionError


def _silence(repo: str, revision: str, kind: str) -> str | None:
    """Returns why the hub does not answer; None: it does, if only to refuse.

    The hub's library would ask for half a minute before it says so.
    """
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415

    for question in range(1, _QUESTIONS + 1):
        try:
            huggingface_hub.HfApi().repo_info(
                repo, revision=revision, repo_type=kind, timeout=_SECONDS / 2
            )
        except HfHubHTTPError:
            return None
        except (OSError, _transport_error()) as error:
            words = f"{constants.ENDPOINT} does not answer ({_first_line(error)})"
            if question == _QUESTIONS:
                return words
            logging.warning("%s; asked once more", words)
            time.sleep(question)
        else:
            return None
    raise AssertionError


def _transport_error() -> type[Exception]:
    """Returns the base of all errors of the HTTP client that the hub's library uses."""
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415

    return HfHubHTTPError.__bases__[0]  # pyright: ignore


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def downloaded(repo: str, revision: str, *, kind: str = "model") -> Path | None:
    """Returns the folder in HF_HOME of what was fetched of a repository; None: nothing was.

    Args:
        repo: The repository.
        revision: Its full revision.
        kind: 'model' or 'dataset'.
    """
    from huggingface_hub.errors import LocalEntryNotFoundError  # noqa: PLC0415

    try:
        found = huggingface_hub.snapshot_download(
            repo, repo_type=kind, revision=revision, local_files_only=True
        )
    except (LocalEntryNotFoundError, OSError):
        return None
    return Path(found)
