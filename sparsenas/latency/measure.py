"""Measures the native kernels on this machine and makes a latency table of them.

Every layer of a space is timed as part of a model of several copies, so that its weights come from the
cache level they would come from in a network. Rounds go through all layers in turn, so that a slow moment
of the machine hits all of them a little instead of one of them hard; a time is the median over rounds.
A few whole networks, measured in the same rounds, tell what a network takes beyond its layers.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import numpy as np

from sparsenas import __version__, native
from sparsenas.export.network import random_network
from sparsenas.export.snas import to_bytes
from sparsenas.latency.model import Correction, Entry, LatencyModel, corrected
from sparsenas.latency.subjects import layer_subject
from sparsenas.space import Layer, Space

Report = Callable[[int, int], None]
"""`(rounds done, rounds in all)`."""

# How long a model runs at each visit, so that the median is over many runs of a small one.
_VISIT_US = 1000.0


@dataclass(frozen=True, kw_only=True)
class MeasureSettings:
    """How long and how often to measure.

    Attributes:
        core: the processor core that runs everything; the last one where left out, as interrupts tend
            to land on the first.
        rounds: how often each layer is visited; its time is the median over visits.
        networks: whole networks that the correction is fitted to.
    """

    core: int | None = None
    rounds: int = 40
    networks: int = 24


@dataclass(frozen=True, eq=False)
class Timed:
    """A model under measurement, how often it holds the thing measured, and runs per visit."""

    model: native.Model
    copies: int
    runs: int

    def visit(self) -> float:
        """Returns the median microseconds of the thing measured over one visit."""
        return float(np.median(self.model.measure(self.runs))) * 1e6 / self.copies


def measure(
    space: Space, settings: MeasureSettings, *, device: str, seed: int = 0, report: Report | None = None
) -> LatencyModel:
    """Returns the latency table of all layers of a space, dense twins included, on this machine."""
    layers = space.layer_variants()
    networks = [random_network(chosen, seed=seed) for chosen in _sample(space, settings.networks, seed)]
    with native.pinned(settings.core) as core:
        timed = [timed_layer(layer, seed=seed) for layer in layers]
        timed += [_timed(to_bytes(network), copies=1) for network in networks]
        us = np.median(list(_rounds(timed, settings.rounds, report)), axis=0)
    entries = {
        layer.key: Entry(float(time), one.model.layers[0].kernel_name)
        for layer, time, one in zip(layers, us, timed, strict=False)
    }
    table = LatencyModel(
        device=device,
        machine=native.cpu(),
        build=native.build_id(),
        version=__version__,
        how={
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "space": space.name,
            "pinned_core": core,
            "threads": 1,
            **asdict(replace(settings, core=core)),
        },
        network=Correction(),
        entries=entries,
    )
    sums = np.array([sum(table.layer_us(layer) for layer in network.layers) for network in networks])
    return corrected(table, sums, us[len(layers) :])


def timed_layer(layer: Layer, *, seed: int, copies: int | None = None) -> Timed:
    """Returns a model of copies of one layer with random weights, ready to be visited."""
    subject = layer_subject(layer, seed=seed, copies=copies)
    return _timed(subject.model, copies=subject.copies)


def interleaved(models: Sequence[bytes], settings: MeasureSettings) -> np.ndarray:
    """Measures whole models in turn on one pinned core.

    Returns:
        milliseconds [number of models], the median over rounds.
    """
    with native.pinned(settings.core):
        timed = [_timed(model, copies=1) for model in models]
        return np.median(list(_rounds(timed, settings.rounds, None)), axis=0) / 1e3


def _timed(model: bytes, *, copies: int) -> Timed:
    loaded = native.Model.from_bytes(model)
    once_us = float(np.median(loaded.measure(5))) * 1e6
    return Timed(loaded, copies, max(5, round(_VISIT_US / max(once_us, 1e-3))))


def _rounds(timed: Sequence[Timed], rounds: int, report: Report | None) -> Iterator[list[float]]:
    for done in range(rounds):
        yield [one.visit() for one in timed]
        if report:
            report(done + 1, rounds)


def _sample(space: Space, count: int, seed: int) -> list[tuple[Layer, ...]]:
    """Returns the largest network, its dense twin, the smallest, and random ones with their dense twins."""
    rng = np.random.default_rng(seed)
    archs = [space.largest, space.smallest, *(space.sample(rng) for _ in range(max(0, count - 3)))]
    chosen = [space.layers(arch) for arch in archs]
    chosen.append(tuple(layer.dense() for layer in chosen[0]))
    # Every third is dense, so that the correction holds for dense twins as well.
    return [
        tuple(layer.dense() for layer in layers) if i % 3 == 2 else layers
        for i, layers in enumerate(chosen[:count])
    ]
