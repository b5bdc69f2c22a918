"""What failed in a run: one failure is of one model or one task, and the others go on."""

import errno
import logging as stdlib_logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

from absl import logging

from geneb_jax.files.atomic import WriteError
from geneb_jax.signals import interruption_first
from model_ports.exits import words_of

Stage = Literal["read", "check", "audit", "load", "embed", "probe"]

_LETTERS = 500  # of a reason; the log has all of it
# What an error of the system says of the whole run: the next model would meet it too.
_OF_THE_RUN = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
# Errors that say in their words what is wrong; of others the name of the error says more.
_SAYING = (ValueError, OSError, FloatingPointError, MemoryError)

_OF_DEVICES = "JaxRuntimeError"  # by name: JAX is not loaded for it

# Lines for the log file alone: tracebacks, which help nobody on the screen.
file_only = stdlib_logging.getLogger("geneb_jax.file_only")
file_only.setLevel(stdlib_logging.DEBUG)
file_only.propagate = False


class Failure(NamedTuple):
    """Something that could not be computed.

    Attributes:
        model: The model's name; empty: a task that failed for all models.
        task: The task's id; empty: the model failed on every task that it had not finished.
        stage: What was being done: 'read' or 'audit' a task, 'check' a model, 'load', 'embed' or
            'probe'.
        reason: What was wrong, in one line.
    """

    model: str
    task: str
    stage: Stage
    reason: str

    def __str__(self) -> str:
        """Returns the failure in one line, as it is said when it happens."""
        names = (("model", self.model), ("task", self.task))
        who = ", ".join(f"{kind} '{name}'" for kind, name in names if name)
        return f"{who} failed ({self.stage}): {self.reason}"


class Failures:
    """The failures of a run.

    Attributes:
        found: All of them, in the order in which they happened.
        fail_fast: Whether the first one ends the run.
    """

    def __init__(self, fail_fast: bool = False) -> None:
        """Begins without a failure."""
        self.found: list[Failure] = []
        self.fail_fast = fail_fast

    def add(self, failure: Failure) -> None:
        """Says a failure at once, and keeps it for the end.

        A reason that begins with the name of the failed model or task says it once.
        """
        text = without_names(failure.reason, failure.model, failure.task)
        self.found.append(failure._replace(reason=text))
        logging.error("%s", self.found[-1])

    @contextmanager
    def contained(self, model: str, stage: Stage, task: str = "") -> Iterator[None]:
        """Makes an error inside a failure of a model, with its traceback in the log file.

        What ends the whole run is raised again: any error with `fail_fast`, a file that cannot be
        written, a full disk; and what is no Exception, such as an interrupt from the keyboard. Of
        an interrupted run no error is a failure: the interruption is raised in its stead.

        Args:
            model: The model's name.
            stage: What is done inside.
            task: The task's id, where the others may go on; empty: it is the whole model.
        """
        try:
            with interruption_first():
                yield
        except Exception as error:
            file_only.debug("%s, %s %s:", stage, model, task, exc_info=error)
            if self.fail_fast or _ends_the_run(error):
                raise
            self.add(Failure(model, task, stage, reason(error)))


def without_names(reason: str, model: str, task: str = "") -> str:
    """Returns a reason without the names of its model and task in front, where they stand anyway.

    Args:
        reason: What is wrong.
        model: The model's name; in front may stand that of the model whose variant it is.
        task: The task's id; empty: it is not of one.
    """
    for name in (model.partition(":")[0], model, task):
        for kind in ("model", "task"):
            reason = reason.removeprefix(f"{kind} '{name}': ")
    return reason


def reason(error: Exception) -> str:
    """Returns what an error says, in one line; of an unexpected one also where to read more."""
    text = " ".join(words_of(error).split())
    if len(text) > _LETTERS:
        text = f"{text[:_LETTERS]}..."
    if text and (isinstance(error, _SAYING) or type(error).__name__ == _OF_DEVICES):
        return text
    return f"{type(error).__name__}{text and f': {text}'} (traceback in log.txt)"


def _ends_the_run(error: Exception) -> bool:
    full = isinstance(error, OSError) and error.errno in _OF_THE_RUN
    return full or isinstance(error, WriteError)
