"""sparsenas bench chaos: a search that is disturbed in every way."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from sparsenas import files
from sparsenas.bench.chaos import bench_chaos
from sparsenas.bench.chaos_monkey import ChaosSettings
from sparsenas.cli.parse import parse
from sparsenas.cli.show import TerminalProgress, console, table


@dataclass(frozen=True, kw_only=True)
class Options:
    """Kills workers, drivers and nodes of a real cluster on this machine while it searches, and compares the
    result with that of an undisturbed search.

    Attributes:
        folder: keeps what was done, so that a benchmark that was stopped goes on there; a temporary one if
            left out.
        json: also write every figure to this file.
    """

    settings: Annotated[ChaosSettings, tyro.conf.arg(name="")] = field(default_factory=ChaosSettings)
    folder: Path | None = None
    json: Path | None = None


def main(args: list[str]) -> None:
    options = parse(Options, args, command="bench chaos")
    terminal = console()
    with TerminalProgress(terminal).stage("Disturb a search") as update:
        result = bench_chaos(
            options.settings,
            folder=options.folder,
            report=update,
            note=lambda line: terminal.print(line, markup=False),
        )
    rows = [
        (name.replace("_", " "), f"{value:.2f}" if isinstance(value, float) else str(value))
        for name, value in result.items()
        if name not in ("machine", "version")
    ]
    terminal.print(table(result["machine"]["cpu"], ("", ""), rows))
    if options.json:
        files.write(options.json, json.dumps(result, indent=1) + "\n")
        terminal.print(f"Wrote {options.json}")
