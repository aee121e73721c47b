"""sparsenas bench networks: whole networks beside other engines."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.table import Table

from sparsenas import files
from sparsenas.bench.networks import NETWORKS, PATTERNS, SPARSITIES, Row, bench_networks, summarize
from sparsenas.bench.peers.process import OURS, PEERS
from sparsenas.cli.parse import parse
from sparsenas.cli.show import TerminalProgress, console, table
from sparsenas.errors import UserError

Network = Literal[
    "mobilenet_v1", "mobilenet_v2", "efficientnet_b0", "efficientnet_b1", "efficientnet_lite0", "resnet18",
    "resnet50", "vgg16", "alexnet",
]  # fmt: skip
Pattern = Literal["unstructured", "block2", "block4", "published", "pattern"]
Peer = Literal["onnxruntime", "openvino", "litert", "deepsparse"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measures reference networks with random weights, in float32 and one image at a time, beside other
    engines with the same weights. `make peers` installs the engines; one that is missing is left out.

    Attributes:
        network: only these networks.
        sparsity: fractions of zeros of the layers that are pruned, 0 for none, such as `0 0.9`.
        pattern: where the zeros are. `published` is unstructured with blocks in MobileNet's last layers
            (Elsen et al., 2020); `pattern` keeps four entries of 28 % of the 3x3 kernels whatever the
            sparsity, an eighth of the weights (Ma et al., 2020). Patterns that a network does not have are
            passed over.
        peers: only these engines; none if nothing follows.
        threads: how many share a layer, on as many cores.
        json: also write every figure to this file.
        core: the (last) processor core to run on; the machine's last one if left out.
        rounds: how often each engine takes its turn; a time is the median over turns.
    """

    network: tuple[Network, ...] = NETWORKS
    sparsity: tuple[float, ...] = SPARSITIES
    pattern: tuple[Pattern, ...] = PATTERNS
    peers: tuple[Peer, ...] = PEERS
    threads: int = 1
    json: Path | None = None
    core: int | None = None
    rounds: int = 15


def main(args: list[str]) -> None:
    options = parse(Options, args, command="bench networks")
    _check(options)
    terminal = console()
    with TerminalProgress(terminal).stage("Measure networks") as update:
        result = bench_networks(
            networks=options.network,
            sparsities=options.sparsity,
            patterns=options.pattern,
            peers=options.peers,
            threads=options.threads,
            core=options.core,
            rounds=options.rounds,
            report=update,
            note=lambda line: terminal.print(line, markup=False),
        )
    terminal.print(_table(result, options))
    if options.json:
        files.write(options.json, json.dumps(result, indent=1) + "\n")
        terminal.print(f"Wrote {options.json}")


def _check(options: Options) -> None:
    if bad := [sparsity for sparsity in options.sparsity if not 0 <= sparsity < 1]:
        raise UserError(f"`--sparsity` must be 0 or more and below 1, found {bad[0]:g}.")
    for name in ("network", "sparsity", "pattern"):
        if not getattr(options, name):
            raise UserError(f"`--{name}` must name at least one, found none.")
    for name in ("threads", "rounds"):
        if getattr(options, name) < 1:
            raise UserError(f"`--{name}` must be at least 1, found {getattr(options, name)}.")


def _table(result: dict, options: Options) -> Table:
    rows = summarize(result["records"])
    engines = [engine for engine in (OURS, *PEERS) if any(engine in row.ms for row in rows)]
    machine, threads = result["machine"], options.threads

    def cells(row: Row) -> tuple[str, ...]:
        zeros = f"{row.sparsity:.3g}" if row.sparsity else "0"
        times = (f"{row.ms[engine]:.2f}" if engine in row.ms else "-" for engine in engines)
        speedups = (row.over_dense, row.over_dense_peers, row.over_peers)
        return (
            row.network,
            row.pattern,
            zeros,
            *times,
            *("-" if speedup is None else f"{speedup:.2f}x" for speedup in speedups),
        )

    return table(
        f"{machine['cpu']}, {machine['isa']}; {threads} thread{'s' * (threads > 1)}; milliseconds, medians "
        f"of {options.rounds} rounds; how much faster ours is than its own dense twin, than the fastest peer "
        "that computes with zeros too, and than the fastest",
        ("network", "pattern", "zeros", *engines, "own dense", "dense peer", "any peer"),
        [cells(row) for row in rows],
    )
