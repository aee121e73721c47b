"""How near the kernels come to what one core can do, and how far sparse is ahead of dense."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from time import sleep

import numpy as np

from sparsenas import __version__, native
from sparsenas.bench.machine import cores_of, instruction_set, on_cores
from sparsenas.latency.measure import Timed, timed_layer
from sparsenas.space import Layer
from sparsenas.sparsity.patterns import Block, KernelPattern, NByM, Pattern, Unstructured

# Input channels x output channels at side of the 1x1 convolutions of MobileNet v1 and v2.
POINTWISE = (
    (32, 64, 112), (64, 128, 56), (128, 128, 56), (128, 256, 28), (256, 256, 28), (256, 512, 14),
    (512, 512, 14), (512, 1024, 7), (1024, 1024, 7),
    (16, 96, 112), (96, 24, 56), (24, 144, 56), (144, 32, 28), (32, 192, 28), (192, 64, 14), (64, 384, 14),
    (384, 96, 14), (96, 576, 14), (576, 160, 7), (160, 960, 7), (960, 320, 7),
)  # fmt: skip
# Input channels = output channels at side of the 3x3 convolutions of ResNet.
CONV = ((64, 56), (128, 28), (256, 14), (512, 7))
# Channels at side, kernel and stride: MobileNet v1, and of EfficientNet what it adds.
DEPTHWISE = (
    (32, 112, 3, 1), (64, 112, 3, 2), (128, 56, 3, 1), (128, 56, 3, 2), (256, 28, 3, 1), (256, 28, 3, 2),
    (512, 14, 3, 1), (512, 14, 3, 2), (1024, 7, 3, 1),
    (144, 56, 5, 2), (240, 28, 5, 1), (480, 14, 5, 1), (672, 14, 5, 2), (1152, 7, 5, 1),
)  # fmt: skip
# Output channels and kernel of the first convolution at stride 2 of MobileNet v1 and ResNet.
FIRST = ((32, 3), (64, 7))
# Inputs x outputs of the classifier of MobileNet v1 and v2.
CLASSIFIER = ((1024, 1000), (1280, 1000))

OPS = ("conv1x1", "conv", "depthwise", "conv_hwc", "fully_connected")
SPARSITIES = (0.7, 0.8, 0.9, 0.95)
# Useful operations of a layer that more threads must be faster at: for a smaller one, waking them may take
# as long as it.
SHARED_FLOP = 20e6
# Longer than the threads of a model wait busily for more work.
_SETTLE_SECONDS = 0.001
_PATTERNS: dict[str, tuple[Pattern, ...]] = {
    "conv1x1": (Unstructured(), Block(2), Block(4)),
    "conv": (Unstructured(), KernelPattern()),
    "fully_connected": (Unstructured(), Block(4), NByM(2, 4)),
}

Report = Callable[[int, int], None]
"""`(shapes done, shapes in all)`."""


@dataclass(frozen=True, kw_only=True)
class KernelRecord:
    """One measured layer. Times are medians in microseconds; sparsity is a fraction of zeros.

    All ratios but the last are between layers of as many threads.

    Attributes:
        pattern: "direct" stands for unstructured zeros of a convolution of more than one pixel.
        cache: "hot" where the layer's own input, output and weights stay in the cache from run to run,
            "cold" where the level 1 and 2 caches are emptied before each.
        fraction_of_peak: of as many cores as threads.
    """

    op: str
    pattern: str
    c_in: int
    c_out: int
    height: int
    width: int
    kernel: int
    stride: int
    sparsity: float
    isa: str
    kernel_name: str
    us: float
    dense_us: float
    useful_gflops: float
    fraction_of_peak: float
    speedup_over_dense: float
    cache: str
    threads: int
    speedup_over_one_thread: float


def bench_kernels(
    *,
    ops: Sequence[str] = OPS,
    sparsities: Sequence[float] = SPARSITIES,
    isa: str | None = None,
    threads: Iterable[int] = (),
    core: int | None = None,
    rounds: int = 7,
    report: Report = lambda done, total: None,
) -> dict:
    """Measures every shape, sparse beside dense in the same rounds, all on one pinned core.

    Args:
        isa: the instruction set; the best of this machine where left out.
        threads: also so many threads, in the same rounds and on as many cores, with hot caches only: no other
            core's cache can be emptied from here.
        core: the last of the cores that everything runs on.

    Raises:
        UserError: where the machine lacks the instruction set or the cores.
    """
    groups = list(layer_groups(ops, sparsities))
    counts = sorted({1, *threads})
    cores = {count: cores_of(count, core) for count in counts}
    records, peaks = [], []
    with instruction_set(isa) as name, on_cores(cores[1]):
        machine = native.cpu()
        for done, layers in enumerate(groups):
            timed = {count: _timed_on(cores[count], layers) for count in counts}
            hot, cold = [], []
            for _ in range(rounds):
                peaks.append(native.peak_gflops())
                hot.append([[_visit_us(timed[n][i], cores[n]) for n in counts] for i in range(len(layers))])
                cold.append([_cold_us(one) for one in timed[1]])
            us = np.median(hot, axis=0)  # [variants, thread counts]
            # Clocks drift: a fraction is of what the core could do in the same rounds.
            settings = {"isa": name, "peak": float(np.median(peaks[-rounds:]))}
            for i, count in enumerate(counts):
                names = _kernel_names(timed[count])
                records += records_of(layers, names, us[:, i], one_us=us[:, 0], threads=count, **settings)
            cold_us = np.median(cold, axis=0)
            records += records_of(layers, _kernel_names(timed[1]), cold_us, cache="cold", **settings)
            report(done + 1, len(groups))
    machine |= {"isa": name, "peak_gflops": float(np.median(peaks))}
    return {"machine": machine, "version": __version__, "records": [asdict(record) for record in records]}


def _timed_on(cores: Sequence[int], layers: Sequence[Layer]) -> list[Timed]:
    with on_cores(cores):
        return [timed_layer(layer, seed=0, copies=1, threads=len(cores)) for layer in layers]


def _visit_us(timed: Timed, cores: Sequence[int]) -> float:
    with on_cores(cores):
        us = timed.visit()
    if len(cores) > 1:
        sleep(_SETTLE_SECONDS)
    return us


def _kernel_names(timed: Sequence[Timed]) -> list[str]:
    return [one.model.layers[0].kernel_name for one in timed]


def _cold_us(timed: Timed) -> float:
    """Returns the median microseconds of a few runs that each find the caches empty."""
    return float(np.median(timed.model.measure_cold(3))) * 1e6


def layer_groups(ops: Iterable[str], sparsities: Sequence[float]) -> Iterator[list[Layer]]:
    """Yields every shape as a list of layers to compare: the dense one first, then all sparse ones."""
    for op in ops:
        for dense in shapes(op):
            yield [
                dense,
                *(
                    replace(dense, pattern=pattern, sparsity=sparsity)
                    for pattern in _PATTERNS.get(op, ())
                    for sparsity in _levels(pattern, sparsities)
                ),
            ]


def _levels(pattern: Pattern, sparsities: Sequence[float]) -> Sequence[float]:
    if isinstance(pattern, NByM):
        return [1 - pattern.n / pattern.m]
    if not isinstance(pattern, KernelPattern):
        return sparsities
    # Of every kernel four entries, and 28 % of the kernels: an eighth of the weights, as PCONV has it.
    return sorted({*sparsities, round(pattern.fraction(kernels=0.28), 4)})


def shapes(op: str) -> list[Layer]:
    """Returns the shapes that an operator is measured at, dense."""

    def layer(c_in: int, c_out: int, side: int, kernel: int = 1, stride: int = 1) -> Layer:
        return Layer(
            name="layer", op=op, inputs=(-1,), c_in=c_in, c_out=c_out, height=side, width=side,
            kernel=kernel, stride=stride, activation="none" if op == "fully_connected" else "relu6",
        )  # fmt: skip

    match op:
        case "conv1x1":
            return [layer(c_in, c_out, side) for c_in, c_out, side in POINTWISE]
        case "conv":
            return [layer(channels, channels, side, 3) for channels, side in CONV]
        case "depthwise":
            return [layer(channels, channels, *rest) for channels, *rest in DEPTHWISE]
        case "conv_hwc":
            return [layer(3, c_out, 224, kernel, 2) for c_out, kernel in FIRST]
        case "fully_connected":
            return [layer(c_in, c_out, 1) for c_in, c_out in CLASSIFIER]
    raise ValueError(f"No shapes are listed for {op!r}.")


def pattern_name(layer: Layer) -> str:
    """Returns what a record calls the pattern of a layer."""
    return "direct" if layer.op == "conv" and layer.pattern == Unstructured() else layer.pattern.name


def records_of(
    layers: Sequence[Layer],
    kernel_names: Sequence[str],
    us: Sequence[float],
    *,
    isa: str,
    peak: float,
    cache: str = "hot",
    threads: int = 1,
    one_us: Sequence[float] | None = None,
) -> list[KernelRecord]:
    """Returns a record for each layer of a group, whose first one is dense.

    Args:
        peak: of one core, in 10^9 operations per second.
        one_us: what one thread takes; `us` itself where left out.
    """
    one_us = us if one_us is None else one_us
    gflops = [2 * layer.macs / float(time) / 1e3 for layer, time in zip(layers, us, strict=True)]
    return [
        KernelRecord(
            op=layer.op,
            pattern=pattern_name(layer),
            c_in=layer.c_in,
            c_out=layer.c_out,
            height=layer.height,
            width=layer.width,
            kernel=layer.kernel,
            stride=layer.stride,
            sparsity=layer.sparsity,
            isa=isa,
            kernel_name=kernel_name,
            us=float(time),
            dense_us=float(us[0]),
            useful_gflops=rate,
            fraction_of_peak=rate / (threads * peak),
            speedup_over_dense=float(us[0] / time),
            cache=cache,
            threads=threads,
            speedup_over_one_thread=float(one / time),
        )
        for layer, kernel_name, time, one, rate in zip(layers, kernel_names, us, one_us, gflops, strict=True)
    ]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Geometric means over the shapes of one operator, pattern, sparsity, cache state and thread count."""

    op: str
    pattern: str
    sparsity: float
    cache: str
    threads: int
    shapes: int
    fraction_of_peak: float
    speedup_over_dense: float
    slowest_over_dense: float


