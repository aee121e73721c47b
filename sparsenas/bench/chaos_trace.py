"""What the processes of a disturbed search did, as read from the trace that they leave.

See `sparsenas.cluster.points`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from sparsenas.trial_list import Row


@dataclass(frozen=True)
class Event:
    """A labelled moment of a candidate, when a process reached it, in seconds since 1970."""

    label: str
    what: str
    pid: int
    at: float


def read_trace(points: Path) -> list[Event]:
    """Returns what happened so far."""
    try:
        lines = (points / "trace").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [
        Event(label, what, int(pid), float(at)) for label, what, pid, at in (line.split() for line in lines)
    ]


def lost(rows: Sequence[Row], trace: Sequence[Event]) -> int:
    """Counts proposals without a result, and results that a worker has committed and the log has not."""
    known = {f"{row.candidate}-{row.trial.rung}" for row in rows if row.trial.metrics is not None}
    asked = {f"{row.candidate}-{row.trial.rung}" for row in rows}
    committed = {event.what for event in trace if event.label == "linked"}
    return len((asked | committed) - known)


def duplicated(trace: Sequence[Event]) -> int:
    """Counts candidates that were trained to the end again after their result was committed."""
    committed: set[str] = set()
    again: Counter[str] = Counter()
    for event in trace:
        if event.label == "trained" and event.what in committed:
            again[event.what] += 1
        elif event.label == "linked":
            committed.add(event.what)
    return len(again)


def resume_seconds(trace: Sequence[Event], launches: Sequence[tuple[int, float]]) -> list[float]:
    """Returns the time of each start of a driver but the first until its first attempt, less joining Ray.

    Args:
        launches: process and time of each start.
    """
    found = []
    ends = [at for _, at in launches[1:]] + [float("inf")]
    for (pid, launched), end in list(zip(launches, ends, strict=True))[1:]:
        first: dict[str, float] = {}
        for event in trace:
            # Numbers of processes come again.
            if event.pid == pid and launched <= event.at < end:
                first.setdefault(event.label, event.at)
        if {"joins", "joined", "attempted"} <= first.keys():
            found.append(first["attempted"] - launched - (first["joined"] - first["joins"]))
    return found


def between_trainings_ms(trace: Sequence[Event]) -> list[float]:
    """Returns the time from the end of each training until the next one begins, of one worker alone."""
    begun = {event.what: event.at for event in trace if event.label == "begun"}
    trained = sorted((event.at, event.what) for event in trace if event.label == "trained")
    return [1e3 * (begun[what] - at) for (at, _), (_, what) in pairwise(trained)]
