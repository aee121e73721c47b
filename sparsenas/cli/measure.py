"""sparsenas measure: a latency table of this machine."""

from dataclasses import dataclass, field
from pathlib import Path

from sparsenas.cli.lookup import find_space
from sparsenas.cli.parse import parse
from sparsenas.cli.show import TerminalProgress, console
from sparsenas.errors import UserError
from sparsenas.latency.devices import LOCAL, check_writable, local_table_path
from sparsenas.latency.measure import MeasureSettings, measure
from sparsenas.latency.model import save


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measures every layer of a search space on this machine and writes a latency table.

    Attributes:
        space: a space by name, or a Python file that defines SPACE.
        device: which machine; only `local` can be measured so far.
        out: the table's file. Left out, it becomes this machine's own table in the cache folder.
        force: replace an existing file.
    """

    space: str = "tiny"
    device: str = LOCAL
    out: Path | None = None
    force: bool = False
    settings: MeasureSettings = field(default_factory=MeasureSettings)


def main(args: list[str]) -> None:
    options = parse(Options, args, command="measure")
    if options.device != LOCAL:
        raise UserError(f"Only device {LOCAL!r} can be measured so far, found {options.device!r}.")
    space = find_space(options.space)
    path = options.out or local_table_path()
    if options.out is not None and path.exists() and not options.force:
        raise UserError(f"The file {str(path)!r} exists; give another --out, or --force to replace it.")
    check_writable(path.parent)
    terminal = console()
    with TerminalProgress(terminal).stage(f"Measure space {space.name} on this machine") as update:
        table = measure(
            space,
            options.settings,
            device=LOCAL if options.out is None else path.stem,
            report=lambda done, total: update(done, total, ""),
        )
    save(table, path)
    terminal.print(
        f"{len(table.entries)} layers on {table.machine['cpu']}, {table.machine['isa']}, core "
        f"{table.how['pinned_core']}. Whole networks: {table.network.fixed_us:.2f} us + "
        f"{table.network.scale:.3f} x sum of layers, {table.network.error:.1%} off on networks left out of "
        f"the fit ({table.network.networks} measured).",
    )
    terminal.print(f"Wrote {path}")
