"""Disturbs a search on a real cluster of this machine, and compares what is left with an undisturbed one."""

import contextlib
import dataclasses
import json
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparsenas import __version__, files, native
from sparsenas.bench.chaos_monkey import LEAST_CANDIDATES, ChaosSettings, Done, Monkey, points_of, said, start
from sparsenas.bench.chaos_nodes import Nodes, nodes
from sparsenas.bench.chaos_trace import (
    between_trainings_ms,
    duplicated,
    lost,
    read_trace,
    resume_seconds,
)
from sparsenas.errors import UserError
from sparsenas.progress import Update
from sparsenas.trial_list import Row, read_rows

# Of one measurement of throughput these many candidates at the start do not count: workers start with them.
_WARM_UP = LEAST_CANDIDATES // 2
_COUNTED = ("worker_kills", "driver_kills", "node_kills", "frozen_nodes", "cut_nodes", "full_disks")


@dataclass(frozen=True)
class Undisturbed:
    """How a search went that nobody disturbed.

    Attributes:
        seconds: of the whole search, with the start of its processes.
        seconds_each: between candidates, once workers have started.
        overhead_ms: from the end of a training until the next one begins, the mean; None for several workers,
            who wait for each other.
        overhead_ms_median: the same, the median, which a pause of the machine does not change.
    """

    seconds: float
    seconds_each: float
    overhead_ms: float | None
    overhead_ms_median: float | None


@dataclass
class Round:
    """A disturbed search and its undisturbed twins, `one` and `two` by their number of workers."""

    settings: ChaosSettings
    undisturbed: dict[str, Undisturbed] = field(default_factory=dict)
    done: Done = field(default_factory=Done)


