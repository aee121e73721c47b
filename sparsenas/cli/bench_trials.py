"""sparsenas bench trials: what the log of trials and a crew of workers cost."""

import json
from dataclasses import dataclass
from pathlib import Path

from sparsenas import files
from sparsenas.bench.trials import bench_log, bench_workers
from sparsenas.cli.lookup import find_space
from sparsenas.cli.parse import parse
from sparsenas.cli.show import TerminalProgress, console, table


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measures how long a search needs to go on with a long log, and what a candidate costs on a cluster of
    this machine beyond its training. For when nothing else runs here.

    Attributes:
        log: trials in the log.
        candidates: of the search that is done with one worker and with two, which must find the same to the
            last bit; 0 for none.
        steps: of each candidate's training.
        json: also write every figure to this file.
    """

    log: int = 100_000
    candidates: int = 60
    steps: int = 1200
    json: Path | None = None


def main(args: list[str]) -> None:
    options = parse(Options, args, command="bench trials")
    terminal = console()
    progress = TerminalProgress(terminal)
    with progress.stage(f"A log of {options.log} trials") as update:
        result = bench_log(find_space("tiny"), trials=options.log)
        update(1, 1, f"{result['log_bytes'] / 1e6:.0f} MB")
    if options.candidates:
        with progress.stage(f"{options.candidates} candidates with one worker and with two") as update:
            result["workers"] = bench_workers(
                candidates=options.candidates,
                steps=options.steps,
                note=lambda line: terminal.print(line, markup=False),
            )
            update(1, 1, "")
    figures = {**result, **result.get("workers", {})}
    rows = [
        (name.replace("_", " "), f"{value:.3f}" if isinstance(value, float) else str(value))
        for name, value in figures.items()
        if name not in ("machine", "version", "workers")
    ]
    terminal.print(table(result["machine"]["cpu"], ("", ""), rows))
    if options.json:
        files.write(options.json, json.dumps(result, indent=1) + "\n")
        terminal.print(f"Wrote {options.json}")
