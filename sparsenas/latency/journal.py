"""What is measured so far, beside the file that it will become: plain text, a line of JSON for each round."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

from sparsenas.errors import UserError
from sparsenas.latency.device import Round


@dataclass(kw_only=True)
class Batch:
    """Items of a design that are measured together.

    Attributes:
        order: positions of items, as they are visited in each round.
        wanted: how many rounds there should be.
        rounds: those that are measured.
        seconds: of measuring until the last round, since the very start.
    """

    order: tuple[int, ...]
    wanted: int
    rounds: list[Round] = field(default_factory=list)
    seconds: float = 0.0


def journal_path(out: Path) -> Path:
    """Returns where the journal of a table lies."""
    return out.with_name(out.name + ".part")


class Lines:
    """A file of JSON lines that only grows: first what it belongs to, then anything.

    Raises:
        UserError: where the file belongs to another measurement, is damaged or cannot be written.
    """

    def __init__(self, path: Path | None, identity: Mapping[str, Any]) -> None:
        self._path = path
        self._file: FileIO | None = None
        self.found: list[dict[str, Any]] = []
        if path is None:
            return
        try:
            if path.exists() and path.stat().st_size:
                self._read(path, identity)
                self._file = path.open("ab", buffering=0)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = path.open("wb", buffering=0)
                self.write(identity)
        except OSError as error:
            raise UserError(f"Cannot write {str(path)!r}: {error.strerror}.") from None

    def _read(self, path: Path, identity: Mapping[str, Any]) -> None:
        # A line that has no end was being written when the process ended.
        whole = path.read_bytes()
        whole = whole[: whole.rfind(b"\n") + 1]
        try:
            header, *self.found = [json.loads(line) for line in whole.splitlines()]
            differing = [name for name, here in identity.items() if header.get(name) != here]
        except (ValueError, AttributeError):
            raise self.damaged() from None
        for name in differing:
            raise UserError(
                f"The journal {str(path)!r} belongs to another measurement: {name} is "
                f"{header.get(name)!r} there, {identity[name]!r} here. Delete it to measure from the start, "
                "or give another --out."
            )
        with path.open("r+b") as file:
            file.truncate(len(whole))

    def damaged(self) -> UserError:
        """Returns the error for lines that make no sense."""
        return UserError(f"The journal {str(self._path)!r} is damaged; delete it to measure from the start.")

    def write(self, line: Mapping[str, Any]) -> None:
        """Keeps a line, also when the machine stops right after."""
        if self._file is None:
            return
        try:
            data = f"{json.dumps(line)}\n".encode()
            while data:
                data = data[self._file.write(data) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            raise UserError(f"Cannot write {str(self._path)!r}: {error.strerror}.") from None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class Journal:
    """Batches, on disk where there is a path; opened again, it has what was complete.

    Raises:
        UserError: as `Lines`.
    """

    def __init__(self, path: Path | None, identity: Mapping[str, Any]) -> None:
        self.batches: list[Batch] = []
        self._lines = Lines(path, identity)
        try:
            for line in self._lines.found:
                self._replay(line)
        except (ValueError, TypeError, KeyError, IndexError):
            self.close()
            raise self._lines.damaged() from None

    def _replay(self, line: dict[str, Any]) -> None:
        if "order" in line:
            self.batches.append(Batch(order=tuple(line["order"]), wanted=int(line["wanted"])))
            return
        batch = self.batches[-1]
        kernels = tuple(line["kernels"]) if "kernels" in line else batch.rounds[0].kernels
        us = tuple(float(time) for time in line["us"])
        if len(us) != len(batch.order) or len(kernels) != len(batch.order):
            raise ValueError("A round has a time for each of its batch.")
        batch.rounds.append(Round(us=us, kernels=kernels))
        batch.seconds = float(line["seconds"])

    def begin(self, order: Sequence[int], wanted: int) -> Batch:
        """Starts a batch."""
        batch = Batch(order=tuple(order), wanted=wanted)
        self.batches.append(batch)
        self._lines.write({"order": batch.order, "wanted": wanted})
        return batch

    def add(self, found: Round, seconds: float) -> None:
        """Keeps a round of the batch begun last, also when the machine stops right after."""
        batch = self.batches[-1]
        line: dict[str, Any] = {"seconds": round(seconds, 3), "us": [float(f"{us:.6g}") for us in found.us]}
        if not batch.rounds:
            line["kernels"] = found.kernels
        batch.rounds.append(found)
        batch.seconds = seconds
        self._lines.write(line)

    def close(self) -> None:
        self._lines.close()
