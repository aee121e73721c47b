"""What the log of trials costs, and what a crew of Ray workers does.

The log has as many trials as asked for, each with an attempt and a result. Resuming is all that a search
does before its first new proposal: it opens the log, and tells the strategy what was found.
"""

import contextlib
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sparsenas import __version__, native
from sparsenas.bench.chaos import undisturbed_pair
from sparsenas.cluster.crew import Finished, Job
from sparsenas.errors import UserError
from sparsenas.progress import Status
from sparsenas.search_ahead import search_ahead
from sparsenas.space import Space
from sparsenas.strategies.evolution import regularized_evolution
from sparsenas.trial_list import list_trials
from sparsenas.trials import TrialLog, candidate_id

_AHEAD = 16
# As many as `sparsenas trials` shows.
_ROWS = 20


def bench_log(space: Space, *, trials: int) -> dict[str, Any]:
    """Returns how long a search needs to go on with a log, and `sparsenas trials` to list it."""
    if trials < 1:
        raise UserError(f"`log` must be at least 1, found {trials}.")
    with tempfile.TemporaryDirectory(prefix="sparsenas-trials-") as name:
        path = Path(name) / "trials.sqlite"
        _write(path, space, trials)
        seconds = {
            "resume_seconds": _seconds(lambda: _resume(path, space, trials)),
            "list_seconds": _seconds(lambda: list_trials(path, limit=_ROWS)),
            "list_sorted_seconds": _seconds(lambda: list_trials(path, sort="accuracy", limit=_ROWS)),
            "list_all_seconds": _seconds(lambda: list_trials(path)),
            "command_seconds": _seconds(lambda: _command(Path(name))),
        }
        return {
            "machine": native.cpu(),
            "version": __version__,
            "trials": trials,
            "log_bytes": path.stat().st_size,
            **seconds,
        }


def bench_workers(*, candidates: int, steps: int, note: Callable[[str], None]) -> dict[str, Any]:
    """Returns what a candidate costs beyond its training, and what a second worker brings."""
    one, two, identical = undisturbed_pair(candidates=candidates, steps=steps, note=note)
    return {
        "candidates": candidates,
        "overhead_ms": one.overhead_ms,
        "overhead_ms_median": one.overhead_ms_median,
        "seconds_each_1_worker": one.seconds_each,
        "seconds_each_2_workers": two.seconds_each,
        "scaling_2_workers": one.seconds_each / two.seconds_each,
        "identical_losses": identical,
    }


class _Nobody:
    """A crew that is never asked for anything."""

    def submit(self, job: Job) -> None:
        raise RuntimeError(f"Trial {job.candidate} has no result.")

    def finished(self) -> list[Finished]:
        return []

    def status(self) -> Status:
        raise RuntimeError("Nothing is under way.")


def _write(path: Path, space: Space, trials: int) -> None:
    rng = np.random.default_rng(0)
    archs = [space.text(space.sample(rng)) for _ in range(trials)]
    candidates = [candidate_id({"arch": arch, "number": i}) for i, arch in enumerate(archs)]
    with contextlib.closing(TrialLog(path)) as log:
        log.propose(archs, candidates=candidates)
        accuracy = rng.uniform(size=trials)
        log.record({i: {"accuracy": float(accuracy[i]), "latency_ms": 1.0} for i in range(trials)})
    # One by one, as a search does it, each would be synced to the disk.
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        rows = (
            (candidate, 0, 1, "node", float(i), float(i + 1), "done")
            for i, candidate in enumerate(candidates)
        )
        db.executemany("insert into attempt values (?, ?, ?, ?, ?, ?, ?)", rows)


def _resume(path: Path, space: Space, trials: int) -> None:
    with contextlib.closing(TrialLog(path)) as log:
        for rows in search_ahead(
            space,
            regularized_evolution(space),
            lambda metrics: metrics["accuracy"],
            _Nobody(),
            lambda arch: {"arch": space.text(arch)},
            log,
            trials=trials,
            ahead=_AHEAD,
            seed=0,
        ):
            assert len(rows) == trials


def _command(run: Path) -> None:
    subprocess.run([sys.executable, "-m", "sparsenas", "trials", run], check=True, capture_output=True)


def _seconds(what: Callable[[], object]) -> float:
    began = time.perf_counter()
    what()
    return time.perf_counter() - began
