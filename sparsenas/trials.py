"""The durable log of trials: what makes a search resumable.

A proposal is written before anybody works on it, its result when it is known; both survive a kill at any
moment. One controller writes; the file is SQLite (write-ahead log, every commit synced to the disk).
"""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sparsenas.errors import UserError

FORMAT = 1

_SCHEMA = """
create table proposal (number integer primary key, arch text not null) strict;
create table result (number integer primary key references proposal, metrics text not null) strict;
"""


@dataclass(frozen=True)
class Trial:
    """One proposed architecture, as text, and what was found about it: None while nobody knows."""

    number: int
    arch: str
    metrics: dict[str, float] | None


class TrialLog:
    """Proposals and results of one run, in a file."""

    def __init__(self, path: Path) -> None:
        """Opens or creates the log; raises `UserError` where the file is not one."""
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("pragma journal_mode=wal")
            self._db.execute("pragma synchronous=full")
            found = self._db.execute("pragma user_version").fetchone()[0]
            if found == 0:
                self._db.executescript(f"begin; {_SCHEMA} pragma user_version={FORMAT}; commit;")
        except sqlite3.DatabaseError as error:
            raise UserError(f"Expected a log of trials in {path}, found something else ({error}).") from None
        if found not in (0, FORMAT):
            self._db.close()
            raise UserError(
                f"The log of trials {path} has format {found}, this version reads {FORMAT}; "
                "use the version of sparsenas that wrote it."
            )

    def propose(self, archs: list[str]) -> list[int]:
        """Appends architectures and returns their numbers, which count up from 0."""
        with self._transaction():
            (start,) = self._db.execute("select count(*) from proposal").fetchone()
            numbers = list(range(start, start + len(archs)))
            self._db.executemany("insert into proposal values (?, ?)", zip(numbers, archs, strict=True))
        return numbers

    def record(self, metrics: dict[int, dict[str, float]]) -> None:
        """Adds results by number. The first result of a number stays."""
        rows = [(number, json.dumps(values, sort_keys=True)) for number, values in metrics.items()]
        with self._transaction():
            self._db.executemany("insert or ignore into result values (?, ?)", rows)

    def __iter__(self) -> Iterator[Trial]:
        """Yields all trials by number."""
        rows = self._db.execute(
            "select number, arch, metrics from proposal left join result using (number) order by number"
        )
        for number, arch, metrics in rows:
            yield Trial(number, arch, None if metrics is None else json.loads(metrics))

    def close(self) -> None:
        self._db.close()

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._db)


class _Transaction:
    """Commits on leaving, or rolls back on an exception."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("begin immediate")

    def __exit__(self, kind: type | None, *_: object) -> None:
        self._db.execute("commit" if kind is None else "rollback")
