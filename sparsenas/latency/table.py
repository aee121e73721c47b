"""A latency table: what was measured on a device, and how.

The file is JSON of one measurement a line, so that two tables can be compared with `diff`. Whole networks
name their layers by number, in the list `configurations`.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from sparsenas import files
from sparsenas.errors import UserError
from sparsenas.latency.layer_text import describe, parse_layer
from sparsenas.space import Layer

FORMAT = 2
DATA_TYPES = ("float32",)

Kind = Literal["measured", "emulated", "modelled"]
Role = Literal["fit", "held_out"]

_HEADER = ("device", "kind", "data_type", "machine", "build", "version", "how", "error")
_LISTS = ("layers", "held_out_layers", "configurations", "networks")


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The time of one layer.

    Attributes:
        layer: as `bare` returns it.
        us: microseconds of one image.
        low_us, high_us: where it lies: quartiles of the rounds where it was measured, an interval where it
            was modelled.
        kernel: the kernel that computed it.
    """

    layer: Layer
    threads: int = 1
    us: float
    low_us: float
    high_us: float
    kernel: str


@dataclass(frozen=True, kw_only=True)
class NetworkMeasurement:
    """The time of a whole network.

    Attributes:
        name: space and architecture, for people.
        role: whether a model may learn from it, or is tested with it.
        layers: as `bare` returns them, in the order they run.
    """

    name: str
    role: Role
    layers: tuple[Layer, ...]
    threads: int = 1
    us: float
    low_us: float
    high_us: float


@dataclass(frozen=True, kw_only=True)
class Table:
    """All that was measured on a device.

    Attributes:
        device: the name people give it.
        kind: `measured` on the device; `emulated`: measured where another processor plays the device's,
            never to be taken for a time of the device; `modelled`: computed from published figures.
        machine: `cpu`, `isa`, `cores`, `l1d_bytes`, `l2_bytes` and what else is known.
        build: the native kernels' build, which the times belong to.
        version: the package's.
        how: settings and circumstances of the measurement, for people.
        held_out_layers: random layers that no model learns from.
        error: how far a model of this table is off on what it did not learn from.
    """

    device: str
    kind: Kind
    data_type: str = "float32"
    machine: dict[str, Any]
    build: str
    version: str
    how: dict[str, Any]
    layers: tuple[Measurement, ...]
    held_out_layers: tuple[Measurement, ...] = ()
    networks: tuple[NetworkMeasurement, ...] = ()
    error: dict[str, Any] = field(default_factory=dict)


def save(table: Table, path: Path) -> None:
    """Writes a table whole or not at all; raises `UserError` where it cannot be written."""
    header = {"format": FORMAT} | {name: getattr(table, name) for name in _HEADER}
    configurations = {describe(layer): None for network in table.networks for layer in network.layers}
    position = {text: i for i, text in enumerate(configurations)}
    lists: dict[str, list[Any]] = {
        "layers": [_layer_row(one) for one in table.layers],
        "held_out_layers": [_layer_row(one) for one in table.held_out_layers],
        "configurations": list(configurations),
        "networks": [_network_row(one, position) for one in table.networks],
    }
    parts = [json.dumps(header | {"checksum": _checksum(header, lists)}, indent=1)[1:-2]]
    for name, rows in lists.items():
        lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
        parts.append(f'\n "{name}": [\n{lines}\n ]' if rows else f'\n "{name}": []')
    files.write(path, "{" + ",".join(parts) + "\n}\n")


