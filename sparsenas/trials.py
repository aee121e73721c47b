"""The durable log of trials: what makes a search resumable.

A proposal is written before anybody works on it, its result when it is known; both survive a kill at any
moment. A candidate is what is evaluated: its id is the hash of all that determines its result, so that it
is the same in another start and on another machine. There is one result for each candidate and rung, the
first. One controller writes, under a lock; the file is SQLite (write-ahead log, every commit synced to the
disk).
"""

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sparsenas.errors import UserError

FORMAT = 2

DONE = "done"
"""The outcome of an attempt that left a result."""

State = Literal["done", "failed", "open"]

_SCHEMA = """
create table proposal (number integer primary key, arch text not null, rung integer not null,
    candidate text not null) strict;
create table result (candidate text not null, rung integer not null, metrics text, error text,
    node text not null, seconds real, primary key (candidate, rung)) strict, without rowid;
create table attempt (candidate text not null, rung integer not null, number integer not null,
    node text not null, started real not null, ended real, outcome text,
    primary key (candidate, rung, number)) strict, without rowid;
"""

# A controller that was killed a moment ago may still be ending.
_SECONDS_FOR_LOCK = 5.0

_TRIALS = """
select number, arch, rung, metrics, error
from proposal left join result using (candidate, rung) order by number
"""


@dataclass(frozen=True)
class Trial:
    """One proposed architecture, as text, and what was found about it: None while nobody knows.

    Attributes:
        metrics: None, too, where it was given up.
        rung: of successive halving; the higher, the longer it was trained.
        error: why it was given up.
    """

    number: int
    arch: str
    metrics: dict[str, float] | None
    rung: int = 0
    error: str | None = None

    @property
    def state(self) -> State:
        """Whether its result is known, was given up, or is waited for."""
        if self.metrics is not None:
            return "done"
        return "open" if self.error is None else "failed"


