"""Are predictions true? Networks and layers that no table has seen, measured here and now, and more."""

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sparsenas import __version__
from sparsenas.bench.service import bench_service
from sparsenas.errors import UserError
from sparsenas.latency import campaign, design
from sparsenas.latency.check import layer_errors, network_errors
from sparsenas.latency.layer_text import describe
from sparsenas.latency.local import Local
from sparsenas.latency.model import LatencyModel
from sparsenas.latency.regression import one_thread
from sparsenas.latency.table import Table, load, save
from sparsenas.space import Space

# Other networks and layers than any table was made of.
_SEED = 1_000_003
_SAMPLES = 10
_ARCHITECTURES = 2_000_000
_LEAST_ROUNDS = 5

Report = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class TransferRecord:
    """A device's table carried to another by a few whole networks, and how true it is there."""

    from_device: str
    to_device: str
    samples: int
    spearman: float
    mape: float

    def as_json(self) -> dict[str, Any]:
        found = asdict(self)
        return {"from": found.pop("from_device"), "to": found.pop("to_device"), **found}


def bench_latency(
    path: Path,
    spaces: Mapping[str, Space],
    *,
    others: Sequence[Path] = (),
    core: int | None = None,
    busy: bool = False,
    rounds: int = 14,
    fresh: Path | None = None,
    report: Report = lambda done, total, note: None,
) -> dict[str, Any]:
    """Returns all figures.

    Args:
        path: the table of this machine that is tested.
        others: tables of other devices, to and from which it is carried.
        busy: whether to measure on a core that others use as well.
        fresh: where to keep what was measured, as a table; nowhere where left out.

    Raises:
        UserError: where the table is not of this machine and these kernels.
    """
    if rounds < _LEAST_ROUNDS:
        raise UserError(f"`rounds` must be at least {_LEAST_ROUNDS}, found {rounds}.")
    table = load(path)
    model = LatencyModel.from_table(table)
    isa = str(table.machine.get("isa"))
    with Local(name=table.device, core=core, isa=isa, busy=busy) as here:
        if (table.kind, table.build) != ("measured", here.build):
            raise UserError(
                f"The table {path} is {table.kind}, of build {table.build} of the kernels; expected one that "
                f"was measured here, with build {here.build}."
            )
        unseen = campaign.run(_unseen(table, list(spaces.values()), rounds), here, report=report)
    if fresh is not None:
        save(unseen, fresh)
    layers = [describe(m.layer) for m in unseen.held_out_layers]
    return {
        "machine": dict(table.machine),
        "version": __version__,
        "table": table.device,
        **network_errors(model, unseen.networks),
        **layer_errors(model, unseen.held_out_layers),
        "measure_seconds": table.how.get("seconds"),
        "architectures_per_second": architectures_per_second(model, spaces),
        "transfer": [record.as_json() for record in transfers([table, *map(load, others)])],
        "service": asdict(bench_service(path, layers, core=core)),
    }


def architectures_per_second(model: LatencyModel, spaces: Mapping[str, Space]) -> float:
    """Returns how many random architectures of the largest space are scored in a second of one core."""
    space = max(spaces.values(), key=lambda space: len(space.choices))
    table = model.tabulate(space)
    rng = np.random.default_rng(0)
    archs = np.stack([rng.integers(0, len(c.options), _ARCHITECTURES) for c in space.choices], axis=1)
    archs = archs.astype(np.uint8)
    table(archs[:1])
    seconds = []
    with one_thread():
        for _ in range(5):
            started = time.thread_time()
            table(archs)
            seconds.append(time.thread_time() - started)
    return round(_ARCHITECTURES / float(np.median(seconds)))


def transfers(tables: Sequence[Table]) -> list[TransferRecord]:
    """Returns a record for each pair of devices that were measured, either way."""
    records = []
    for source, target in itertools.permutations([t for t in tables if t.kind == "measured"], 2):
        samples = [n for n in target.networks if n.role == "fit" and n.threads == 1][:_SAMPLES]
        unseen = [n for n in target.networks if n.role == "held_out" and n.threads == 1]
        if len(samples) < _SAMPLES or not unseen:
            continue
        carried = LatencyModel.from_table(source).transfer(samples, device=target.device)
        error = network_errors(carried, unseen)
        records.append(
            TransferRecord(
                from_device=source.device,
                to_device=target.device,
                samples=len(samples),
                spearman=error["spearman"],
                mape=error["mape"],
            )
        )
    return records


def _unseen(table: Table, spaces: Sequence[Space], rounds: int) -> design.Design:
    """Returns networks and layers of a seed that no table has, and none of the table's layers."""
    drawn = design.quick(spaces, seed=_SEED)
    known = {m.layer for m in table.layers}
    return replace(
        drawn,
        layers=(),
        networks=(),
        held_out_layers=tuple(layer for layer in drawn.held_out_layers if layer not in known),
        rounds=rounds,
        seconds=float("inf"),
    )
