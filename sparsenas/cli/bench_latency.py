"""sparsenas bench latency: are predictions true?"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparsenas import files
from sparsenas.bench.latency import bench_latency
from sparsenas.cli.lookup import DRAWN, find_space
from sparsenas.cli.parse import parse
from sparsenas.cli.show import TerminalProgress, console, table
from sparsenas.latency.library import LOCAL, find_table, known_devices


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measures networks and layers that no latency table has seen, here and now, and compares them with what
    this machine's table predicts; carries tables from device to device; times the service.

    Attributes:
        device: the table that is tested: `local`, a name or a file. It must be of this machine.
        other: tables to carry it to and from; those that come with the package if left out.
        json: also write every figure to this file.
        fresh: also write what was measured to this file, a table.
        core: the processor core to run on; a free one if left out.
        busy: measure on a core that others use as well, for figures that are not to be trusted.
        rounds: visits of each network and layer.
    """

    device: str = LOCAL
    other: tuple[str, ...] | None = None
    json: Path | None = None
    fresh: Path | None = None
    core: int | None = None
    busy: bool = False
    rounds: int = 24


def main(args: list[str]) -> None:
    options = parse(Options, args, command="bench latency")
    path = find_table(options.device)
    given = tuple(known_devices()) if options.other is None else options.other
    others = [found for found in map(find_table, given) if found != path]
    terminal = console()
    with TerminalProgress(terminal).stage("Measure unseen networks and layers") as update:
        result = bench_latency(
            path,
            {name: find_space(name) for name in DRAWN},
            others=others,
            core=options.core,
            busy=options.busy,
            rounds=options.rounds,
            fresh=options.fresh,
            report=update,
        )
    terminal.print(table(f"{result['table']}, {result['machine']['cpu']}", ("what", "figure"), _rows(result)))
    if result["transfer"]:
        rows = [
            (f"{t['from']} to {t['to']}", str(t["samples"]), f"{t['spearman']:.3f}", f"{t['mape']:.1%}")
            for t in result["transfer"]
        ]
        columns = ("carried", "networks measured", "Spearman", "mean error")
        terminal.print(table("Tables carried to another device", columns, rows))
    if options.json:
        files.write(options.json, json.dumps(result, indent=1) + "\n")
        terminal.print(f"Wrote {options.json}")


def _rows(result: dict[str, Any]) -> list[tuple[str, str]]:
    seconds = result["measure_seconds"]
    return [
        (f"{result['networks']} unseen networks, mean error", f"{result['mape']:.1%}"),
        ("within 5%", f"{result['within_5_percent']:.0%}"),
        ("within 10%", f"{result['within_10_percent']:.0%}"),
        ("Spearman", f"{result['spearman']:.4f}"),
        (f"{result['layers']} unseen layers, median error", f"{result['layer_median_error']:.1%}"),
        ("within 15%", f"{result['layer_within_15_percent']:.0%}"),
        ("measuring the table", "-" if seconds is None else f"{seconds:.0f} s"),
        ("architectures scored a second", f"{result['architectures_per_second'] / 1e6:.1f} million"),
        ("questions answered a second", f"{result['service']['requests_per_second']:.0f}"),
        ("99 of 100 within", f"{result['service']['p99_ms']:.2f} ms"),
    ]
