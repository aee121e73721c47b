"""From a device's name to its latency table."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import sparsenas
from sparsenas import native
from sparsenas.errors import UserError
from sparsenas.latency.measure import MeasureSettings, measure
from sparsenas.latency.model import LatencyModel, load, save
from sparsenas.space import Space

LOCAL = "local"


def cache_folder() -> Path:
    """Returns the user's cache folder of this project: $XDG_CACHE_HOME/sparsenas."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sparsenas"


def known_devices() -> dict[str, Path]:
    """Returns the tables that come with the package, by name."""
    folder = Path(sparsenas.__file__).parent / "latency_models"
    if not folder.exists():  # Run from a source tree that was not installed.
        folder = folder.parent.parent / "latency_models"
    return {path.stem: path for path in sorted(folder.glob("*.json"))}


def local_table_path() -> Path:
    """Returns where this machine's own table lies; another CPU, instruction set or build, another file."""
    identity = json.dumps([native.cpu(), native.build_id()], sort_keys=True)
    return cache_folder() / "latency" / f"local-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.json"


def load_device(device: str) -> LatencyModel:
    """Returns the table of a device: `local`, a name that comes with the package, or a file."""
    if device == LOCAL:
        path = local_table_path()
        if not path.exists():
            raise UserError(
                "This machine has no latency table yet for this CPU and build of the kernels; make one: "
                "sparsenas measure --space NAME."
            )
        return load(path)
    if device in known_devices():
        return load(known_devices()[device])
    if Path(device).is_file():
        return load(Path(device))
    raise UserError(
        f"No device named {device!r}. There are: {', '.join([LOCAL, *known_devices()])}, "
        "or give the path of a table that `sparsenas measure` wrote."
    )


def ready_device(
    device: str, space: Space, *, report: Callable[[int, int], None] | None = None
) -> LatencyModel:
    """Returns a table that covers a space on the machine we run on, measuring this machine where needed."""
    if device == LOCAL:
        path = local_table_path()
        table = load(path) if path.exists() else None
        if table is None or any(layer.key not in table.entries for layer in space.layer_variants()):
            fresh = measure(space, MeasureSettings(), device=LOCAL, report=report)
            old = {} if table is None else table.entries
            table = replace(fresh, entries={**old, **fresh.entries})
            save(table, path)
            # As the next search will read it: what the file rounds would change predictions a little.
            table = load(path)
        return table
    table = load_device(device)
    check_measured_here(table)
    for layer in space.layer_variants():
        table.layer_us(layer)
    return table


def check_measured_here(table: LatencyModel) -> None:
    """Raises `UserError` unless the table was measured on this CPU with these kernels."""
    here = native.cpu()
    for what in ("cpu", "isa"):
        if table.machine.get(what) != here[what]:
            raise UserError(
                f"The latency table of device {table.device!r} was measured on {what} "
                f"{table.machine.get(what)!r}, but finalists are measured here, on {here[what]!r}; "
                f"use --device {LOCAL} or run the search on that device."
            )
    if table.build != native.build_id():
        raise UserError(
            f"The latency table of device {table.device!r} belongs to build {table.build} of the kernels, "
            f"this is build {native.build_id()}; measure it again: sparsenas measure --space NAME."
        )


def check_writable(folder: Path) -> None:
    """Raises `UserError` where no table could be written in the end, before an hour is spent measuring."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"Cannot write to {str(folder)!r}: {error.strerror}.") from None
