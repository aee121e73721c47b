"""sparsenas bench kernels: how near the kernels come to what one core can do."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from sparsenas import files, native
from sparsenas.bench import layers
from sparsenas.bench.emulated import CORES, bench_emulated, find_model, summarize_emulated
from sparsenas.bench.kernels import (
    OPS,
    SHARED_FLOP,
    SPARSITIES,
    Report,
    bench_kernels,
    scaling,
    summarize,
)
from sparsenas.bench.machine import copy_gbytes
from sparsenas.bench.node import bench_node
from sparsenas.bench.peers.process import OURS
from sparsenas.bench.roofline import roofline_svg
from sparsenas.cli.parse import Counts, parse
from sparsenas.cli.show import TerminalProgress, console, table
from sparsenas.errors import UserError

Op = Literal["conv1x1", "conv", "depthwise", "conv_hwc", "fully_connected"]
Peer = Literal["onnxruntime", "openvino", "litert", "deepsparse"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measures the convolutions of MobileNet and ResNet on one pinned core, dense and sparse, and compares
    them with what the core can do, or with other engines.

    Attributes:
        op: only these operators.
        isa: the instruction set; the best of this machine if left out. `neon` counts instructions under an
            emulator and models cycles; `wasm128` and `wasm_relaxed` run in node.
        sparsity: fractions of zeros, such as `0.8 0.9`.
        threads: also measure with so many threads on as many cores, such as `2` or `2,4`, in the same rounds
            as one thread.
        peers: compare dense 1x1, 3x3 and depthwise convolutions with these engines instead, each by what a
            layer adds to a run of several. `make peers` installs the engines; a missing one is left out.
        json: also write every figure to this file.
        plot: also draw a roofline of one thread, an SVG file.
        core: the (last) processor core to run on; the machine's last one if left out.
        rounds: how often each layer is visited; its time is the median over visits.
    """

    op: tuple[Op, ...] = OPS
    isa: Literal["avx512", "avx2", "neon", "wasm128", "wasm_relaxed", "scalar"] | None = None
    sparsity: tuple[float, ...] = SPARSITIES
    threads: Counts = (1,)
    peers: tuple[Peer, ...] = ()
    json: Path | None = None
    plot: Path | None = None
    core: int | None = None
    rounds: int = 7


def main(args: list[str]) -> None:
    options = parse(Options, args, command="bench kernels")
    emulated = options.isa == "neon" and "neon" not in native.isas()
    _check(options, emulated)
    terminal = console()
    with TerminalProgress(terminal).stage("Count instructions" if emulated else "Measure kernels") as update:
        result = _measure(options, emulated, terminal, lambda done, total: update(done, total, ""))
    if options.peers:
        _print_compared(terminal, result)
    elif emulated:
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


def _measure(options: Options, emulated: bool, terminal: Console, report: Report) -> dict:
    turns = {"core": options.core, "rounds": options.rounds, "report": report}
    if options.peers:
        return layers.bench_layers(
            ops=[op for op in options.op if op in layers.OPS], peers=options.peers, isa=options.isa,
            note=lambda line: terminal.print(line, markup=False), **turns,
        )  # fmt: skip
    asked = {"ops": options.op, "sparsities": options.sparsity}
    if emulated:
        return bench_emulated(**asked, report=report)
    if _in_node(options):
        return bench_node(isa=options.isa, **asked, **turns)
    return bench_kernels(isa=options.isa, threads=options.threads, **asked, **turns)


def _in_node(options: Options) -> bool:
    return (options.isa or "").startswith("wasm")


