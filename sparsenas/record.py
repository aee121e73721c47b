"""How a run goes, number by number: as plain text for its report, and as event files for TensorBoard.

`trainings/NAME.jsonl` has a line of JSON for each time that a training reported: its step and its numbers.
`tensorboard/NAME/` has the same as events, and those of the trials. What a stopped training reported beyond
the step from which it goes on is dropped from both, so that nothing is there twice.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self, TextIO

from tensorboardX import SummaryWriter

from sparsenas import files
from sparsenas.errors import UserError

TRAININGS = "trainings"
EVENTS = "tensorboard"
# Often enough for somebody who looks on.
_FLUSH_SECONDS = 5

Row = tuple[int, Mapping[str, float]]
"""A step, and numbers by name."""


class Record:
    """Writes down how a run goes; to be closed.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._texts: dict[str, TextIO] = {}
        self._writers: dict[str, SummaryWriter] = {}
        self._last: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def note(self, name: str, step: int, numbers: Mapping[str, float]) -> None:
        """Adds a step of a training, which may have been there before the training was stopped.

        Raises:
            UserError: where the folder cannot be written.
        """
        try:
            if step <= self._last.get(name, -1):  # It is done once more.
                self._texts.pop(name).close()
                self._writers.pop(name).close()
            if name not in self._texts:
                path = self._folder / TRAININGS / f"{name}.jsonl"
                kept = [row for row in _rows(path) if row[0] < step]
                files.write(path, "".join(map(_line, kept)))
                self._texts[name] = path.open("a", encoding="utf-8")
                self._writer(name)
                self.events(name, kept)
            self._texts[name].write(_line((step, numbers)))
            self._texts[name].flush()
            _add(self._writers[name], (step, numbers))
            self._last[name] = step
        except OSError as error:
            raise UserError(f"Cannot write how {name} goes in {self._folder}: {error.strerror}.") from None

    def whole(self, name: str, rows: Iterable[Row]) -> None:
        """Writes a training that is over."""
        rows = list(rows)
        files.write(self._folder / TRAININGS / f"{name}.jsonl", "".join(map(_line, rows)))
        self.events(name, rows)

    def events(self, name: str, rows: Iterable[Row]) -> None:
        """Adds events alone; the first ones of a start replace those of earlier starts."""
        for row in rows:
            _add(self._writer(name), row)

    def close(self) -> None:
        """Writes what is not written yet."""
        for one in (*self._texts.values(), *self._writers.values()):
            one.close()

    def _writer(self, name: str) -> SummaryWriter:
        if name not in self._writers:
            place = self._folder / EVENTS / name
            for old in place.glob("events.*"):
                old.unlink()
            self._writers[name] = SummaryWriter(str(place), flush_secs=_FLUSH_SECONDS)
        return self._writers[name]


def read_trainings(folder: Path) -> dict[str, list[Row]]:
    """Returns what the trainings of a run reported, by their names, up to a line that a crash cut off."""
    return {path.stem: list(_rows(path)) for path in sorted((folder / TRAININGS).glob("*.jsonl"))}


def best_so_far(trials: Sequence[Mapping[str, float]], *, target_ms: float) -> list[Row]:
    """Returns a row for each trial, with the best accuracy within the target up to it.

    >>> trials = [{"accuracy": 0.5, "latency_ms": 2.0}, {"accuracy": 0.4, "latency_ms": 1.0}]
    >>> [row.get("best_accuracy") for _, row in best_so_far(trials, target_ms=1.5)]
    [None, 0.4]
    """
    rows: list[Row] = []
    best: float | None = None
    for number, metrics in enumerate(trials, 1):
        if "accuracy" in metrics and metrics["latency_ms"] <= target_ms:
            best = max(metrics["accuracy"], metrics["accuracy"] if best is None else best)
        rows.append((number, metrics if best is None else {**metrics, "best_accuracy": best}))
    return rows


def _add(writer: SummaryWriter, row: Row) -> None:
    step, numbers = row
    for name, number in numbers.items():
        writer.add_scalar(name, number, step)


def _line(row: Row) -> str:
    step, numbers = row
    return json.dumps({"step": step, **numbers}) + "\n"


def _rows(path: Path) -> Iterator[Row]:
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found = json.loads(line)
            yield int(found.pop("step")), {name: float(number) for name, number in found.items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            return
