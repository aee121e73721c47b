"""Tables of devices, made ready for a search."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sparsenas import native
from sparsenas.errors import UserError
from sparsenas.latency import campaign, design
from sparsenas.latency.layer_text import describe
from sparsenas.latency.library import LOCAL, local_table_path
from sparsenas.latency.local import Local
from sparsenas.latency.measure import MeasureSettings
from sparsenas.latency.model import LatencyModel
from sparsenas.latency.table import Table, load, save
from sparsenas.space import Space


def ready_device(
    device: str, space: Space, *, report: Callable[[int, int], None] | None = None
) -> LatencyModel:
    """Returns a model that covers a space on the machine we run on, measuring this machine where needed."""
    if device != LOCAL:
        model = LatencyModel.load(device)
        check_measured_here(model.table)
        if missing := model.uncovered(space.layer_variants()):
            raise UserError(
                f"The latency table of device {model.device!r} does not reach {len(missing)} layers of "
                f"space {space.name!r}, such as {describe(missing[0])}; measure them: "
                "sparsenas measure --space NAME."
            )
        return model
    path = local_table_path()
    old = load(path) if path.exists() else None
    known = {one.layer for one in old.layers if one.threads == 1} if old else set()
    wanted = design.of_space(
        space, seed=0, networks=MeasureSettings().networks, rounds=MeasureSettings().rounds
    )
    if not known.issuperset(wanted.layers):
        with Local(busy=True) as here:
            fresh = campaign.run(wanted, here, report=lambda done, total, _: report and report(done, total))
        save(fresh if old is None else merged(old, fresh), path)
    # As the next search will read it: what the file rounds would change predictions a little.
    return LatencyModel.from_table(load(path))


def merged(old: Table, fresh: Table) -> Table:
    """Returns a table with what either has; of what both have, the fresh one's."""
    layers = {(one.layer, one.threads): one for one in (*old.layers, *fresh.layers)}
    networks = {(one.layers, one.threads): one for one in (*old.networks, *fresh.networks)}
    held_out = {(one.layer, one.threads): one for one in (*old.held_out_layers, *fresh.held_out_layers)}
    return replace(
        fresh,
        layers=tuple(layers.values()),
        held_out_layers=tuple(held_out.values()),
        networks=tuple(networks.values()),
    )


def check_measured_here(table: Table) -> None:
    """Raises `UserError` unless the table was measured on this CPU with these kernels."""
    if table.kind != "measured":
        raise UserError(
            f"The latency table of device {table.device!r} is {table.kind}, but finalists are measured here; "
            f"use --device {LOCAL}."
        )
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
            f"this is build {native.build_id()}; measure it again: sparsenas measure."
        )


def check_writable(folder: Path) -> None:
    """Raises `UserError` where no table could be written in the end, before an hour is spent measuring."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"Cannot write to {str(folder)!r}: {error.strerror}.") from None
