"""What an audit will cost, by the sizes of tasks."""

from geneb_jax.tasks.task import Task

# Seconds of one core: of a task, a record and a letter (docs/measured.md).
_A_TASK, _A_RECORD, _A_LETTER = 0.06, 2.5e-6, 0.14e-6


def expected_seconds(task: Task) -> float:
    """Returns about how long the audit of a task takes on one core, in seconds."""
    records = [*task.train.sequences, *task.test.sequences]
    return seconds_of(len(records), sum(map(len, records)))


def seconds_of(records: int, letters: int) -> float:
    """Returns about how long the audit of a task takes on one core, in seconds.

    Args:
        records: Rows of train and test.
        letters: Letters of all of them.
    """
    return _A_TASK + _A_RECORD * records + _A_LETTER * letters


def announced(tasks: int, seconds: float) -> str:
    """Returns what is said before some tasks are audited, which takes about so many seconds."""
    count = f"{tasks} task{'s' if tasks > 1 else ''}"
    return (
        f"the audit of {count} takes about {max(seconds, 1):.0f} s of one core, once for all runs; "
        "--config.audit=False leaves it out"
    )
