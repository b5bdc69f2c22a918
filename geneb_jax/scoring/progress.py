"""Progress of a run, as bars with rates."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text


def progress_bars(console: Console) -> Progress:
    """Returns bars that show a name, how much is done, a rate in the bar's `unit`, and time left.

    Each bar is added with the field `unit`, such as 'records'.
    """
    return Progress(
        TextColumn("{task.description}", table_column=Column(overflow="ellipsis", ratio=1)),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
    )


class _Rate(ProgressColumn):
    """Units done a second."""

    def render(self, task: Task) -> Text:
        """Returns the rate as text."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.1f} {task.fields['unit']}/s" if speed else "")
