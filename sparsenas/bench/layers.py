"""Single dense layers beside other engines: what a layer adds to a run, not what a run of it alone takes.

A model of one layer also takes what an engine spends on every run: its call, the layout of its input and
output. So a layer's time is that of a model of several copies, less that of a model of one, over the copies
between. Where a layer's output can be its input the copies are a chain, as in a network. Otherwise they
stand side by side: each reads the image, one pixel of each output is added up, and what that takes is
measured with models of these pixels alone and taken off too. Every copy has weights of its own.
"""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from sparsenas import __version__, native
from sparsenas.bench.kernels import Report, geometric_mean, records_of, shapes
from sparsenas.bench.machine import cores_of, instruction_set, on_cores
from sparsenas.bench.peers.contest import Entrant, Note, Variant, enter, prepare, take_turns
from sparsenas.bench.peers.process import OURS, PEERS, find_pythons
from sparsenas.export.network import random_network
from sparsenas.export.snas import to_bytes
from sparsenas.space import IMAGE, Layer

OPS = ("conv1x1", "conv", "depthwise")
# Channels at side and stride of the 3x3 depthwise convolutions of MobileNet v1, then v2.
DEPTHWISE = (
    (32, 112, 1), (64, 112, 2), (128, 56, 1), (128, 56, 2), (256, 28, 1), (256, 28, 2), (512, 14, 1),
    (512, 14, 2), (1024, 7, 1),
    (96, 112, 2), (144, 56, 1), (144, 56, 2), (192, 28, 1), (192, 28, 2), (384, 14, 1), (576, 14, 1),
    (576, 14, 2), (960, 7, 1),
)  # fmt: skip
# Copies beyond the first: enough that two measurements less one another do not double the noise.
_COPIES = 4

Models = Mapping[str, tuple[Layer, ...]]
"""The layers of `one` and `many`; of `one pixel` and `many pixels` where copies stand side by side."""


def layers_of(op: str) -> Iterator[Layer]:
    """Yields the dense layers of an operator that are compared."""
    if op != "depthwise":
        yield from shapes(op)
        return
    for channels, side, stride in DEPTHWISE:
        yield Layer(
            name="layer", op=op, inputs=(IMAGE,), c_in=channels, c_out=channels, height=side, width=side,
            kernel=3, stride=stride, activation="relu6",
        )  # fmt: skip


def models_of(layer: Layer) -> Models:
    """Returns the models whose times give that of a layer, see `added_us`."""
    many = 1 + _COPIES
    if (layer.c_in, layer.height, layer.width) == (layer.c_out, layer.out_height, layer.out_width):
        return {"one": _chain(layer, 1), "many": _chain(layer, many)}
    return {
        "one": _side_by_side(layer, 1, computed=True),
        "many": _side_by_side(layer, many, computed=True),
        "one pixel": _side_by_side(layer, 1, computed=False),
        "many pixels": _side_by_side(layer, many, computed=False),
    }


def _chain(layer: Layer, copies: int) -> tuple[Layer, ...]:
    return tuple(replace(layer, name=f"copy{i}", inputs=(i - 1,)) for i in range(copies))


def _side_by_side(layer: Layer, copies: int, *, computed: bool) -> tuple[Layer, ...]:
    """Returns copies that read the image, and what adds up one pixel of the output of each.

    Each output is done with before the next one is computed, so that they can share memory.

    Args:
        computed: whether there are copies, otherwise the image stands for each output.
    """
    layers: list[Layer] = []

    def added(one: Layer) -> int:
        layers.append(one)
        return len(layers) - 1

    pixel = Layer(
        name="pixel", op="max_pool", inputs=(IMAGE,), c_in=layer.c_out, c_out=layer.c_out,
        height=layer.out_height, width=layer.out_width,
    )  # fmt: skip
    sum_so_far = None
    for i in range(copies):
        output = added(replace(layer, name=f"copy{i}", inputs=(IMAGE,))) if computed else IMAGE
        # One pixel is left by a stride of the image's size. Strides that differ keep engines from computing
        # the same pixel once for all.
        stride = max(layer.out_height, layer.out_width) + i
        corner = added(replace(pixel, name=f"pixel{i}", inputs=(output,), stride=stride))
        if sum_so_far is None:
            sum_so_far = corner
        else:
            inputs = (sum_so_far, corner)
            sum_so_far = added(replace(pixel, name=f"sum{i}", op="add", inputs=inputs, height=1, width=1))
    return tuple(layers)


def added_us(visits: Mapping[str, Sequence[float]]) -> float:
    """Returns the microseconds that one more layer adds to a run, the median over rounds.

    Args:
        visits: milliseconds of a run of each of `models_of`, round by round.

    >>> added_us({"one": [0.5, 0.6], "many": [0.9, 1.0]})
    100.0
    """
    added = np.subtract(visits["many"], visits["one"])
    if "one pixel" in visits:
        added -= np.subtract(visits["many pixels"], visits["one pixel"])
    return float(np.median(added)) * 1e3 / _COPIES


