"""Whether a candidate is tried again, by how the attempts at it ended."""

from collections.abc import Sequence
from typing import NamedTuple

from sparsenas.trials import DONE

HERE = "this process"
"""The node of an attempt without Ray."""

LOST = "lost"
"""Its node or its controller died: no fault of the candidate."""
OVERDUE = "overdue"
CRASHED = "crashed"
MEMORY = "memory"
ERROR = "error: "
"""And what was said. The same twice would be said again."""
REFUSED = "refused: "
"""And what was said: it is the same each time, such as a training that diverges."""


class Fate(NamedTuple):
    """What becomes of a candidate.

    Attributes:
        parts: in how many parts the next attempt computes a batch.
        given_up: why there is no other attempt; None where there is.
    """

    parts: int
    given_up: str | None


def fate(outcomes: Sequence[tuple[str, str | None]], *, attempts: int) -> Fate:
    """Returns what becomes of a candidate.

    Args:
        outcomes: node and outcome of each attempt so far; None of one that nobody saw end.
        attempts: how many may fail.

    >>> fate([("a", MEMORY)], attempts=8)
    Fate(parts=2, given_up=None)
    >>> fate([("a", "error: KeyError: 1"), ("b", LOST), ("b", "error: KeyError: 1")], attempts=8).given_up
    'KeyError: 1 (twice)'
    """
    # Whoever takes the controller with it leaves no outcome; elsewhere it is the controller that was killed.
    ends = [CRASHED if end is None and node == HERE else end for node, end in outcomes]
    known = [end for end in ends if end not in (None, DONE, LOST)]
    parts = 2 if MEMORY in known else 1
    if known.count(MEMORY) > 1:
        return Fate(parts, "out of memory, also with half a batch at a time")
    for end in known:
        if end.startswith(REFUSED):
            return Fate(parts, end.removeprefix(REFUSED))
        if end.startswith(ERROR) and known.count(end) > 1:
            return Fate(parts, f"{end.removeprefix(ERROR)} (twice)")
    if len(known) >= attempts:
        counts = ", ".join(f"{known.count(end)} x {end}" for end in dict.fromkeys(known))
        return Fate(parts, f"{len(known)} failed attempts: {counts}")
    return Fate(parts, None)
