"""The models that a service answers from, each replaced when its table's file is."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sparsenas.errors import UserError
from sparsenas.latency.library import find_table
from sparsenas.latency.model import LatencyModel
from sparsenas.latency.table import load

LOG = logging.getLogger("sparsenas.serve")

_Stamp = tuple[int, int, int]


@dataclass(eq=False)
class Served:
    """A device: the file of its table, and the model of what the file last held that was sound."""

    name: str
    path: Path
    threads: int
    model: LatencyModel
    stamp: _Stamp | None

    def refresh(self) -> str:
        """Loads the table again where its file was replaced: `same`, `done`, or `refused` for a bad one.

        Who asks meanwhile is answered from the old model, and never from half of a new one.
        """
        stamp = _stamp(self.path)
        if stamp is None or stamp == self.stamp:
            return "same"
        self.stamp = stamp
        try:
            model = _ready(self.path, self.threads)
        except UserError as error:
            LOG.warning("device %s keeps its old table: %s", self.name, error)
            return "refused"
        self.model = model
        LOG.info("device %s: table reloaded", self.name)
        return "done"


def open_devices(names: Sequence[str], *, threads: int) -> dict[str, Served]:
    """Returns the devices by name: `local`, tables that come with the package, files of tables.

    Raises:
        UserError: where one is not there, is damaged, or has the name of another.
    """
    served: dict[str, Served] = {}
    for given in names:
        path = find_table(given)
        name = path.stem if Path(given).suffix == ".json" else given
        if name in served:
            raise UserError(f"Two devices are named {name!r}; rename one table's file.")
        stamp = _stamp(path)  # Before reading: what is replaced meanwhile is read again.
        served[name] = Served(name, path, threads, _ready(path, threads), stamp)
    return served


def _ready(path: Path, threads: int) -> LatencyModel:
    model = LatencyModel.from_table(load(path), threads=threads)
    model.warm()
    return model


def _stamp(path: Path) -> _Stamp | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