def candidate_id(spec: Mapping[str, Any]) -> str:
    """Returns the id of a candidate: SHA-256 of its spec as canonical JSON.

    >>> candidate_id({"b": 1, "a": 2}) == candidate_id({"a": 2, "b": 1})
    True
    """
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class TrialLog:
    """Proposals, attempts and results of one run, in a file that one controller writes.

    Attributes:
        notice: what a person should know about opening it, such as what was kept of a damaged one.
    """

    def __init__(self, path: Path) -> None:
        """Opens or creates the log.

        A damaged log is moved aside, and what can be read of it goes into a new one. What is missing then is
        proposed again, as proposals follow from the seed.

        Raises:
            UserError: where the file is no log, is of a newer version, or another controller has it open.
        """
        self.notice = ""
        self._lock = _locked(path)
        try:
            try:
                self._db = _opened(path)
            except sqlite3.DatabaseError as error:
                if not _is_sqlite(path):
                    raise UserError(
                        f"Expected a log of trials in {path}, found something else ({error})."
                    ) from None
                self.notice = _salvage(path)
                self._db = _opened(path)
        except sqlite3.DatabaseError as error:
            os.close(self._lock)
            raise UserError(f"Cannot open the log of trials {path}: {error}.") from None
        except BaseException:
            os.close(self._lock)
            raise

    def propose(
        self, archs: Sequence[str], *, rungs: Sequence[int] = (), candidates: Sequence[str] = ()
    ) -> list[int]:
        """Appends architectures and returns their numbers, which count up from 0.

        Args:
            rungs: of each; 0 where left out.
            candidates: their ids; the hash of the architecture alone where left out.
        """
        rungs = rungs or [0] * len(archs)
        candidates = candidates or [candidate_id({"arch": arch}) for arch in archs]
        with self._transaction():
            # Not their count, for which all of them would be read.
            (start,) = self._db.execute("select coalesce(max(number), -1) + 1 from proposal").fetchone()
            numbers = list(range(start, start + len(archs)))
            rows = zip(numbers, archs, rungs, candidates, strict=True)
            self._db.executemany("insert into proposal values (?, ?, ?, ?)", rows)
        return numbers

    def record(self, metrics: Mapping[int, Mapping[str, float]]) -> None:
        """Adds results by number. The first result of a candidate stays."""
        rows = [(_json(values), number) for number, values in metrics.items()]
        with self._transaction():
            self._db.executemany(
                "insert or ignore into result select candidate, rung, ?, null, '', null "
                "from proposal where number = ?",
                rows,
            )

    def finish(
        self,
        candidate: str,
        rung: int,
        *,
        metrics: Mapping[str, float] | None = None,
        error: str | None = None,
        node: str = "",
        seconds: float | None = None,
        attempt: int | None = None,
    ) -> None:
        """Adds the result of a candidate, or why it was given up; the first one stays.

        Args:
            attempt: number of the one that found it, which is done then.
        """
        values = (candidate, rung, None if metrics is None else _json(metrics), error, node, seconds)
        with self._transaction():
            self._db.execute("insert or ignore into result values (?, ?, ?, ?, ?, ?)", values)
            if attempt is not None:
                self._end(candidate, rung, attempt, node, DONE)

    def begin(self, candidate: str, rung: int, *, node: str) -> int:
        """Writes that somebody is about to work on a candidate; returns the attempt's number, from 1."""
        with self._transaction():
            (number,) = self._db.execute(
                "select coalesce(max(number), 0) + 1 from attempt where candidate = ? and rung = ?",
                (candidate, rung),
            ).fetchone()
            self._db.execute(
                "insert into attempt values (?, ?, ?, ?, ?, null, null)",
                (candidate, rung, number, node, time.time()),
            )
        return number

    def end(self, candidate: str, rung: int, number: int, *, node: str, outcome: str) -> None:
        """Writes how an attempt ended."""
        with self._transaction():
            self._end(candidate, rung, number, node, outcome)

    def outcomes(self, candidate: str, rung: int) -> list[tuple[str, str | None]]:
        """Returns where the attempts at a candidate were and how they ended, in order; None where nobody
        knows."""
        rows = self._db.execute(
            "select node, outcome from attempt where candidate = ? and rung = ? order by number",
            (candidate, rung),
        )
        return rows.fetchall()

    def result(self, candidate: str, rung: int) -> tuple[dict[str, float] | None, str | None] | None:
        """Returns metrics and error of a candidate; None where there is no result."""
        row = self._db.execute(
            "select metrics, error from result where candidate = ? and rung = ?", (candidate, rung)
        ).fetchone()
        return None if row is None else (None if row[0] is None else json.loads(row[0]), row[1])

    def open_candidates(self) -> set[tuple[str, int]]:
        """Returns the candidates and rungs that were proposed and have no result."""
        return set(
            self._db.execute(
                "select distinct candidate, rung from proposal left join result using (candidate, rung) "
                "where metrics is null and error is null"
            )
        )

    def __iter__(self) -> Iterator[Trial]:
        """Yields all trials by number."""
        for number, arch, rung, metrics, error in self._db.execute(_TRIALS):
            yield Trial(number, arch, None if metrics is None else json.loads(metrics), rung, error)

    def close(self) -> None:
        """Closes the log and lets others open it."""
        if self._lock >= 0:
            self._db.close()
            os.close(self._lock)
            self._lock = -1

    def _end(self, candidate: str, rung: int, number: int, node: str, outcome: str) -> None:
        self._db.execute(
            "update attempt set ended = ?, node = ?, outcome = ? "
            "where candidate = ? and rung = ? and number = ?",
            (time.time(), node, outcome, candidate, rung, number),
        )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commits on leaving, or rolls back on an exception."""
        try:
            self._db.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._db.execute("rollback")
                raise
            self._db.execute("commit")
        except sqlite3.OperationalError as error:
            if "full" not in str(error) and "I/O" not in str(error):
                raise
            if self._db.in_transaction:
                self._db.execute("rollback")
            raise UserError(
                f"Cannot write to the log of trials ({error}); nothing new is proposed. Free space and go on "
                "with --resume."
            ) from None


def _locked(path: Path) -> int:
    """Returns the descriptor of the log's lock, which this process has; raises `UserError` where another
    does."""
    lock = path.with_name(path.name + ".lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(f"Cannot open {str(lock)!r}: {error.strerror}.") from None
    until = time.monotonic() + _SECONDS_FOR_LOCK
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            if time.monotonic() < until:
                time.sleep(0.05)
                continue
            holder = os.read(descriptor, 200).decode(errors="replace").strip() or "somebody"
            os.close(descriptor)
            raise UserError(
                f"Another search works on {str(path.parent)!r}: {holder}. Wait for it, or stop it."
            ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    return descriptor


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        found = db.execute("pragma user_version").fetchone()[0]
        check_format(path, found)
        db.execute("pragma journal_mode=wal")
        db.execute("pragma synchronous=full")
        if found == 0:
            db.executescript(f"begin immediate; {_SCHEMA} pragma user_version={FORMAT}; commit;")
        if (said := db.execute("pragma quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(said)
        if found == 1:
            _migrate(db)
    except BaseException:
        db.close()
        raise
    return db


def check_format(path: Path, found: int) -> None:
    """Raises `UserError` where a log is of a newer version."""
    if found > FORMAT:
        raise UserError(
            f"The log of trials {path} has format {found}, this version reads up to {FORMAT}: a newer "
            "version of sparsenas wrote it; use that one."
        )


def _migrate(db: sqlite3.Connection) -> None:
    """Brings a log from format 1, which knew numbers and architectures alone, to this one."""
    proposals = db.execute("select number, arch from proposal order by number").fetchall()
    results = dict(db.execute("select number, metrics from result"))
    ids = {number: candidate_id({"arch": arch}) for number, arch in proposals}
    db.execute("begin immediate")
    db.execute("drop table result")
    db.execute("drop table proposal")
    for statement in filter(str.strip, _SCHEMA.split(";")):
        db.execute(statement)
    db.executemany("insert into proposal values (?, ?, 0, ?)", [(n, arch, ids[n]) for n, arch in proposals])
    db.executemany(
        "insert or ignore into result values (?, 0, ?, null, '', null)",
        [(ids[number], metrics) for number, metrics in sorted(results.items())],
    )
    db.execute(f"pragma user_version={FORMAT}")
    db.execute("commit")


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def _salvage(path: Path) -> str:
    """Moves a damaged log aside and writes what can be read of it to a new one; returns what happened."""
    kept = next(
        place for i in range(1, 10_000) if not (place := path.with_name(f"{path.name}.damaged-{i}")).exists()
    )
    os.replace(path, kept)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.replace(path.with_name(path.name + suffix), kept.with_name(kept.name + suffix))
    found = {table: _readable(kept, table) for table in ("proposal", "result", "attempt")}
    # Later proposals follow from earlier ones: what comes after a gap is proposed again.
    proposals = []
    for i, row in enumerate(sorted(found["proposal"])):
        if row[0] != i or len(row) != 4:
            break
        proposals.append(row)
    db = _opened(path)
    try:
        db.execute("begin immediate")
        db.executemany("insert into proposal values (?, ?, ?, ?)", proposals)
        db.executemany("insert or ignore into result values (?, ?, ?, ?, ?, ?)", found["result"])
        db.executemany("insert or ignore into attempt values (?, ?, ?, ?, ?, ?, ?)", found["attempt"])
        db.execute("commit")
    finally:
        db.close()
    return (
        f"The log of trials was damaged; it is kept as {kept}. Of it {len(proposals)} proposals and "
        f"{len(found['result'])} results could be read and stay; what is missing is done again."
    )


def _readable(path: Path, table: str) -> list[tuple]:
    """Returns the rows of a damaged file that can be read, from both ends of the table."""
    rows: dict[tuple, None] = {}
    for direction in ("asc", "desc"):
        key = "number" if table == "proposal" else "candidate"
        with (
            contextlib.suppress(sqlite3.DatabaseError),
            contextlib.closing(sqlite3.connect(path)) as db,
        ):
            for row in db.execute(f"select * from {table} order by {key} {direction}"):
                rows[row] = None
    return list(rows)


def _json(values: Mapping[str, float]) -> str:
    return json.dumps(values, sort_keys=True)
