"""Files of a repository on the hub, at a pinned revision.

HF_ENDPOINT, HF_HOME and HF_TOKEN count as everywhere.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from absl import logging
from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

_ATTEMPTS = 3
_SECONDS = 20  # until a question to the hub counts as not answered
_QUESTIONS = 2  # to a hub that does not answer, before nothing is fetched from it
# The base of all errors of the HTTP client that the hub's library uses.
_TRANSPORT_ERROR: type[Exception] = HfHubHTTPError.__bases__[0]  # pyright: ignore


class HubError(ValueError):
    """Raised where something could not be fetched."""


def current_revision(repo: str) -> str:
    """Returns the commit that a model's repository is at; '' where the hub does not say."""
    try:
        return HfApi().model_info(repo, timeout=_SECONDS).sha or ""
    except (HfHubHTTPError, OSError, ValueError, _TRANSPORT_ERROR):
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
    silence = _silence(repo, revision, kind)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            found = snapshot_download(
                repo,
                repo_type=kind,
                revision=revision,
                allow_patterns=list(patterns),
                local_dir=folder,
                local_files_only=silence is not None,
            )
            return Path(found)
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError, _TRANSPORT_ERROR) as error:
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
    for question in range(1, _QUESTIONS + 1):
        try:
            HfApi().repo_info(repo, revision=revision, repo_type=kind, timeout=_SECONDS / 2)
        except HfHubHTTPError:
            return None
        except (OSError, _TRANSPORT_ERROR) as error:
            words = f"{constants.ENDPOINT} does not answer ({_first_line(error)})"
            if question == _QUESTIONS:
                return words
            logging.warning("%s; asked once more", words)
            time.sleep(question)
        else:
            return None
    raise AssertionError


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def downloaded(repo: str, revision: str, *, kind: str = "model") -> Path | None:
    """Returns the folder in HF_HOME of what was fetched of a repository; None: nothing was.

    Args:
        repo: The repository.
        revision: Its full revision.
        kind: 'model' or 'dataset'.
    """
    try:
        found = snapshot_download(repo, repo_type=kind, revision=revision, local_files_only=True)
    except (LocalEntryNotFoundError, OSError):
        return None
    return Path(found)
