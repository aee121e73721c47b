"""Tables and progress on the terminal."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from sparsenas.progress import Status, Update, Watch

# A pipe or a file gets a line about what takes long now and then.
_SECONDS_BETWEEN_LINES = 30


class TerminalProgress:
    """Shows each stage as a bar while it runs, and as a line with its time when it is done."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[Update]:
        printed, last = time.perf_counter(), ""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("left"),
            TextColumn("{task.fields[note]}"),
        )
        moving = self._console.is_terminal
        bar = Progress(*columns, console=self._console, transient=True, disable=not moving)
        with self._ended(title, lambda: last), bar as progress:
            task = progress.add_task(title, total=None, note="")

            def update(done: int, total: int, note: str = "") -> None:
                nonlocal printed, last
                last = note or last
                progress.update(task, completed=done, total=total, note=last)
                if not moving and time.perf_counter() - printed > _SECONDS_BETWEEN_LINES:
                    printed = time.perf_counter()
                    self._console.print(f"{title}: {done} of {total}, {last}", markup=False)

            yield update

    @contextlib.contextmanager
    def watch(self, title: str) -> Iterator[Watch]:
        printed, last = time.perf_counter(), ""
        bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
        )
        task = bar.add_task(title, total=None, note="")
        moving = self._console.is_terminal
        screen = Live(console=self._console, transient=True, auto_refresh=moving)
        with self._ended(title, lambda: last), screen as live:

            def show(done: int, total: int, note: str, status: Status) -> None:
                nonlocal printed, last
                last = note
                for notice in status.notices:
                    self._console.print(notice, markup=False)
                if moving:
                    bar.update(task, completed=done, total=total, note=note)
                    live.update(Group(bar, of_nodes(status), summary(done, total, status)))
                elif time.perf_counter() - printed > _SECONDS_BETWEEN_LINES:
                    printed = time.perf_counter()
                    self._console.print(f"{title}: {summary(done, total, status)}; {note}", markup=False)

            yield show

    @contextlib.contextmanager
    def _ended(self, title: str, last: Callable[[], str]) -> Iterator[None]:
        """Says how a stage ended, with the last note on it."""
        started = time.perf_counter()
        try:
            yield
        except KeyboardInterrupt:
            self._console.print(f"Stopped: {title}  {last()}", markup=False)
            raise
        seconds = time.perf_counter() - started
        self._console.print(f"[green]✓[/] {title} [dim]{seconds:.1f} s[/]  {last()}")


def of_nodes(status: Status) -> Table:
    """Returns the table of a cluster's nodes: what each works on and has done."""
    rows = [
        (
            node + (" (not heard of)" if node in status.suspects else ""),
            str(status.running.get(node, 0)),
            str(status.done.get(node, 0)),
        )
        for node in sorted(status.running.keys() | status.done.keys())
    ]
    return table("", ("node", "running", "done"), rows)


def summary(done: int, total: int, status: Status) -> str:
    """Returns one line about a cluster: candidates by state, how fast they finish, how long it takes
    still."""
    parts = [
        f"{done} of {total} done",
        f"{sum(status.running.values())} running",
        f"{status.queued} waiting",
    ]
    if status.failed:
        parts.append(f"{status.failed} given up")
    if status.repeated:
        parts.append(f"{status.repeated} tried again")
    parts.append(f"{status.per_minute:.1f} a minute")
    if status.per_minute and done < total:
        parts.append(f"about {time_left((total - done) / status.per_minute)} left")
    return ", ".join(parts)


def time_left(minutes: float) -> str:
    """Returns a time as people say it.

    >>> time_left(0.5), time_left(90), time_left(3000)
    ('30 s', '1.5 h', '2.1 days')
    """
    if minutes < 1:
        return f"{60 * minutes:.0f} s"
    if minutes < 60:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h" if minutes < 48 * 60 else f"{minutes / 60 / 24:.1f} days"


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
