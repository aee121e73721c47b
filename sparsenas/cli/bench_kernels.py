"""sparsenas bench kernels: how near the kernels come to what one core can do."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from sparsenas import files, native
from sparsenas.bench.emulated import CORES, bench_emulated, find_model, summarize_emulated
from sparsenas.bench.kernels import OPS, SPARSITIES, bench_kernels, summarize
from sparsenas.bench.machine import copy_gbytes
from sparsenas.bench.node import bench_node
from sparsenas.bench.roofline import roofline_svg
from sparsenas.cli.parse import parse
from sparsenas.cli.show import TerminalProgress, console, table
from sparsenas.errors import UserError

Op = Literal["conv1x1", "conv", "depthwise", "conv_hwc", "fully_connected"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measures the convolutions of MobileNet and ResNet on one pinned core, dense and sparse, and compares
    them with what the core can do.

    Attributes:
        op: only these operators.
        isa: the instruction set; the best of this machine if left out. `neon` counts instructions under an
            emulator and models cycles; `wasm128` and `wasm_relaxed` run in node.
        sparsity: fractions of zeros, such as `0.8 0.9`.
        json: also write every figure to this file.
        plot: also draw a roofline, an SVG file.
        core: the processor core to run on; the last one if left out.
        rounds: how often each layer is visited; its time is the median over visits.
    """

    op: tuple[Op, ...] = OPS
    isa: Literal["avx512", "avx2", "neon", "wasm128", "wasm_relaxed", "scalar"] | None = None
    sparsity: tuple[float, ...] = SPARSITIES
    json: Path | None = None
    plot: Path | None = None
    core: int | None = None
    rounds: int = 7


def main(args: list[str]) -> None:
    options = parse(Options, args, command="bench kernels")
    _check(options)
    terminal = console()
    emulated = options.isa == "neon" and "neon" not in native.isas()
    if emulated and options.plot:
        raise UserError("A roofline needs measured rates: leave out `--plot`, or run on a machine with NEON.")
    with TerminalProgress(terminal).stage("Count instructions" if emulated else "Measure kernels") as update:

        def report(done: int, total: int) -> None:
            update(done, total, "")

        if emulated:
            result = bench_emulated(ops=options.op, sparsities=options.sparsity, report=report)
        else:
            in_node = (options.isa or "").startswith("wasm")
            bench = bench_node if in_node else bench_kernels
            given = {} if options.isa is None else {"isa": options.isa}
            result = bench(
                ops=options.op, sparsities=options.sparsity, core=options.core, rounds=options.rounds,
                report=report, **given,
            )  # fmt: skip
    if emulated:
        terminal.print(_counted(result))
        if find_model() is None:
            terminal.print(
                "No cycles are modelled: llvm-mca 17 or newer is missing (Debian: apt install llvm-19)."
            )
    else:
        _print_measured(terminal, result)
    if options.json:
        files.write(options.json, json.dumps(result, indent=1) + "\n")
        terminal.print(f"Wrote {options.json}")
    if options.plot:
        files.write(options.plot, roofline_svg(result, _bandwidths(options)))
        terminal.print(f"Wrote {options.plot}")


def _check(options: Options) -> None:
    if bad := [sparsity for sparsity in options.sparsity if not 5 / 9 < sparsity < 1]:
        raise UserError(f"`--sparsity` must be above 5/9 (four of nine entries) and below 1, found {bad[0]}.")
    if options.rounds < 1:
        raise UserError(f"`--rounds` must be at least 1, found {options.rounds}.")


def _bandwidths(options: Options) -> dict[str, float]:
    """Measures how fast the core copies within its level 2 cache and from memory."""
    with native.pinned(options.core):
        return {
            "level 2 cache": copy_gbytes(int(native.cpu()["l2_bytes"]) // 2),
            "memory": copy_gbytes(2**28, repeats=5),
        }


def _print_measured(terminal: Console, result: dict) -> None:
    machine = result["machine"]
    summaries = summarize(result["records"])
    for cache, what in (("hot", "hot"), ("cold", "cold: level 1 and 2 caches emptied before each run")):
        rows = [
            (
                f"{s.op} {s.pattern}",
                f"{s.sparsity:.3g}",
                str(s.shapes),
                f"{s.fraction_of_peak:.3f}",
                f"{s.speedup_over_dense:.2f}x",
                f"{s.slowest_over_dense:.2f}x",
            )
            for s in summaries
            if s.cache == cache
        ]
        if rows:
            columns = ("kernel", "zeros", "shapes", "of peak", "over dense", "least")
            terminal.print(
                table(
                    f"{machine['cpu']}, {machine['isa']}, peak {machine['peak_gflops']:.0f} GFLOP/s; {what}; "
                    "one thread; geometric means over shapes",
                    columns,
                    rows,
                )
            )


def _counted(result: dict) -> Table:
    summaries = summarize_emulated(result["records"])
    cores: Sequence[str] = CORES if summaries and summaries[0].cycles else ()
    rows = [
        (
            f"{s.op} {s.pattern}",
            f"{s.sparsity:.3g}",
            f"{s.instructions:.3f}",
            *(f"{s.cycles[core]:.2f}" for core in cores),
        )
        for s in summaries
    ]
    return table(
        "neon, emulated, for each useful multiply-add of four floats: instructions, exact"
        + (", and cycles, modelled by llvm-mca" if cores else "")
        + "; geometric means over shapes",
        ("kernel", "zeros", "instructions", *(f"{core} (modelled)" for core in cores)),
        rows,
    )
