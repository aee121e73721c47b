"""sparsenas bench web: our page beside LiteRT.js, in a real browser."""

import json
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from sparsenas import files
from sparsenas.bench.web import OURS, PEER, SPARSITIES, bench_web
from sparsenas.cli.parse import parse
from sparsenas.cli.show import TerminalProgress, console, table
from sparsenas.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measures MobileNet v1 in Chromium without a window, in our exported page and in LiteRT.js with the same
    weights, which npm fetches once.

    Attributes:
        sparsity: fractions of zeros of the layers that are pruned, 0 for none.
        peers: whether LiteRT.js takes part.
        json: also write every figure to this file.
        core: the processor core to run on; the machine's last one if left out.
        rounds: how often each takes its turn; a time is the median over turns.
    """

    sparsity: tuple[float, ...] = SPARSITIES
    peers: bool = True
    json: Path | None = None
    core: int | None = None
    rounds: int = 15


def main(args: list[str]) -> None:
    options = parse(Options, args, command="bench web")
    if not options.sparsity:
        raise UserError("`--sparsity` must name at least one, found none.")
    if bad := [sparsity for sparsity in options.sparsity if not 0 <= sparsity < 1]:
        raise UserError(f"`--sparsity` must be 0 or more and below 1, found {bad[0]:g}.")
    if options.rounds < 1:
        raise UserError(f"`--rounds` must be at least 1, found {options.rounds}.")
    terminal = console()
    with TerminalProgress(terminal).stage("Measure in the browser") as update:
        result = bench_web(
            sparsities=options.sparsity,
            peers=options.peers,
            core=options.core,
            rounds=options.rounds,
            report=update,
            note=lambda line: terminal.print(line, markup=False),
        )
    terminal.print(_table(result, options))
    terminal.print(
        f"First result {result['first_result_ms']:.0f} ms after the page begins to load. Model "
        f"{result['model_bytes'] / 1e6:.2f} MB."
    )
    if options.json:
        files.write(options.json, json.dumps(result, indent=1) + "\n")
        terminal.print(f"Wrote {options.json}")


def _table(result: dict, options: Options) -> Table:
    ms = {(record["sparsity"], record["engine"]): record["ms"] for record in result["records"]}
    ratios = {one["sparsity"]: one["ratio"] for one in result["ratios"]}

    def cells(sparsity: float) -> tuple[str, ...]:
        found = (ms.get((sparsity, engine)) for engine in (OURS, PEER))
        times = ("-" if time is None else f"{time:.2f}" for time in found)
        return f"{sparsity:g}", *times, f"{ratios[sparsity]:.2f}x" if sparsity in ratios else "-"

    where = f"{result['machine']['cpu']}, {result['machine']['isa']}, one thread"
    title = f"MobileNet v1, {where}: milliseconds, medians of {options.rounds} rounds"
    return table(title, ("zeros", OURS, PEER, "faster"), [cells(s) for s in sorted({s for s, _ in ms})])