def _check(options: Options, emulated: bool) -> None:
    if bad := [sparsity for sparsity in options.sparsity if not 5 / 9 < sparsity < 1]:
        raise UserError(f"`--sparsity` must be above 5/9 (four of nine entries) and below 1, found {bad[0]}.")
    if options.rounds < 1:
        raise UserError(f"`--rounds` must be at least 1, found {options.rounds}.")
    if bad := [count for count in options.threads if count < 1]:
        raise UserError(f"`--threads` must be at least 1, found {bad[0]}.")
    foreign = emulated or _in_node(options)
    if emulated and options.plot:
        raise UserError("A roofline needs measured rates: leave out `--plot`, or run on a machine with NEON.")
    if set(options.threads) - {1} and (foreign or options.peers):
        where = "beside other engines" if options.peers else f"for {options.isa} on this machine"
        raise UserError(f"Kernels run on one thread {where}: leave out `--threads`.")
    if not options.peers:
        return
    if foreign:
        raise UserError(
            f"Other engines have no {options.isa} on this machine: leave out `--isa` or `--peers`."
        )
    if options.plot:
        raise UserError("A roofline has no place for other engines: leave out `--plot` or `--peers`.")
    if not set(options.op) & set(layers.OPS):
        raise UserError(
            f"Other engines are compared at {', '.join(layers.OPS)}, found {', '.join(options.op)}."
        )


def _bandwidths(options: Options) -> dict[str, float]:
    """Measures how fast the core copies within its level 2 cache and from memory."""
    with native.pinned(options.core):
        return {
            "level 2 cache": copy_gbytes(int(native.cpu()["l2_bytes"]) // 2),
            "memory": copy_gbytes(2**28, repeats=5),
        }


def _print_measured(terminal: Console, result: dict) -> None:
    machine, summaries = result["machine"], summarize(result["records"])
    columns = ("kernel", "zeros", "shapes", "of peak", "over dense", "least")
    for cache, threads in dict.fromkeys((s.cache, s.threads) for s in summaries):
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
            if (s.cache, s.threads) == (cache, threads)
        ]
        what = {"hot": "hot", "cold": "cold: level 1 and 2 caches emptied before each run"}[cache]
        workers = "one thread" if threads == 1 else f"{threads} threads, peak of {threads} cores"
        terminal.print(
            table(
                f"{machine['cpu']}, {machine['isa']}, peak {machine['peak_gflops']:.0f} GFLOP/s; {what}; "
                f"{workers}; geometric means over shapes",
                columns,
                rows,
            )
        )
    _print_scaling(terminal, result)


def _print_scaling(terminal: Console, result: dict) -> None:
    found = scaling(result["records"])
    for threads in dict.fromkeys(s.threads for s in found):
        rows = [
            (f"{s.op} {s.pattern}", str(s.layers), f"{s.speedup:.2f}x", f"{s.least:.2f}x")
            for s in found
            if s.threads == threads
        ]
        terminal.print(
            table(
                f"{threads} threads over one, layers of at least {SHARED_FLOP / 1e6:.0f} MFLOP of useful "
                "work at all sparsities; geometric means",
                ("kernel", "layers", "speed-up", "least"),
                rows,
            )
        )


def _print_compared(terminal: Console, result: dict) -> None:
    machine = result["machine"]
    rows, groups = layers.compare(result["records"])
    versions = {record["engine"]: record["engine_version"] for record in result["records"]}
    peers = [engine for engine in versions if engine != OURS]
    terminal.print(
        table(
            f"{machine['cpu']}, {machine['isa']}; one thread; microseconds that a dense layer adds to a run; "
            "how much faster ours is",
            (
                "layer",
                "copies",
                *(f"{engine} {version}" for engine, version in versions.items()),
                *(f"over {peer}" for peer in peers),
            ),
            [
                (
                    row.layer,
                    row.arrangement,
                    *(f"{row.us[engine]:.1f}" if engine in row.us else "-" for engine in versions),
                    *(f"{row.over_peers[peer]:.2f}x" if peer in row.over_peers else "-" for peer in peers),
                )
                for row in rows
            ],
        )
    )
    if groups:
        terminal.print(
            table(
                "How much faster ours is; geometric means over layers",
                ("operator", "stride", "layers", "peer", "faster", "least"),
                [
                    (
                        f"{g.op} {g.kernel}x{g.kernel}",
                        str(g.stride),
                        str(g.layers),
                        g.peer,
                        f"{g.speedup:.2f}x",
                        f"{g.least:.2f}x",
                    )
                    for g in groups
                ],
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