def summarize(records: Sequence[dict]) -> list[Summary]:
    """Returns geometric means over shapes, in the order of the records; hot ones first."""
    groups: dict[tuple, list[dict]] = {}
    for record in records:
        key = (record["op"], record["pattern"], record["sparsity"], record["cache"], record["threads"])
        groups.setdefault(key, []).append(record)
    summaries = [
        Summary(
            op=op,
            pattern=pattern,
            sparsity=sparsity,
            cache=cache,
            threads=threads,
            shapes=len(members),
            fraction_of_peak=geometric_mean([m["fraction_of_peak"] for m in members]),
            speedup_over_dense=geometric_mean([m["speedup_over_dense"] for m in members]),
            slowest_over_dense=min(m["speedup_over_dense"] for m in members),
        )
        for (op, pattern, sparsity, cache, threads), members in groups.items()
    ]
    return sorted(summaries, key=lambda s: (s.cache != "hot", s.threads, OPS.index(s.op)))


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """How much faster several threads are than one, over the large layers of an operator and pattern.

    Attributes:
        layers: of at least `SHARED_FLOP` useful operations, each sparsity one.
        speedup: the geometric mean.
    """

    op: str
    pattern: str
    threads: int
    layers: int
    speedup: float
    least: float


def scaling(records: Sequence[dict]) -> list[Scaling]:
    """Returns what each operator and pattern gains from threads; none where nothing large has several."""
    groups: dict[tuple, list[float]] = {}
    for record in records:
        flop = record["useful_gflops"] * record["us"] * 1e3
        # What follows from a rate and a time is a little off.
        if record["threads"] > 1 and flop > SHARED_FLOP * (1 - 1e-9):
            key = (record["threads"], record["op"], record["pattern"])
            groups.setdefault(key, []).append(record["speedup_over_one_thread"])
    return [
        Scaling(
            op=op,
            pattern=pattern,
            threads=threads,
            layers=len(speedups),
            speedup=geometric_mean(speedups),
            least=min(speedups),
        )
        for (threads, op, pattern), speedups in sorted(
            groups.items(), key=lambda group: (group[0][0], OPS.index(group[0][1]))
        )
    ]


def geometric_mean(values: Sequence[float]) -> float:
    """Returns the mean of ratios.

    >>> geometric_mean([0.5, 2.0])
    1.0
    """
    return math.exp(sum(map(math.log, values)) / len(values))
