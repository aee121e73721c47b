"""Layers that one kind of kernel computes: their fit, and what of them was measured."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sparsenas.latency import features, regression
from sparsenas.latency.features import Core, weights_of
from sparsenas.latency.regression import Regression
from sparsenas.latency.table import Measurement
from sparsenas.space import Layer

DENSE = "dense"

# So far beyond what was measured is still near it.
_SLACK = 1.15
# What an octave outside, and a kernel or stride never measured, add to half the width of an interval.
_OCTAVE = 0.25
_UNKNOWN = 0.5
# Fewer measurements say little about layers other than these.
_FEW = 4


@dataclass(frozen=True, eq=False)
class Family:
    """A fit to the measurements of one operator in one form.

    Attributes:
        form: the pattern of what the kernel holds; "dense" also where a sparse layer is packed dense.
        kernel: the name of the kernel of most of them.
        places: [N, F], where they lie.
    """

    op: str
    form: str
    core: Core
    measurements: tuple[Measurement, ...]
    regression: Regression
    kernel: str

    def predict(self, layer: Layer, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the logarithm [N] of microseconds of a layer that holds N numbers of weights, and half
        the width [N] of its interval."""
        log_us, half = self.regression(
            features.terms(layer, held, self.core), features.place(layer, held, self.core)
        )
        return log_us, half

    def outside(self, layer: Layer) -> tuple[list[str], float]:
        """Returns in what a layer differs from all that was measured, and what that adds to its interval."""
        reasons, wider = [], 0.0
        if len(self.measurements) < _FEW:
            reasons.append(f"only {len(self.measurements)} of {self.form} {self.op} measured")
            wider += _UNKNOWN
        for name, (low, high) in self._ranges.items():
            value = _SIZES[name](layer)
            if not low / _SLACK <= value <= high * _SLACK:
                bound = f"{high:g} at most" if value > high else f"{low:g} at least"
                reasons.append(f"{name} {value:g}, measured {bound}")
                wider += _OCTAVE * abs(math.log2(value / (high if value > high else low)))
        if (layer.kernel, layer.stride) not in self._windows:
            reasons.append(f"kernel {layer.kernel} with stride {layer.stride} never measured")
            wider += _UNKNOWN
        return reasons, wider

    @cached_property
    def _ranges(self) -> dict[str, tuple[float, float]]:
        """The least and the most of each size that was measured."""
        sizes = {name: [value(m.layer) for m in self.measurements] for name, value in _SIZES.items()}
        return {name: (min(found), max(found)) for name, found in sizes.items()}

    @cached_property
    def _windows(self) -> set[tuple[int, int]]:
        """Kernels and strides that were measured."""
        return {(m.layer.kernel, m.layer.stride) for m in self.measurements}

    def nearest(self, layer: Layer, count: int) -> list[tuple[Measurement, float]]:
        """Returns the measurements that say most about a layer, and how far they are from it."""
        place = features.place(layer, np.array([held_by(layer, self.form)]), self.core)
        distance = np.sqrt(((self.regression.places - place) ** 2).sum(1))
        return [(self.measurements[i], float(distance[i])) for i in np.argsort(distance)[:count]]


_SIZES = {
    "input channels": lambda layer: layer.c_in,
    "output channels": lambda layer: layer.c_out,
    "output pixels": lambda layer: layer.out_height * layer.out_width,
    "fraction of weights": lambda layer: layer.nonzeros / max(weights_of(layer), 1) or 1.0,
}


def form_of(measurement: Measurement) -> str:
    """Returns the pattern of what the kernel holds."""
    if not measurement.layer.sparsity or "dense" in measurement.kernel:
        return DENSE
    return measurement.layer.pattern.name


def held_by(layer: Layer, form: str) -> int:
    """Returns how many weights a kernel of a form holds of a layer."""
    return weights_of(layer) if form == DENSE else layer.nonzeros


def fit_family(op: str, form: str, measurements: Sequence[Measurement], core: Core) -> Family:
    """Fits at least one measurement."""
    held = [np.array([held_by(m.layer, form)]) for m in measurements]
    pairs = list(zip(measurements, held, strict=True))
    kernels = [m.kernel for m in measurements]
    return Family(
        op=op,
        form=form,
        core=core,
        measurements=tuple(measurements),
        regression=regression.fit(
            np.concatenate([features.terms(m.layer, h, core) for m, h in pairs]),
            np.concatenate([features.place(m.layer, h, core) for m, h in pairs]),
            np.array([m.us for m in measurements]),
            np.array([(m.high_us - m.low_us) / m.us for m in measurements]),
        ),
        kernel=max(sorted(set(kernels)), key=kernels.count),
    )
