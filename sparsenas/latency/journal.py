"""What is measured so far, beside the file that it will become: plain text, a line of JSON for each batch."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from sparsenas.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Row:
    """Times of one item of a design.

    Attributes:
        item: its position.
        us, low_us, high_us: median and quartiles of the visits.
    """

    item: int
    us: float
    low_us: float
    high_us: float
    kernel: str

    @property
    def spread(self) -> float:
        """Width between the quartiles, relative to the median."""
        return (self.high_us - self.low_us) / self.us


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Items measured together.

    Attributes:
        reference_us: time of the reference kernel in the same rounds.
        seconds: of measuring, since the very start.
    """

    seconds: float
    reference_us: float
    rows: tuple[Row, ...]


def journal_path(out: Path) -> Path:
    """Returns where the journal of a table lies."""
    return out.with_name(out.name + ".part")


class Journal:
    """Batches on disk; opened again, it has those that were complete.

    Raises:
        UserError: where the file belongs to another measurement or cannot be written.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self._path = path
        self.batches: list[Batch] = []
        try:
            self._file = self._open(dict(identity))
        except OSError as error:
            raise UserError(f"Cannot write {str(path)!r}: {error.strerror}.") from None

    def _open(self, identity: dict[str, Any]) -> IO[str]:
        if not self._path.exists() or not self._path.stat().st_size:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._path.open("w", encoding="utf-8")
            self._file = file
            self._write(identity)
            return file
        # A line that has no end was being written when the process ended.
        whole = self._path.read_bytes()
        whole = whole[: whole.rfind(b"\n") + 1]
        try:
            header, *lines = [json.loads(line) for line in whole.splitlines()]
            self.batches = [_batch(line) for line in lines]
        except (ValueError, TypeError, KeyError):
            raise UserError(
                f"The journal {str(self._path)!r} is damaged; delete it to measure from the start."
            ) from None
        wrong = [name for name in identity if header.get(name) != identity[name]]
        if wrong:
            name = wrong[0]
            raise UserError(
                f"The journal {str(self._path)!r} belongs to another measurement: {name} is "
                f"{header.get(name)!r} there, {identity[name]!r} here. Delete it to measure from the start, "
                "or give another --out."
            )
        with self._path.open("r+b") as file:
            file.truncate(len(whole))
        return self._path.open("a", encoding="utf-8")

    def add(self, batch: Batch) -> None:
        """Keeps a batch, also when the machine stops right after."""
        self.batches.append(batch)
        try:
            self._write(asdict(batch))
        except OSError as error:
            raise UserError(f"Cannot write {str(self._path)!r}: {error.strerror}.") from None

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def remove(self) -> None:
        """Deletes the file, when the table is written."""
        self.close()
        self._path.unlink(missing_ok=True)


def _batch(line: dict[str, Any]) -> Batch:
    return Batch(
        seconds=float(line["seconds"]),
        reference_us=float(line["reference_us"]),
        rows=tuple(Row(**row) for row in line["rows"]),
    )
