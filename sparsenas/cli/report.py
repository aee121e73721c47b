"""sparsenas report: what runs found."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.table import Table

from sparsenas.cli.parse import parse
from sparsenas.cli.search import results
from sparsenas.cli.show import console, table
from sparsenas.errors import UserError
from sparsenas.report.compare import write_comparison
from sparsenas.report.summary import Summary, read_summary


@dataclass(frozen=True, kw_only=True)
class Options:
    """Prints what finished runs found, and where their pages are.

    Attributes:
        runs: the folders of runs.
        compare: put them side by side, in a table and on a page.
        out: where that page is written.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    compare: bool = False
    out: Path = Path("compare.html")


def main(args: list[str]) -> None:
    options = parse(Options, args, command="report")
    if not options.runs:
        raise UserError("Expected the folder of a run, found none.")
    if options.compare and len(options.runs) < 2:
        raise UserError(f"`--compare` puts several runs side by side, found {len(options.runs)}.")
    terminal = console()
    found = [(path, read_summary(path / "summary.json")) for path in options.runs]
    if not options.compare:
        for path, summary in found:
            terminal.print(results(summary))
            terminal.print(f"Page: {path / 'report.html'}")
        return
    named = list(zip(_names(options.runs), (summary for _, summary in found), strict=True))
    terminal.print(_side_by_side(named))
    write_comparison(named, options.out)
    terminal.print(f"Wrote {options.out}")


def _names(runs: tuple[Path, ...]) -> list[str]:
    """Returns the names of the folders, with as much of the way there as tells them apart."""
    paths = [path.resolve() for path in runs]
    for parts in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    raise UserError(f"`--compare` wants different runs, found {runs[0]} more than once.")


def _side_by_side(runs: list[tuple[str, Summary]]) -> Table:
    rows = [
        (
            name,
            f"{s.accuracy:.2%}",
            f"{s.dense_accuracy:.2%}",
            f"{s.latency_ms_measured:.4f} ms",
            f"{s.dense_latency_ms_measured:.4f} ms",
            f"{s.speedup:.2f}x",
            f"{s.file_bytes / 1e3:.1f} kB",
            s.device,
        )
        for name, s in runs
    ]
    columns = ("run", "accuracy", "dense", "latency", "dense", "faster", "file", "device")
    return table("Runs side by side; test accuracy, measured latency", columns, rows)