def bench_layers(
    *,
    ops: Sequence[str] = OPS,
    peers: Sequence[str] = PEERS,
    isa: str | None = None,
    core: int | None = None,
    rounds: int = 7,
    report: Report = lambda done, total: None,
    note: Note = lambda line: None,
) -> dict:
    """Measures dense layers in all engines, in turn on one core.

    Args:
        isa: our instruction set; the best of this machine where left out.
        note: is told of engines that are missing, fail or compute something else.

    Returns:
        What `bench_kernels` does, a record for each layer and engine, with `engine`, `engine_version`, the
        `arrangement` of its copies and `max_abs_difference` of the outputs of all copies besides. `cache` is
        "network", as the copies take turns in it. A peer has no `isa` and no `kernel_name` that it tells.

    Raises:
        UserError: where the machine lacks the instruction set or the core, or a package is missing that
            writes models for a peer.
    """
    layers = [layer for op in ops for layer in layers_of(op)]
    cores = cores_of(1, core)
    pythons = {OURS: Path(sys.executable)} | find_pythons(peers, note)
    records, peaks = [], []
    with instruction_set(isa) as name:
        for done, layer in enumerate(layers):
            with on_cores(cores):
                peaks.append(native.peak_gflops())
            records += _records(layer, name, peaks[-1], pythons, cores, rounds, note)
            report(done + 1, len(layers))
        machine = native.cpu() | {"isa": name, "peak_gflops": float(np.median(peaks))}
    return {"machine": machine, "version": __version__, "records": records}


def _records(
    layer: Layer,
    isa: str,
    peak: float,
    pythons: Mapping[str, Path],
    cores: Sequence[int],
    rounds: int,
    note: Note,
) -> list[dict]:
    models = models_of(layer)
    title = f"{layer.op} {layer.kernel}x{layer.kernel} {layer.c_in}x{layer.c_out}@{layer.height}"
    entrants: list[Entrant] = []
    with contextlib.ExitStack() as stack:
        for part, copies in models.items():
            variant = Variant(network=f"{title} ({part})", sparsity=0.0, pattern="dense", layers=copies)
            entrants += enter(stack, pythons, prepare(stack, variant, pythons), pythons, cores, note)
        finished = take_turns(entrants, rounds, note, one_core=True)
    records = []
    for engine in pythons:
        own = {part: _of(finished, engine, copies) for part, copies in models.items()}
        if None in own.values():
            continue
        us = added_us({part: entrant.visits for part, entrant in own.items()})
        if us <= 0:
            note(f"{title}: {engine} has no time, more copies took less; measure again with more `rounds`")
            continue
        kernel_name = _kernel_name(layer) if engine == OURS else ""
        (record,) = records_of([layer], [kernel_name], [us], isa=isa, peak=peak, cache="network")
        unknown = {} if engine == OURS else {"isa": None, "kernel_name": None}
        records.append(
            asdict(record)
            | unknown
            | {
                "engine": engine,
                "engine_version": own["many"].worker.version,
                "arrangement": "chain" if len(models) == 2 else "side by side",
                "max_abs_difference": own["many"].difference,
            }
        )
    return records


def _of(entrants: Sequence[Entrant], engine: str, layers: tuple[Layer, ...]) -> Entrant | None:
    found = (one for one in entrants if one.engine == engine and one.variant.layers is layers)
    return next(found, None)


def _kernel_name(layer: Layer) -> str:
    return native.Model.from_bytes(to_bytes(random_network([layer], seed=0))).layers[0].kernel_name


@dataclass(frozen=True, kw_only=True)
class Row:
    """One layer in all engines.

    Attributes:
        us: by engine.
        over_peers: how much faster ours is, by peer; above 1 it is the faster one.
    """

    layer: str
    arrangement: str
    us: dict[str, float]
    over_peers: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Group:
    """The layers of one operator, kernel and stride against one peer.

    Attributes:
        speedup: how much faster ours is, the geometric mean.
        least: the same of the layer where it is least.
    """

    op: str
    kernel: int
    stride: int
    peer: str
    layers: int
    speedup: float
    least: float


def compare(records: Sequence[dict]) -> tuple[list[Row], list[Group]]:
    """Returns a row for each layer, and what they are in the mean, in the order of the records."""
    by_layer = _grouped(records, ("op", "c_in", "c_out", "height", "width", "kernel", "stride"))
    rows, ratios = [], {}
    for (op, c_in, c_out, height, _, kernel, stride), members in by_layer.items():
        us = {record["engine"]: record["us"] for record in members}
        over = {peer: us[peer] / us[OURS] for peer in us if peer != OURS and OURS in us}
        rows.append(
            Row(
                layer=f"{op} {kernel}x{kernel}/{stride} {c_in}x{c_out}@{height}",
                arrangement=members[0]["arrangement"],
                us=us,
                over_peers=over,
            )
        )
        for peer, ratio in over.items():
            ratios.setdefault((op, kernel, stride, peer), []).append(ratio)
    groups = [
        Group(
            op=op,
            kernel=kernel,
            stride=stride,
            peer=peer,
            layers=len(members),
            speedup=geometric_mean(members),
            least=min(members),
        )
        for (op, kernel, stride, peer), members in ratios.items()
    ]
    return rows, groups


def _grouped(records: Sequence[dict], fields: Sequence[str]) -> dict[tuple, list[dict]]:
    groups: dict[tuple, list[dict]] = {}
    for record in records:
        groups.setdefault(tuple(record[field] for field in fields), []).append(record)
    return groups
