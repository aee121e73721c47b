"""sparsenas ui: a page that lists runs and follows those that go on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sparsenas.cli.parse import parse
from sparsenas.cli.show import console
from sparsenas.ui.server import Server


@dataclass(frozen=True, kw_only=True)
class Options:
    """Serves a page on this machine alone that lists the runs of a folder and follows those that go on.

    Attributes:
        runs: the folder that the runs' folders are in.
        port: 0 for any that is free.
    """

    runs: Annotated[Path, tyro.conf.Positional] = Path("runs")
    port: int = 8766


def main(args: list[str]) -> None:
    options = parse(Options, args, command="ui")
    with Server(options.runs, options.port) as server:
        console().print(f"Runs of {options.runs}: {server.address} (end with Ctrl-C)", markup=False)
        server.serve_forever()
