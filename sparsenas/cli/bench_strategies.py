"""sparsenas bench strategies: how few evaluations each needs."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparsenas import files
from sparsenas.bench.pace import PAST, bench_pace
from sparsenas.bench.strategies import NAMES, PEER, bench_strategies
from sparsenas.bench.strategies_picture import strategies_svg
from sparsenas.bench.tabular import read_table
from sparsenas.cli.lookup import find_space
from sparsenas.cli.parse import Counts, parse
from sparsenas.cli.show import TerminalProgress, console, table
from sparsenas.errors import UserError
from sparsenas.latency.devices import ready_device
from sparsenas.strategies.catalog import STRATEGIES


@dataclass(frozen=True, kw_only=True)
class Options:
    """Compares search strategies on tables where every architecture was trained, so that the best is known.

    Attributes:
        table: tables in the format of NAS-Bench-Macro, or of this project.
        seeds: searches with each strategy.
        evaluations: numbers of architectures after which they are compared.
        strategy: only these; all if left out.
        speed: instead, how long each strategy takes to propose and to be told with 10,000 results behind it,
            and how many architectures a search scores for latency in a second.
        device: whose latency table is scored with; for `--speed`.
        noisy: also searches that see one training of each architecture instead of the mean of all.
        workers: processes that share the seeds; as many as there are cores if left out.
        json: also write every figure to this file.
        picture: also draw them into this file, as SVG.
    """

    table: tuple[Path, ...] = ()
    seeds: int = 100
    evaluations: Counts = (25, 50, 100, 200, 300)
    strategy: tuple[str, ...] = ()
    speed: bool = False
    device: str = "epyc-zen5-avx512"
    noisy: bool = False
    workers: int | None = None
    json: Path | None = None
    picture: Path | None = None


def main(args: list[str]) -> None:
    options = parse(Options, args, command="bench strategies")
    if options.speed:
        _speed(options)
        return
    if not options.table:
        raise UserError(
            "Give tables of trained architectures with --table FILE ...: NAS-Bench-Macro's "
            "nas-bench-macro_cifar10.json, or one that this project made."
        )
    if options.seeds < 1:
        raise UserError(f"`--seeds` must be at least 1, found {options.seeds}.")
    if not options.evaluations or min(options.evaluations) < 1:
        raise UserError("`--evaluations` must be numbers of at least 1.")
    if options.workers is not None and options.workers < 1:
        raise UserError(f"`--workers` must be at least 1, found {options.workers}.")
    unknown = [name for name in options.strategy if name not in NAMES]
    if unknown:
        raise UserError(f"No strategy named {unknown[0]!r}. There are: {', '.join(NAMES)}.")
    tables = [read_table(path) for path in options.table]
    terminal = console()
    with TerminalProgress(terminal).stage("Search tables") as update:
        result = bench_strategies(
            tables,
            seeds=options.seeds,
            evaluations=tuple(sorted(set(options.evaluations))),
            only=options.strategy,
            noisy=options.noisy,
            workers=options.workers or os.cpu_count() or 1,
            report=update,
        )
    records = result["records"]
    for name in dict.fromkeys(record["table"] for record in records):
        terminal.print(_table(name, [record for record in records if record["table"] == name]))
    if not any(record["strategy"] == PEER for record in records) and not options.strategy:
        terminal.print("pymoo's NSGA-II is not compared: pymoo is not installed (make peers).")
    if options.json:
        files.write(options.json, json.dumps(result, indent=1) + "\n")
        terminal.print(f"Wrote {options.json}")
    if options.picture:
        files.write(options.picture, strategies_svg(records))
        terminal.print(f"Wrote {options.picture}")


def _speed(options: Options) -> None:
    unknown = [name for name in options.strategy if name not in STRATEGIES]
    if unknown:
        raise UserError(f"No strategy named {unknown[0]!r}. There are: {', '.join(STRATEGIES)}.")
    space, terminal = find_space("tiny"), console()
    latency = ready_device(options.device, space).tabulate(space)
    with TerminalProgress(terminal).stage(f"Tell {PAST:,} results, then time") as update:
        result = bench_pace(space, latency, only=options.strategy, report=update)
    rows = [
        (one["strategy"], f"{one['ask_and_tell_ms']:.3f}", f"{one['ask_and_tell_ms_of_95_percent']:.3f}")
        for one in result["records"]
    ]
    columns = ("strategy", "ask and tell, ms", "95% take less than")
    terminal.print(table(f"With {PAST:,} results behind it, space {space.name}", columns, rows))
    terminal.print(
        f"Latency of {result['architectures_per_second'] / 1e6:.1f} million architectures a second"
    )
    if options.json:
        files.write(options.json, json.dumps(result, indent=1) + "\n")
        terminal.print(f"Wrote {options.json}")


def _table(name: str, records: Sequence[dict[str, Any]]):
    """Returns a row for each strategy: regrets, and hypervolumes where there are."""
    counts = list(dict.fromkeys(record["evaluations"] for record in records))
    rows = []
    for strategy in dict.fromkeys(record["strategy"] for record in records):
        mine = [record for record in records if record["strategy"] == strategy]
        volumes = [record["hypervolume_mean"] for record in mine]
        rows.append(
            (
                strategy,
                *(f"{record['regret_mean']:.3f} ± {record['regret_ci95']:.3f}" for record in mine),
                *("-" if volume is None else f"{volume:.3f}" for volume in volumes[-2:]),
            )
        )
    columns = (
        "strategy",
        *(f"regret at {count}" for count in counts),
        *(f"hypervolume at {count}" for count in counts[-2:]),
    )
    return table(f"{name}: points of accuracy below the best, {records[0]['seeds']} seeds", columns, rows)
