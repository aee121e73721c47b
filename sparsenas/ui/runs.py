"""What a folder of runs holds right now, as JSON for the page; a run that goes on is only read."""

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from sparsenas.record import TRAININGS, Row, read_trainings
from sparsenas.trials import DONE

State = Literal["finished", "running", "stopped"]

REPORT = "report.html"
# A run that wrote nothing for so long has stopped; training a supernet writes seldom.
_SILENT_SECONDS = 180
_MOST_POINTS = 600
_MOST_LOSSES = 200


def list_runs(folder: Path, now: float | None = None) -> list[dict[str, Any]]:
    """Returns all runs of a folder, the latest first.

    Args:
        now: seconds since 1970; the clock's where left out.
    """
    now = time.time() if now is None else now
    found = [_described(path, now) for path in _runs(folder)]
    return sorted(found, key=lambda run: -run["changed"])


def _runs(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if (path / "config.json").is_file():
            yield path


def _described(path: Path, now: float) -> dict[str, Any]:
    config, summary = _json(path / "config.json"), _json(path / "summary.json")
    settings = config.get("settings") or config.get("train") or {}
    changed = max(_changes(path), default=path.stat().st_mtime)
    proposed, points = _trials(path / "trials.sqlite")
    # Of a finished run the report tells it.
    trainings = {} if summary else read_trainings(path)
    state: State = "finished" if summary else "running" if now - changed < _SILENT_SECONDS else "stopped"
    return {
        "name": path.name,
        "state": state,
        "changed": changed,
        "space": settings.get("space"),
        "dataset": settings.get("dataset") and Path(settings["dataset"]).name,
        "device": settings.get("device"),
        "strategy": settings.get("strategy") or settings.get("algorithm"),
        "seed": settings.get("seed"),
        "wanted": settings.get("trials"),
        "proposed": proposed,
        "done": len(points),
        "target_ms": summary.get("target_latency_ms") or settings.get("target_ms"),
        "points": _thinned(points),
        "candidates": len(list(path.glob("candidates/*.safetensors"))),
        "cluster": _cluster(path / "trials.sqlite") if state == "running" else None,
        "trainings": [_training(name, rows) for name, rows in trainings.items() if rows],
        "steps": (settings.get("supernet") or {}).get("steps"),
        "accuracy": summary.get("accuracy"),
        "dense_accuracy": summary.get("dense_accuracy"),
        "latency_ms": summary.get("latency_ms_measured", summary.get("latency_ms_predicted")),
        "speedup": summary.get("speedup"),
        "report": (path / REPORT).is_file(),
    }


def _changes(path: Path) -> Iterator[float]:
    """Yields when each file of a run was written, in seconds since 1970."""
    for one in _written(path):
        with contextlib.suppress(FileNotFoundError):  # Gone since it was listed.
            found = one.stat()
            # Who reads the log makes an empty file of changes, too.
            if found.st_size:
                yield found.st_mtime


def _written(path: Path) -> Iterator[Path]:
    """Yields the files that a run writes on its way."""
    # Who only reads the log makes an index beside it.
    yield from (one for one in path.iterdir() if one.is_file() and not one.name.endswith("-shm"))
    for name in ("checkpoints", "candidates", TRAININGS):
        yield from (path / name).glob("*")


def _json(path: Path) -> dict[str, Any]:
    """Returns what a file says; nothing where it is missing, unreadable or no object."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _trials(path: Path) -> tuple[int, list[tuple[float, float]]]:
    """Returns how many trials were proposed; of those that are done, latency (ms) and accuracy."""
    if not path.is_file():
        return 0, []
    try:
        # Reads what is committed and locks nobody out.
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as log:
            (proposed,) = log.execute("select count(*) from proposal").fetchone()
            rows = log.execute("select metrics from result where metrics is not null").fetchall()
        metrics = [json.loads(text) for (text,) in rows]
    except (sqlite3.Error, ValueError):
        return 0, []
    return proposed, [
        (one["latency_ms"], one["accuracy"]) for one in metrics if {"latency_ms", "accuracy"} <= one.keys()
    ]


def _cluster(path: Path) -> dict[str, Any] | None:
    """Returns candidates by state, and of each node what it works on and has done; None where nobody was
    given any."""
    if not path.is_file():
        return None
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as log:
            attempts = log.execute(
                "select node, count(*) filter (where ended is null), count(*) filter (where outcome = ?), "
                "count(*) filter (where outcome <> ?) from attempt group by node order by node",
                (DONE, DONE),
            ).fetchall()
            (failed,) = log.execute("select count(*) from result where error is not null").fetchone()
            (waiting,) = log.execute(
                "select count(*) from proposal left join result using (candidate, rung) where "
                "metrics is null and error is null and not exists "
                "(select 1 from attempt where ended is null and "
                "attempt.candidate = proposal.candidate and attempt.rung = proposal.rung)"
            ).fetchone()
    except sqlite3.Error:
        return None
    if not attempts:
        return None
    return {
        "waiting": waiting,
        "running": sum(row[1] for row in attempts),
        "done": sum(row[2] for row in attempts),
        "failed": failed,
        "nodes": [
            {"name": node or "not placed yet", "running": running, "done": done, "lost": lost}
            for node, running, done, lost in attempts
        ],
    }


def _training(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Returns where a training is, and its losses."""
    losses = [(step, numbers["loss"]) for step, numbers in rows if "loss" in numbers]
    stride = -(-len(losses) // _MOST_LOSSES) or 1
    return {"name": name, "step": rows[-1][0], "losses": losses[::stride]}


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Returns the Pareto front, and of the others as many as a small chart shows."""
    front, best = [], -1.0
    for ms, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if accuracy > best:
            front.append((ms, accuracy))
            best = accuracy
    stride = max(1, len(points) // _MOST_POINTS)
    return list(dict.fromkeys([*front, *points[::stride]]))
