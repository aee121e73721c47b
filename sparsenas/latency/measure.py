"""Times models in turns on one core of this machine.

Rounds go through all models in turn, so that a slow moment of the machine hits all of them a little instead
of one of them hard; a time is the median over rounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparsenas import native
from sparsenas.latency.subjects import layer_subject
from sparsenas.space import Layer

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


def timed_layer(layer: Layer, *, seed: int, copies: int | None = None, threads: int = 1) -> Timed:
    """Returns a model of copies of one layer with random weights, ready to be visited.

    Args:
        threads: how many share the layer, on the cores that the calling thread may run on now.
    """
    subject = layer_subject(layer, seed=seed, copies=copies)
    return _timed(subject.model, copies=subject.copies, threads=threads)


def interleaved(models: Sequence[bytes], settings: MeasureSettings) -> np.ndarray:
    """Measures whole models in turn on one pinned core.

    Returns:
        milliseconds [number of models], the median over rounds.
    """
    with native.pinned(settings.core):
        timed = [_timed(model, copies=1) for model in models]
        return np.median([[one.visit() for one in timed] for _ in range(settings.rounds)], axis=0) / 1e3


def _timed(model: bytes, *, copies: int, threads: int = 1) -> Timed:
    loaded = native.Model.from_bytes(model, threads=threads)
    once_us = float(np.median(loaded.measure(5))) * 1e6
    return Timed(loaded, copies, max(5, round(_VISIT_US / max(once_us, 1e-3))))
