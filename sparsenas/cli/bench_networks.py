"""sparsenas bench networks: whole networks beside other engines."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.table import Table

from sparsenas import files
from sparsenas.bench.networks import NETWORKS, PATTERNS, SPARSITIES, Row, bench_networks, summarize
from sparsenas.bench.peers.process import OURS, PEERS
from sparsenas.cli.parse import Counts, parse
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
    """Measures reference networks with random weights, in float32, beside other engines with the same
    weights. `make peers` installs the engines; one that is missing is left out.

    Attributes:
        network: only these networks.
        sparsity: fractions of zeros of the layers that are pruned, 0 for none, such as `0 0.9`.
        pattern: where the zeros are. `published` is unstructured with blocks in MobileNet's last layers
            (Elsen et al., 2020); `pattern` keeps four entries of 28 % of the 3x3 kernels whatever the
            sparsity, an eighth of the weights (Ma et al., 2020). Patterns that a network does not have are
            passed over.
        peers: only these engines; none if nothing follows.
        threads: also measure with so many threads on as many cores, such as `2` or `2,4`, in the same rounds
            as one thread.
        batch: how many images a peer is given at a time; ours runs as many one after the other.
        json: also write every figure to this file.
        core: the (last) processor core to run on; the machine's last one if left out.
        rounds: how often each engine takes its turn; a time is the median over turns.
    """

    network: tuple[Network, ...] = NETWORKS
    sparsity: tuple[float, ...] = SPARSITIES
    pattern: tuple[Pattern, ...] = PATTERNS
    peers: tuple[Peer, ...] = PEERS
    threads: Counts = (1,)
    batch: int = 1
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
            batch=options.batch,
            core=options.core,
            rounds=options.rounds,
            report=update,
            note=lambda line: terminal.print(line, markup=False),
        )
    rows = summarize(result["records"])
    terminal.print(_table(rows, result["machine"], options))
    terminal.print(_files(rows))
    if options.json:
        files.write(options.json, json.dumps(result, indent=1) + "\n")
        terminal.print(f"Wrote {options.json}")


def _check(options: Options) -> None:
    if bad := [sparsity for sparsity in options.sparsity if not 0 <= sparsity < 1]:
        raise UserError(f"`--sparsity` must be 0 or more and below 1, found {bad[0]:g}.")
    for name in ("network", "sparsity", "pattern"):
        if not getattr(options, name):
            raise UserError(f"`--{name}` must name at least one, found none.")
    counts = {"threads": min(options.threads, default=1), "batch": options.batch, "rounds": options.rounds}
    for name, least in counts.items():
        if least < 1:
            raise UserError(f"`--{name}` must be at least 1, found {least}.")


def _table(rows: Sequence[Row], machine: dict, options: Options) -> Table:
    engines = [engine for engine in (OURS, *PEERS) if any(engine in row.ms for row in rows)]
    scaled = any(row.threads > 1 for row in rows)

    def cells(row: Row) -> tuple[str, ...]:
        speedups = [row.over_dense, row.over_dense_peers, row.over_peers]
        return (
            *_names(row),
            *([str(row.threads)] if scaled else []),
            *(_number(row.ms.get(engine), ".2f") for engine in engines),
            *(_number(speedup, ".2f", "x") for speedup in speedups),
            *([_number(row.over_one_thread, ".2f", "x")] if scaled else []),
        )

    what = [
        f"{machine['cpu']}, {machine['isa']}",
        *([] if scaled else ["one thread"]),
        f"milliseconds{' of an image' if options.batch > 1 else ''}, medians of {options.rounds} rounds",
        "how much faster ours is than its own dense twin, than the fastest peer that computes with zeros "
        f"too, {'' if scaled else 'and '}than the fastest{', and than on one thread' if scaled else ''}",
    ]
    if options.batch > 1:
        what.append(f"peers get {options.batch} images at a time, ours computes them one after the other")
    return table(
        "; ".join(what),
        (
            *("network", "pattern", "zeros", *(["threads"] if scaled else [])),
            *engines,
            *("own dense", "dense peer", "any peer", *(["one thread"] if scaled else [])),
        ),
        [cells(row) for row in rows],
    )


def _files(rows: Sequence[Row]) -> Table:
    return table(
        "Our model files: milliseconds to open one, on one thread, and 2^20 bytes",
        ("network", "pattern", "zeros", "ms", "MB"),
        [
            (*_names(row), f"{row.load_ms:.2f}", f"{row.file_mb:.2f}")
            for row in rows
            if row.threads == 1 and row.load_ms is not None
        ],
    )


def _names(row: Row) -> tuple[str, str, str]:
    return row.network, row.pattern, f"{row.sparsity:.3g}" if row.sparsity else "0"


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{form}}{unit}"
