"""How long work says what it is doing, whoever listens."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

Update = Callable[[int, int, str], None]
"""`(done, total, note)`: how far a stage is."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """How work on many candidates goes, since this start.

    Attributes:
        running, done: candidates by node.
        repeated: attempts at candidates that had been tried before.
        suspects: nodes that let a deadline pass and were not heard of since.
        per_minute: candidates that finish, over the last while.
        notices: what a person should know; each is in one status only.
    """

    queued: int
    running: Mapping[str, int]
    done: Mapping[str, int]
    failed: int
    repeated: int
    suspects: Sequence[str]
    per_minute: float
    notices: Sequence[str] = ()


Watch = Callable[[int, int, str, Status], None]
"""`(done, total, note, status)`: how far a stage is that many work on."""


class Progress(Protocol):
    """Where stages are shown."""

    def stage(self, title: str) -> AbstractContextManager[Update]:
        """Opens a stage."""

    def watch(self, title: str) -> AbstractContextManager[Watch]:
        """Opens a stage that many work on."""


class Silent:
    """Shows nothing."""

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[Update]:
        yield lambda done, total, note="": None

    @contextlib.contextmanager
    def watch(self, title: str) -> Iterator[Watch]:
        yield lambda done, total, note, status: None