def load(path: Path) -> Table:
    """Reads a table; raises `UserError` that names the file and what is wrong with it."""
    return _Reader(f"The latency table {path}").table(_read(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"Cannot read the latency table {path}: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"The latency table {path} is not complete JSON ({error}); measure it again."
        ) from None
    if not isinstance(found, dict) or "format" not in found:
        raise UserError(f"Expected a latency table in {path}, found other JSON.")
    return found


def _layer_row(one: Measurement) -> dict[str, Any]:
    return {"layer": describe(one.layer), "threads": one.threads, **_times(one), "kernel": one.kernel}


def _network_row(one: NetworkMeasurement, position: dict[str, int]) -> dict[str, Any]:
    layers = [position[describe(layer)] for layer in one.layers]
    return {"name": one.name, "role": one.role, "threads": one.threads, **_times(one), "layers": layers}


def _times(one: Measurement | NetworkMeasurement) -> dict[str, float]:
    # Six digits are far below what a clock can tell.
    return {name: float(f"{getattr(one, name):.6g}") for name in ("us", "low_us", "high_us")}


def _checksum(header: dict[str, Any], lists: dict[str, list[Any]]) -> str:
    """Returns a hash of all that a table says, whatever the order and the space between."""
    text = json.dumps({**header, **lists}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class _Reader:
    """Turns JSON into a table, and whatever is wrong with it into one line."""

    def __init__(self, what: str) -> None:
        self._what = what

    def table(self, found: dict[str, Any]) -> Table:
        if found["format"] != FORMAT:
            newer = isinstance(found["format"], int) and found["format"] > FORMAT
            way_out = "use a newer sparsenas" if newer else "measure it again"
            self._fail(f"has format {found['format']!r}, this version reads {FORMAT}; {way_out}")
        missing = [name for name in (*_HEADER, *_LISTS, "checksum") if name not in found]
        if missing:
            self._fail(f"lacks {', '.join(missing)}; measure it again")
        if found["data_type"] not in DATA_TYPES:
            self._fail(
                f"is for data type {found['data_type']!r}, this version has kernels for "
                f"{', '.join(DATA_TYPES)}; choose another table"
            )
        if found["kind"] not in get_args(Kind):
            self._fail(f"is of kind {found['kind']!r}; there are {', '.join(get_args(Kind))}")
        for name in _LISTS:
            if not isinstance(found[name], list):
                self._fail(f"has no list of {name}; measure it again")
        for name in ("machine", "how", "error"):
            if not isinstance(found[name], dict):
                self._fail(f"must have names and values under {name!r}; measure it again")
        configurations = [
            self._layer(f"configuration {i}", text) for i, text in enumerate(found["configurations"], start=1)
        ]
        table = Table(
            **{name: found[name] for name in _HEADER},
            layers=self._measurements("layer", found["layers"]),
            held_out_layers=self._measurements("held-out layer", found["held_out_layers"]),
            networks=tuple(
                self._network(f"network {i}", row, configurations)
                for i, row in enumerate(found["networks"], start=1)
            ),
        )
        header = {name: found[name] for name in ("format", *_HEADER)}
        if found["checksum"] != _checksum(header, {name: found[name] for name in _LISTS}):
            self._fail(
                "was edited: its checksum is not that of its contents; measure it again, or take the "
                "original file"
            )
        return table

    def _measurements(self, what: str, rows: list[Any]) -> tuple[Measurement, ...]:
        return tuple(self._measurement(f"{what} {i}", row) for i, row in enumerate(rows, start=1))

    def _measurement(self, where: str, row: Any) -> Measurement:
        self._has(where, row, ("layer", "threads", "us", "low_us", "high_us", "kernel"))
        return Measurement(
            layer=self._layer(where, row["layer"]),
            threads=self._threads(where, row),
            kernel=self._text(where, row["kernel"]),
            **self._row_times(where, row),
        )

    def _network(self, where: str, row: Any, configurations: Sequence[Layer]) -> NetworkMeasurement:
        self._has(where, row, ("name", "role", "threads", "us", "low_us", "high_us", "layers"))
        if row["role"] not in get_args(Role):
            self._fail(f"{where}: expected role {' or '.join(get_args(Role))}, found {row['role']!r}")
        if not isinstance(row["layers"], list) or not row["layers"]:
            self._fail(f"{where}: expected a list of layers")
        for i in row["layers"]:
            if not isinstance(i, int) or not 0 <= i < len(configurations):
                self._fail(
                    f"{where}: expected layers 0 to {len(configurations) - 1} of configurations, found {i!r}"
                )
        return NetworkMeasurement(
            name=self._text(where, row["name"]),
            role=row["role"],
            layers=tuple(configurations[i] for i in row["layers"]),
            threads=self._threads(where, row),
            **self._row_times(where, row),
        )

    def _has(self, where: str, row: Any, names: Sequence[str]) -> None:
        missing = [name for name in names if not isinstance(row, dict) or name not in row]
        if missing:
            self._fail(f"{where} is not complete, it lacks {', '.join(missing)}; measure it again")

    def _layer(self, where: str, text: Any) -> Layer:
        try:
            return parse_layer(self._text(where, text))
        except UserError as error:
            raise UserError(f"{self._what}, {where}: {error}") from None

    def _text(self, where: str, text: Any) -> str:
        if not isinstance(text, str):
            self._fail(f"{where}: expected text, found {text!r}")
        return text

    def _threads(self, where: str, row: dict[str, Any]) -> int:
        if type(row["threads"]) is not int or row["threads"] < 1:
            self._fail(f"{where}: expected 1 thread or more, found {row['threads']!r}")
        return row["threads"]

    def _row_times(self, where: str, row: dict[str, Any]) -> dict[str, float]:
        times = {name: row[name] for name in ("us", "low_us", "high_us")}
        for name, time in times.items():
            if type(time) not in (int, float) or not math.isfinite(time) or time <= 0:
                self._fail(f"{where}: expected {name} above 0, found {time!r}; measure it again")
        if not times["low_us"] <= times["us"] <= times["high_us"]:
            self._fail(
                f"{where}: expected low_us <= us <= high_us, found {', '.join(map(str, times.values()))}"
            )
        return {name: float(time) for name, time in times.items()}

    def _fail(self, problem: str) -> None:
        raise UserError(f"{self._what} {problem}.")
