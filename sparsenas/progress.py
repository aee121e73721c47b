"""How long work says what it is doing, whoever listens."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

Update = Callable[[int, int, str], None]
"""`(done, total, note)`: how far a stage is."""


class Progress(Protocol):
    """Where stages are shown."""

    def stage(self, title: str) -> AbstractContextManager[Update]:
        """Opens a stage."""


class Silent:
    """Shows nothing."""

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[Update]:
        yield lambda done, total, note="": None
