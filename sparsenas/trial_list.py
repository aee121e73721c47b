"""Reads a log of trials that a controller may be writing just now: its rows, filtered, sorted and counted."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sparsenas.errors import UserError
from sparsenas.trials import FORMAT, State, Trial, check_format

COLUMNS = {
    "number": "number",
    "arch": "arch",
    "rung": "rung",
    "state": "case when metrics is not null then 'done' when error is not null then 'failed' else 'open' end",
    "attempts": "(select count(*) from attempt as a where a.candidate = p.candidate and a.rung = p.rung)",
    "node": "coalesce(node, '')",
    "seconds": "seconds",
    "error": "error",
    "candidate": "candidate",
}
"""What is known about a trial beside its metrics, and how the log says it."""

_FROM = "from proposal as p left join result using (candidate, rung)"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A trial with what `sparsenas trials` shows beside it: where it ran, for how long, and how often it
    was begun."""

    trial: Trial
    candidate: str
    node: str
    seconds: float | None
    attempts: int


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Some rows of a log.

    Attributes:
        states: how many trials the whole log has, by state.
        chosen: how many the filters leave, of which `rows` may be the first.
    """

    rows: list[Row]
    states: Mapping[State, int]
    chosen: int


def read_rows(path: Path) -> list[Row]:
    """Returns all trials of a log; raises `UserError`."""
    return list_trials(path).rows


def count_states(path: Path) -> dict[State, int]:
    """Returns how many trials a log has, by state; raises `UserError`."""
    with _opened(path) as db:
        return _states(db)


def list_trials(
    path: Path,
    *,
    state: State | None = None,
    node: str | None = None,
    rung: int | None = None,
    sort: str | None = None,
    limit: int | None = None,
) -> Listing:
    """Returns the trials that all filters leave.

    Args:
        sort: a column, the smallest first, or a metric, the largest first; those without one come last.
        limit: at most this many of them.

    Raises:
        UserError: where there is no log, or it has no such column.
    """
    filters = {"state": state, "node": node, "rung": rung}
    given = {name: value for name, value in filters.items() if value is not None}
    where = "where " + " and ".join(f"{COLUMNS[name]} = :{name}" for name in given) if given else ""
    with _opened(path) as db:
        # One look at a log that grows.
        db.execute("begin")
        states = _states(db)
        order = "number" if sort is None else _order(db, sort, f"{_FROM} {where}", given)
        values = {**given, "sort": sort, "limit": -1 if limit is None else limit}
        found = db.execute(
            f"select {', '.join(COLUMNS.values())}, metrics {_FROM} {where} order by {order} limit :limit",
            values,
        )
        rows = [
            Row(
                trial=Trial(number, arch, None if metrics is None else json.loads(metrics), rung, error),
                candidate=candidate,
                node=node,
                seconds=seconds,
                attempts=attempts,
            )
            for number, arch, rung, _, attempts, node, seconds, error, candidate, metrics in found
        ]
        if not given:
            chosen = sum(states.values())
        elif limit is None or len(rows) < limit:
            chosen = len(rows)
        else:
            (chosen,) = db.execute(f"select count(*) {_FROM} {where}", given).fetchone()
    return Listing(rows=rows, states=states, chosen=chosen)


def _order(db: sqlite3.Connection, sort: str, chosen: str, given: Mapping[str, object]) -> str:
    if sort in COLUMNS:
        return f"{COLUMNS[sort]} is null, {COLUMNS[sort]}, number"
    ask = f"select distinct each.key from (select metrics {chosen}) as c, json_each(c.metrics) as each"
    names = [name for (name,) in db.execute(ask, given)]
    if sort not in names:
        raise UserError(f"No column named {sort!r}. There are: {', '.join((*COLUMNS, *names))}.")
    value = "json_extract(metrics, '$.\"' || :sort || '\"')"
    return f"{value} is null, {value} desc, number"


def _states(db: sqlite3.Connection) -> dict[State, int]:
    found = dict.fromkeys(("done", "failed", "open"), 0)
    return found | dict(db.execute(f"select {COLUMNS['state']} as state, count(*) {_FROM} group by state"))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.exists():
        raise UserError(f"Expected a log of trials in {path}, found none; give the folder of a run.")
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        ) as db:
            (found,) = db.execute("pragma user_version").fetchone()
            check_format(path, found)
            if found < FORMAT:
                raise UserError(
                    f"The log of trials {path} has format {found}; "
                    f"`sparsenas search --resume {path.parent}` brings it to format {FORMAT}."
                )
            yield db
    except sqlite3.DatabaseError as error:
        raise UserError(
            f"Cannot read the log of trials {path}: {error}. "
            f"`sparsenas search --resume {path.parent}` keeps what can be read of a damaged one."
        ) from None
