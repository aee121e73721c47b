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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparsenas import __version__, files, native
from sparsenas.bench.chaos_monkey import ChaosSettings, Done, Monkey, points_of, said, start
from sparsenas.bench.chaos_nodes import Nodes, nodes
from sparsenas.bench.chaos_trace import duplicated, lost, read_trace, resume_seconds
from sparsenas.errors import UserError
from sparsenas.progress import Update
from sparsenas.trial_list import Row, read_rows

# Of one measurement of throughput these many candidates at the start do not count: workers start with them.
_WARM_UP = 6


@dataclass(frozen=True)
class Undisturbed:
    """How a search went that nobody disturbed.

    Attributes:
        seconds: of the whole search, with the start of its processes.
        seconds_each: between candidates, once workers have started.
        overhead_ms: between candidates beyond their training; of one worker alone.
    """

    seconds: float
    seconds_each: float
    overhead_ms: float


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
        undisturbed, done = _before(place, settings)

        def save() -> None:
            state = {
                "settings": dataclasses.asdict(settings),
                "undisturbed": {name: dataclasses.asdict(one) for name, one in undisturbed.items()},
                "done": dataclasses.asdict(done),
            }
            files.write(place / "chaos.json", json.dumps(state, indent=1) + "\n")

        with _ended_by_a_signal(), nodes(place) as cluster:
            for name, workers in (("one", 1), ("two", 2)):
                if name in undisturbed or (workers == 1 and not settings.scaling):
                    continue
                undisturbed[name] = _undisturbed(place / name, cluster, settings, workers)
                save()
                seconds = undisturbed[name].seconds
                note(f"undisturbed, {workers} at once: {settings.candidates} candidates in {seconds:.0f} s")
            monkey = Monkey(place / "disturbed", cluster, settings, done, save=save, report=report, note=note)
            monkey.run()
            save()
        return _figures(place, settings, undisturbed, done)


def _figures(
    place: Path, settings: ChaosSettings, undisturbed: dict[str, Undisturbed], done: Done
) -> dict[str, Any]:
    rows, trace = _rows(place / "disturbed"), read_trace(points_of(place / "disturbed"))
    one, two = undisturbed.get("one"), undisturbed["two"]
    population = list(map(_facts, rows))
    resumed = resume_seconds(trace, done.launches)
    return {
        "machine": native.cpu(),
        "version": __version__,
        "candidates": len(rows),
        "worker_kills": done.worker_kills,
        "driver_kills": done.driver_kills,
        "node_kills": done.node_kills,
        "frozen_nodes": done.frozen_nodes,
        "cut_nodes": done.cut_nodes,
        "full_disks": done.full_disks,
        "commit_points": len(set(done.points)),
        "lost": lost(rows, trace),
        "duplicated": duplicated(trace),
        "identical_population": all(
            population == list(map(_facts, _rows(place / name))) for name in undisturbed
        ),
        "starts": len(done.launches),
        "resume_seconds": max(resumed, default=None),
        "resume_seconds_median": statistics.median(resumed) if resumed else None,
        "overhead_ms": None if one is None else one.overhead_ms,
        "scaling_2_workers": None if one is None else one.seconds_each / two.seconds_each,
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
    trained = [event for event in trace if event.label == "trained" and since < event.at <= until]
    begun = {event.what: event.at for event in trace if event.label == "begun"}
    # Of one worker, which does one after the other: what is not training is overhead.
    training = sum(event.at - begun[event.what] for event in trained)
    return Undisturbed(
        seconds=seconds,
        seconds_each=(until - since) / (len(recorded) - 1 - _WARM_UP),
        overhead_ms=1e3 * (until - since - training) / max(len(trained), 1),
    )


@contextlib.contextmanager
def _place(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="sparsenas-chaos-") as name:
        yield Path(name)


def _before(place: Path, settings: ChaosSettings) -> tuple[dict[str, Undisturbed], Done]:
    """Returns what an earlier start with this folder has found and done."""
    path = place / "chaos.json"
    if not path.exists():
        return {}, Done()
    try:
        state = json.loads(path.read_text())
        undisturbed = {name: Undisturbed(**one) for name, one in state["undisturbed"].items()}
        done = Done(**state["done"])
        done.launches = [(pid, at) for pid, at in done.launches]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"Cannot read {path}: {error}; give another --folder.") from None
    if state["settings"] != dataclasses.asdict(settings):
        raise UserError(f"{path} is of other settings; give the same ones, or another --folder.")
    return undisturbed, done


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
