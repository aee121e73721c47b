"""What is measured for a latency table: layers and whole networks, the same ones for the same seed.

Layers are of three kinds. Sweeps change one number of a usual shape in small steps, where latency bends:
pixels and channels around what a register tile takes, shapes around the sizes of caches, and zeros from
half to nearly all. The shapes of reference networks come with every pattern and fraction. The others are
layers of random networks, as that is what a model is asked about.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sparsenas.errors import UserError
from sparsenas.latency.layer_text import bare, describe
from sparsenas.latency.sampling import Network, dense_parameters, families, with_zeros
from sparsenas.space import Layer, Space
from sparsenas.sparsity.patterns import Block, KernelPattern, NByM, Pattern, Unstructured

# Shares of the random layers. Most of a network's time is in the first two.
_SHARES = {
    "conv1x1": 0.40, "conv": 0.20, "depthwise": 0.14, "fully_connected": 0.08, "conv_hwc": 0.05,
    "add": 0.04, "multiply": 0.04, "global_average_pool": 0.03, "max_pool": 0.02,
}  # fmt: skip
# Layers with more weights than this take longer to make than to measure.
_MOST_WEIGHTS = 2_400_000
_REPEATS = 3
# Of so many times as many random networks, those to learn from are chosen: half of them far from all others.
_CANDIDATES = 3
# Random layers come from so many networks for each hundred of them.
_POOL_NETWORKS = 8

_FRACTIONS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)
_PATTERNS: tuple[Pattern, ...] = (Unstructured(), Block(2), Block(4), KernelPattern())
# Channels in, out and side of the 1x1 convolutions of MobileNets, from the first to the last.
_POINTWISE = (
    (32, 64, 112), (16, 96, 112), (64, 128, 56), (24, 144, 56), (128, 128, 56), (144, 32, 28),
    (128, 256, 28), (256, 256, 28), (192, 64, 14), (256, 512, 14), (512, 512, 14), (96, 576, 14),
    (576, 160, 7), (512, 1024, 7), (1024, 1024, 7), (320, 1280, 7),
)  # fmt: skip
_KERNELS = (
    (16, 16, 32),
    (32, 64, 56),
    (64, 64, 28),
    (64, 128, 14),
    (128, 128, 28),
    (256, 256, 14),
    (256, 256, 7),
)
# Sides around every multiple of a vector of 4, 8 or 16 pixels, and those of networks.
_SIDE_SWEEP = (
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 20, 23, 24, 27, 28, 31, 32, 33, 40, 48, 56, 64,
    80, 96, 112,
)  # fmt: skip
_CHANNEL_SWEEP = (
    1, 2, 3, 4, 6, 7, 8, 9, 12, 15, 16, 17, 20, 24, 28, 31, 32, 33, 40, 48, 56, 63, 64, 65, 80, 96, 112, 128,
    160, 192, 256, 320, 384, 512, 768, 1024,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class NamedNetwork:
    """A network and where it is from, for people."""

    name: str
    layers: Network


@dataclass(frozen=True, kw_only=True)
class Design:
    """What is measured, and how thoroughly.

    Attributes:
        layers: what a model learns from; as `bare` returns them, no two alike.
        held_out_layers: what it is tested with, none of `layers`.
        networks, held_out_networks: whole ones, for the same.
        threads: every network and layer is measured with the first of these numbers, and some with the
            others.
        rounds: visits of each model.
        repeats: how often what is noisy is measured again.
        seconds: after so long, few rounds must do and nothing is measured again.
    """

    name: str
    layers: tuple[Layer, ...]
    held_out_layers: tuple[Layer, ...] = ()
    networks: tuple[NamedNetwork, ...] = ()
    held_out_networks: tuple[NamedNetwork, ...] = ()
    threads: tuple[int, ...] = (1,)
    rounds: int
    repeats: int = 0
    seconds: float = math.inf

    def fingerprint(self) -> str:
        """Returns a short hash that changes with anything that is measured."""
        lists = [[describe(layer) for layer in one] for one in (self.layers, self.held_out_layers)]
        for networks in (self.networks, self.held_out_networks):
            lists += [[describe(layer) for layer in network.layers] for network in networks]
        return hashlib.sha256(repr((self.threads, lists)).encode()).hexdigest()[:16]


def quick(spaces: Sequence[Space], *, seed: int, threads: Sequence[int] = (1,)) -> Design:
    """Returns a design of about 90 seconds on a core of 2025."""
    return _design(
        "quick", spaces, seed=seed, threads=threads, every=3, random=420, held_out=80,
        networks=60, held_out_networks=50, rounds=14, seconds=85,
    )  # fmt: skip


def full(spaces: Sequence[Space], *, seed: int, threads: Sequence[int] = (1,)) -> Design:
    """Returns a design of about 10 minutes on a core of 2025."""
    return _design(
        "full", spaces, seed=seed, threads=threads, every=1, random=3000, held_out=250,
        networks=160, held_out_networks=50, rounds=36, seconds=570,
    )  # fmt: skip


def of_space(space: Space, *, seed: int, networks: int, rounds: int, threads: Sequence[int] = (1,)) -> Design:
    """Returns all layers of a space, dense twins included, and a few of its networks to fit to."""
    rng = np.random.default_rng(seed)
    archs = [space.largest, space.smallest, *(space.sample(rng) for _ in range(max(0, networks - 3)))]
    chosen = [space.layers(arch) for arch in archs]
    chosen.append(tuple(layer.dense() for layer in chosen[0]))
    return Design(
        name=f"space {space.name}",
        layers=_distinct(space.layer_variants()),
        networks=tuple(
            # Every third is dense, so that the fit holds for dense twins as well.
            NamedNetwork(
                name=f"{space.name} {i}",
                layers=tuple(layer.dense() for layer in layers) if i % 3 == 2 else layers,
            )
            for i, layers in enumerate(chosen[:networks])
        ),
        threads=tuple(threads),
        rounds=rounds,
    )


def _design(
    name: str,
    spaces: Sequence[Space],
    *,
    seed: int,
    threads: Sequence[int],
    every: int,
    random: int,
    held_out: int,
    networks: int,
    held_out_networks: int,
    rounds: int,
    seconds: float,
) -> Design:
    """Makes a design of every so-manieth layer of the sweeps, and so many of all else."""
    if not threads or min(threads) < 1 or len(set(threads)) < len(threads):
        raise UserError(f"`threads` must be different numbers from 1 up, found {list(threads)}.")
    fit, test = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])
    structured = _distinct(layer for layer in _structured() if dense_parameters([layer]) <= _MOST_WEIGHTS)
    # Neighbours of a sweep are far apart in a shuffled list, so that a part of it covers all of them.
    structured = [structured[i] for i in np.random.default_rng([seed, 2]).permutation(len(structured))]
    layers = _distinct([*structured[::every], *_random_layers(spaces, random, fit)])
    known = set(layers)
    unseen = [layer for layer in _random_layers(spaces, 2 * held_out, test) if layer not in known]
    return Design(
        name=f"{name}, seed {seed}",
        layers=layers,
        held_out_layers=tuple(unseen[:held_out]),
        networks=_spread_out(_random_networks(spaces, _CANDIDATES * networks, fit), networks),
        held_out_networks=_random_networks(spaces, held_out_networks, test),
        threads=tuple(threads),
        rounds=rounds,
        repeats=_REPEATS,
        seconds=seconds,
    )


def _distinct(layers: Iterator[Layer] | Sequence[Layer]) -> tuple[Layer, ...]:
    return tuple(dict.fromkeys(map(bare, layers)))


def _random_networks(
    spaces: Sequence[Space], count: int, rng: np.random.Generator
) -> tuple[NamedNetwork, ...]:
    """Draws as many networks of each family; of a space of our own twice as many."""
    drawn = families(spaces)
    turns = [name for space in spaces for name in [space.name]] + list(drawn)
    return tuple(
        NamedNetwork(name=f"{turns[i % len(turns)]} {i}", layers=drawn[turns[i % len(turns)]](rng))
        for i in range(count)
    )


def _spread_out(candidates: tuple[NamedNetwork, ...], count: int) -> tuple[NamedNetwork, ...]:
    """Returns the first half of so many networks, and then whichever is farthest from all that are chosen.

    Far in work, weights and activations: what lies between measured networks is interpolated, what lies
    beyond is a guess (farthest-point design; Gonzalez, 1985, https://doi.org/10.1016/0304-3975(85)90224-5).
    """
    places = np.log2([_sums(network.layers) for network in candidates])
    chosen = list(range(count // 2))
    distance = np.linalg.norm(places[:, None] - places[None, chosen], axis=-1).min(1, initial=np.inf)
    while len(chosen) < count:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(places - places[chosen[-1]], axis=-1))
    return tuple(candidates[i] for i in chosen)


def _sums(layers: Network) -> tuple[int, int, int]:
    """Returns multiply-accumulates without zeros, weights that are no zeros, and outputs of a network."""
    return (
        sum(layer.macs for layer in layers),
        sum(layer.nonzeros for layer in layers),
        sum(layer.c_out * layer.out_height * layer.out_width for layer in layers),
    )


def _random_layers(spaces: Sequence[Space], count: int, rng: np.random.Generator) -> tuple[Layer, ...]:
    """Draws layers of random networks, of each operator its share, in random order."""
    drawn = list(families(spaces).values())
    pool = _distinct(
        layer
        for i in range(len(drawn) + count * _POOL_NETWORKS // 100)
        for layer in drawn[i % len(drawn)](rng)
        if dense_parameters([layer]) <= _MOST_WEIGHTS
    )
    picked: list[Layer] = []
    for op, share in _SHARES.items():
        those = [layer for layer in pool if layer.op == op]
        picked += [those[i] for i in rng.permutation(len(those))[: round(share * count)]]
    # No network here has these, but a space may.
    pools = [layer for layer in pool if layer.op == "max_pool"]
    picked += [replace(layer, op="average_pool") for layer in pools[: round(0.02 * count)]]
    return tuple(picked[i] for i in rng.permutation(len(picked)))


def _structured() -> Iterator[Layer]:
    yield from _zeros_sweep()
    for layer in (*_side_sweep(), *_channel_sweep()):
        yield layer
        for pattern in _PATTERNS:
            for fraction in (0.7, 0.9):
                if sparse := with_zeros(layer, pattern, fraction):
                    yield sparse
    yield from _without_zeros()


def _zeros_sweep() -> Iterator[Layer]:
    """Yields the shapes of networks in every pattern, from half of the weights to few."""
    shapes = [_layer("conv1x1", c, d, side) for c, d, side in _POINTWISE]
    shapes += [_layer("conv", c, d, side, kernel=3) for c, d, side in _KERNELS]
    shapes += [_layer("conv", 64, 96, 28, kernel=3, stride=2), _layer("conv", 32, 64, 14, kernel=5)]
    shapes += [_layer("fully_connected", c, d, 1) for c, d in ((256, 256), (512, 1000), (1280, 1000))]
    for shape in shapes:
        yield shape
        for pattern in _PATTERNS:
            for fraction in _FRACTIONS:
                at_least = pattern.fraction(kernels=1) if isinstance(pattern, KernelPattern) else 0
                if fraction > at_least and (sparse := with_zeros(shape, pattern, fraction)):
                    yield sparse
        if shape.op == "fully_connected":
            yield replace(shape, pattern=NByM(2, 4), sparsity=0.5)


def _side_sweep() -> Iterator[Layer]:
    """Yields usual layers over the side of the image, across every remainder of a tile."""
    for side in _SIDE_SWEEP:
        yield _layer("conv1x1", 64, 64, side)
        yield _layer("conv1x1", 24, 144, side)
        if side <= 64:
            yield _layer("conv", 32, 32, side, kernel=3)


def _channel_sweep() -> Iterator[Layer]:
    """Yields usual layers over channels in and out, across remainders and the sizes of caches."""
    for channels in _CHANNEL_SWEEP:
        yield _layer("conv1x1", channels, 64, 14)
        yield _layer("conv1x1", 64, channels, 14)
        yield _layer("fully_connected", channels, 128, 1)
        yield _layer("fully_connected", 256, channels, 1)
        if channels <= 256:
            yield _layer("conv", channels, 32, 14, kernel=3)
            yield _layer("conv", 32, channels, 14, kernel=3)


def _without_zeros() -> Iterator[Layer]:
    """Yields the operators that are never sparse, over channels and sides."""
    for side in _SIDE_SWEEP:
        for channels in (8, 32, 96, 256):
            if channels * side * side > 1_500_000:
                continue
            for kernel, stride in ((3, 1), (3, 2), (5, 1), (5, 2)):
                yield _layer("depthwise", channels, channels, side, kernel=kernel, stride=stride)
            for op in ("add", "multiply", "global_average_pool"):
                yield _layer(op, channels, channels, side)
            if side >= 3:
                for op in ("max_pool", "average_pool"):
                    yield _layer(op, channels, channels, side, kernel=3, stride=2)
                    yield _layer(op, channels, channels, side, kernel=2, stride=2)
    for side in (16, 24, 32, 48, 64, 96, 112, 128, 160, 192, 224, 240):
        for channels in (8, 16, 24, 32, 64):
            yield _layer("conv_hwc", 3, channels, side, kernel=3, stride=2)
            if side <= 128:
                yield _layer("conv_hwc", 3, channels, side, kernel=3)
                yield _layer("conv_hwc", 3, channels, side, kernel=7, stride=2)
    for op in ("depthwise", "conv1x1", "add"):
        for activation in ("relu", "relu6", "hard_swish", "swish", "sigmoid", "hard_sigmoid"):
            for channels, side in ((16, 8), (64, 28), (96, 14)):
                kernel = 3 if op == "depthwise" else 1
                yield replace(_layer(op, channels, channels, side, kernel=kernel), activation=activation)


def _layer(op: str, c_in: int, c_out: int, side: int, *, kernel: int = 1, stride: int = 1) -> Layer:
    return Layer(
        name="",
        op=op,
        inputs=(),
        c_in=c_in,
        c_out=c_out,
        height=side,
        width=side,
        kernel=kernel,
        stride=stride,
    )
