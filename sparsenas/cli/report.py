"""sparsenas report: what a run found."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sparsenas.cli.parse import parse
from sparsenas.cli.search import results
from sparsenas.cli.show import console
from sparsenas.report.summary import read_summary


@dataclass(frozen=True, kw_only=True)
class Options:
    """Prints what a finished run found, and where its page is.

    Attributes:
        run: the run's folder.
    """

    run: Annotated[Path, tyro.conf.Positional]


def main(args: list[str]) -> None:
    options = parse(Options, args, command="report")
    terminal = console()
    terminal.print(results(read_summary(options.run / "summary.json")))
    terminal.print(f"Page: {options.run / 'report.html'}")
