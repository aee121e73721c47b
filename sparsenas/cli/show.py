"""Tables and progress on the terminal."""

import contextlib
import time
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from sparsenas.progress import Update


class TerminalProgress:
    """Shows each stage as a bar while it runs, and as a line with its time when it is done."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[Update]:
        started, last = time.perf_counter(), ""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
        )
        # A pipe or a file gets the finished lines only.
        moving = self._console.is_terminal
        with Progress(*columns, console=self._console, transient=True, disable=not moving) as progress:
            task = progress.add_task(title, total=None, note="")

            def update(done: int, total: int, note: str = "") -> None:
                nonlocal last
                last = note or last
                progress.update(task, completed=done, total=total, note=last)

            yield update
        seconds = time.perf_counter() - started
        self._console.print(f"[green]✓[/] {title} [dim]{seconds:.1f} s[/]  {last}")


def console() -> Console:
    """Returns where a command prints; a pipe or a file gets lines wide enough for any table."""
    found = Console(highlight=False, soft_wrap=True)
    return found if found.is_terminal else Console(highlight=False, soft_wrap=True, width=170)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Returns a table whose first column is text and whose others are numbers."""
    drawn = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        drawn.add_column(column, justify="right" if i else "left")
    for row in rows:
        drawn.add_row(*row)
    return drawn
