"""sparsenas bench grid: a table of every network of a small space, for searches to be compared on."""

from dataclasses import dataclass, replace
from pathlib import Path

from sparsenas.bench.grid import GridSettings, measured_table, train_grid, trained_table
from sparsenas.bench.tabular import Table, read_table, write_table
from sparsenas.cli.lookup import find_space
from sparsenas.cli.parse import parse
from sparsenas.cli.show import TerminalProgress, console, table
from sparsenas.errors import UserError
from sparsenas.latency.measure import MeasureSettings


@dataclass(frozen=True, kw_only=True)
class Options:
    """Makes a table of every network of the space `grid`: trains each alone, then measures each here.

    Training takes about an hour on one core and can be interrupted. Measure afterwards, with --measure, when
    nothing else runs.

    Attributes:
        out: the table's file. Latencies that it has already stay when networks are trained again alike.
        folder: keeps what is trained, so that it can be interrupted.
        seeds: trainings of each network.
        measure: measure every network of the table that is there, instead of training.
        rounds: how often each network is visited; its latency is the median over visits.
        core: that runs them; the last one if left out.
    """

    out: Path = Path("grid.json")
    folder: Path = Path("runs/bench-grid")
    seeds: int = GridSettings().seeds
    measure: bool = False
    rounds: int = MeasureSettings().rounds
    core: int | None = None


def main(args: list[str]) -> None:
    options = parse(Options, args, command="bench grid")
    if options.rounds < 1:
        raise UserError(f"`--rounds` must be at least 1, found {options.rounds}.")
    terminal = console()
    space = find_space("grid")
    if options.measure:
        settings = MeasureSettings(core=options.core, rounds=options.rounds)
        with TerminalProgress(terminal).stage("Measure every network") as update:
            found = measured_table(space, read_table(options.out), settings)
            update(1, 1, f"{len(found.archs)} networks")
    else:
        settings = GridSettings(seeds=options.seeds)
        with TerminalProgress(terminal).stage("Train every network") as update:
            found = trained_table(space, settings, train_grid(space, settings, options.folder, report=update))
        found = _with_old_latencies(found, options.out)
    write_table(found, options.out)
    rows = [("networks", str(len(found.archs))), ("trainings of each", str(found.accuracy.shape[1]))]
    rows += [("accuracy", f"{found.mean_accuracy.min():.1%} to {found.mean_accuracy.max():.1%}")]
    rows += [(name, f"{one.min():.4g} to {one.max():.4g}") for name, one in found.costs.items()]
    terminal.print(table(f"Every network of {space.name}", ("", ""), rows))
    terminal.print(f"Wrote {options.out}")


def _with_old_latencies(fresh: Table, path: Path) -> Table:
    """Returns a table with the latencies of the file that it is to replace, if that is of the same space."""
    if not path.exists():
        return fresh
    old = read_table(path)
    if "latency_ms" not in old.costs or old.how.get("space") != fresh.how["space"]:
        return fresh
    ms = old.cost("latency_ms", fresh.archs)
    return replace(
        fresh,
        costs={**fresh.costs, "latency_ms": ms},
        device=old.device,
        how={**fresh.how, "measured": old.how["measured"]},
    )
