"""Named moments of a commit, for tests that kill a process exactly there.

Without the variable SPARSENAS_POINTS nothing happens. With it, it names a folder: every moment is appended to
its file `trace`, and a process that reaches a moment LABEL for which there is a file `exit-LABEL` removes the
file and ends at once, as if killed.
"""

import os
import time

ON_A_WORKER = ("begun", "trained", "weights", "temporary", "linked")
"""Of work, in this order: before anything is computed, when all is, when arrays are written, when the
result is written beside its place, when it has its name."""

AT_THE_CONTROLLER = ("proposed", "attempted", "submitted", "collected", "recorded")
"""Of one candidate, in this order: it is in the log, its attempt is, it is given to Ray, its result is
read, and is in the log."""

_VARIABLE = "SPARSENAS_POINTS"


def reach(label: str, what: str) -> None:
    """Says that a moment has come for a candidate."""
    folder = os.environ.get(_VARIABLE)
    if folder is None:
        return
    line = f"{label} {what} {os.getpid()} {time.time():.3f}\n".encode()
    descriptor = os.open(os.path.join(folder, "trace"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, line)
    os.close(descriptor)
    try:
        os.unlink(os.path.join(folder, f"exit-{label}"))
    except OSError:
        return
    os._exit(9)


def environment() -> dict[str, str]:
    """Returns the variable for workers, where it is set here."""
    return {_VARIABLE: os.environ[_VARIABLE]} if _VARIABLE in os.environ else {}
