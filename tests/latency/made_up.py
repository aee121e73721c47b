"""Tables of a device that never was: times by a formula, so that tests know what to expect."""

from collections.abc import Sequence

import numpy as np

from sparsenas.latency.layer_text import bare
from sparsenas.latency.table import Measurement, NetworkMeasurement, Table
from sparsenas.networks.catalog import REFERENCES
from sparsenas.networks.pruning import uniform
from sparsenas.space import Layer, Space
from sparsenas.sparsity.patterns import Block

MACHINE = {"cpu": "none", "isa": "avx2", "cores": 1, "l1d_bytes": 32768, "l2_bytes": 1 << 20}


def true_us(layer: Layer) -> float:
    """What the device takes: a constant, multiply-adds, and bytes that come and go."""
    moved = layer.c_in * layer.height * layer.width + layer.c_out * layer.out_height * layer.out_width
    macs = layer.macs * (1.3 if layer.sparsity else 1.0)
    return 0.2 + macs / 2e4 + moved / 1e5 + 0.002 * layer.c_out


def measured(layer: Layer, *, noise: float = 0.0, rng: np.random.Generator | None = None) -> Measurement:
    us = true_us(layer) * (1 if rng is None else float(np.exp(noise * rng.normal())))
    form = layer.pattern.name if layer.sparsity else "dense"
    kernel = f"{layer.op}_{form}_avx2"
    return Measurement(layer=bare(layer), us=us, low_us=us * 0.99, high_us=us * 1.01, kernel=kernel)


def network(
    name: str, layers: Sequence[Layer], *, role: str = "fit", slower: float = 1.0
) -> NetworkMeasurement:
    us = slower * (3.0 + 1.1 * sum(map(true_us, layers)))
    return NetworkMeasurement(
        name=name, role=role, layers=tuple(map(bare, layers)), us=us, low_us=us * 0.99, high_us=us * 1.01
    )


def reference_networks(count: int, *, seed: int) -> list[tuple[str, tuple[Layer, ...]]]:
    """Returns MobileNets of any width, size and zeros."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(count):
        name = ("mobilenet_v1", "mobilenet_v2")[i % 2]
        rule = uniform(float(rng.choice([0.7, 0.8, 0.9, 0.95])), *([Block(4)] if rng.random() < 0.4 else []))
        width = float(rng.choice([0.25, 0.35, 0.5, 0.75]))
        side = int(rng.choice([64, 96, 128]))
        found.append((f"{name} {i}", REFERENCES[name].layers(width=width, side=side, rule=rule)))
    return found


def table_of(
    layers: Sequence[Layer], *, networks: Sequence[NetworkMeasurement] = (), noise: float = 0.0, seed: int = 0
) -> Table:
    rng = np.random.default_rng(seed)
    return Table(
        device="made-up",
        kind="measured",
        machine=MACHINE,
        build="0",
        version="0",
        how={"date": "never"},
        layers=tuple(measured(layer, noise=noise, rng=rng) for layer in dict.fromkeys(map(bare, layers))),
        networks=tuple(networks),
    )


def table_of_space(space: Space) -> Table:
    """Every layer of a space, and ten of its networks."""
    rng = np.random.default_rng(0)
    archs = [space.largest, space.smallest, *(space.sample(rng) for _ in range(8))]
    networks = [network(f"{space.name} {i}", space.layers(arch)) for i, arch in enumerate(archs)]
    return table_of(space.layer_variants(), networks=networks)


def table_of_mobilenets(count: int = 10) -> Table:
    """Layers of MobileNets and their dense twins, and the networks themselves."""
    drawn = reference_networks(count, seed=0)
    layers = [layer for _, network in drawn for layer in network]
    return table_of(
        [*layers, *(layer.dense() for layer in layers)],
        networks=[network(name, layers) for name, layers in drawn],
    )