def bench_chaos(
    settings: ChaosSettings,
    *,
    folder: Path | None = None,
    report: Update = lambda done, total, note: None,
    note: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Returns the figures of `sparsenas bench chaos`.

    `lost` counts proposals without a result, and results that a worker has committed and the log has not;
    `duplicated` candidates that were trained to the end again after their result was committed.

    Args:
        folder: keeps everything, so that a benchmark that was stopped goes on there.
    """
    if not Path("/proc/self/status").exists():
        raise UserError("The monkey finds its victims in /proc, which this system does not have; use Linux.")
    with _place(folder) as place:
        rounds = _before(place, settings)

        def save() -> None:
            state = {
                "settings": dataclasses.asdict(settings),
                "rounds": list(map(dataclasses.asdict, rounds)),
            }
            files.write(place / "chaos.json", json.dumps(state, indent=1) + "\n")

        actions = settings.actions()
        with _ended_by_a_signal(), nodes(place) as cluster:
            while (left := len(actions) - sum(one.done.acted for one in rounds)) or not rounds[
                -1
            ].done.is_over:
                if not rounds or rounds[-1].done.is_over:
                    rounds.append(_next_round(settings, rounds, left))
                earlier = sum(one.done.acted for one in rounds[:-1])
                _play(
                    place,
                    cluster,
                    rounds[-1],
                    len(rounds),
                    actions[earlier:],
                    save=save,
                    report=report,
                    note=note,
                )
        return _figures(place, rounds)


def _next_round(settings: ChaosSettings, before: list[Round], left: int) -> Round:
    if not before:
        return Round(settings=settings)
    return Round(
        settings=dataclasses.replace(
            settings,
            candidates=min(max(left, LEAST_CANDIDATES), settings.candidates),
            seed=settings.seed + len(before),
            scaling=False,
        )
    )


def _play(
    place: Path,
    cluster: Nodes,
    this: Round,
    number: int,
    actions: list[str],
    *,
    save: Callable[[], None],
    report: Update,
    note: Callable[[str], None],
) -> None:
    """Plays a round to its end."""
    settings = this.settings
    for name, workers in (("one", 1), ("two", 2)):
        if name in this.undisturbed or (workers == 1 and not settings.scaling):
            continue
        if workers == 2:
            cluster.grow()
        this.undisturbed[name] = _undisturbed(place / f"{number}-{name}", cluster, settings, workers)
        save()
        seconds = this.undisturbed[name].seconds
        note(f"undisturbed, {workers} at once: {settings.candidates} candidates in {seconds:.0f} s")
    cluster.grow()
    folder = place / f"{number}-disturbed"
    Monkey(folder, cluster, settings, actions, this.done, save=save, report=report, note=note).run()


def undisturbed_pair(
    *, candidates: int, steps: int, note: Callable[[str], None]
) -> tuple[Undisturbed, Undisturbed, bool]:
    """Returns how a search goes with one worker and with two, and whether both find the same."""
    settings = ChaosSettings(candidates=candidates, steps=steps)
    found: list[Undisturbed] = []
    with _place(None) as place, _ended_by_a_signal(), nodes(place) as cluster:
        for workers in (1, 2):
            if workers == 2:
                cluster.grow()
            found.append(_undisturbed(place / str(workers), cluster, settings, workers))
            note(f"{workers} at once: {candidates} candidates in {found[-1].seconds:.0f} s")
        one, two = ([_facts(row) for row in _rows(place / name)] for name in ("1", "2"))
    return found[0], found[1], one == two


def _figures(place: Path, rounds: list[Round]) -> dict[str, Any]:
    identical, resumed = True, []
    counts: Counter[str] = Counter()
    points: set[str] = set()
    for number, one in enumerate(rounds, 1):
        folder = place / f"{number}-disturbed"
        rows, trace = _rows(folder), read_trace(points_of(folder))
        population = list(map(_facts, rows))
        identical &= all(
            population == list(map(_facts, _rows(place / f"{number}-{name}"))) for name in one.undisturbed
        )
        resumed += resume_seconds(trace, one.done.launches)
        points |= set(one.done.points)
        counts.update({name: getattr(one.done, name) for name in _COUNTED})
        counts.update(
            candidates=len(rows),
            lost=lost(rows, trace),
            duplicated=duplicated(trace),
            starts=len(one.done.launches),
        )
    alone, pair = rounds[0].undisturbed.get("one"), rounds[0].undisturbed["two"]
    return {
        "machine": native.cpu(),
        "version": __version__,
        "candidates": counts["candidates"],
        **{name: counts[name] for name in _COUNTED},
        "commit_points": len(points),
        "lost": counts["lost"],
        "duplicated": counts["duplicated"],
        "identical_population": identical,
        "searches": len(rounds),
        "starts": counts["starts"],
        "resume_seconds": max(resumed, default=None),
        "resume_seconds_median": statistics.median(resumed) if resumed else None,
        "overhead_ms": None if alone is None else alone.overhead_ms,
        "scaling_2_workers": None if alone is None else alone.seconds_each / pair.seconds_each,
    }


def _undisturbed(folder: Path, cluster: Nodes, settings: ChaosSettings, workers: int) -> Undisturbed:
    # What was stopped here would give wrong times.
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(points_of(folder), ignore_errors=True)
    began = time.time()
    process = start(folder, cluster, settings, workers)
    try:
        if process.wait():
            raise RuntimeError(f"The undisturbed search failed:\n{said(folder)}")
    finally:
        process.kill()
    seconds = time.time() - began
    trace = read_trace(points_of(folder))
    recorded = sorted(event.at for event in trace if event.label == "recorded")
    since, until = recorded[_WARM_UP], recorded[-1]
    between = between_trainings_ms(trace)[_WARM_UP:] if workers == 1 else []
    return Undisturbed(
        seconds=seconds,
        seconds_each=(until - since) / (len(recorded) - 1 - _WARM_UP),
        overhead_ms=statistics.fmean(between) if between else None,
        overhead_ms_median=statistics.median(between) if between else None,
    )


@contextlib.contextmanager
def _place(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="sparsenas-chaos-") as name:
        yield Path(name)


def _before(place: Path, settings: ChaosSettings) -> list[Round]:
    """Returns what an earlier start with this folder has found and done."""
    path = place / "chaos.json"
    if not path.exists():
        return []
    try:
        state = json.loads(path.read_text())
        rounds = [
            Round(
                settings=ChaosSettings(**one["settings"]),
                undisturbed={name: Undisturbed(**twin) for name, twin in one["undisturbed"].items()},
                done=Done(**one["done"]),
            )
            for one in state["rounds"]
        ]
        same = state["settings"] == dataclasses.asdict(settings)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"Cannot read {path}: {error}; give another --folder.") from None
    if not same:
        raise UserError(f"{path} is of other settings; give the same ones, or another --folder.")
    return rounds


@contextlib.contextmanager
def _ended_by_a_signal() -> Iterator[None]:
    """Lets SIGTERM end this process as Ctrl-C does: with its nodes and networks."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _rows(folder: Path) -> list[Row]:
    return read_rows(folder / "trials.sqlite")


def _facts(row: Row) -> tuple:
    """Returns what a run must have in common with another of the same seed."""
    trial = row.trial
    return trial.number, trial.arch, trial.rung, trial.metrics, trial.error, row.candidate
