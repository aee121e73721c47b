"""How much longer layers take together than their shares say: one factor for a whole network.

Weights and activations of a large network push each other out of the caches, more than any of its layers
knows. The factor depends on three sums over layers: their shares of the time, the bytes of their weights and
of their activations. It is fitted to whole networks by a Gaussian process (`regression`) and kept as values
on a grid over the logarithms of the three, between whose corners it is linear; beyond the networks that were
measured it stays what it is at the border.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsenas.latency import regression
from sparsenas.latency.features import Core, Shape, weights_of
from sparsenas.space import Layer

# Steps of the grid in an octave.
_STEPS = 2
# How far an octave of each sum is, and of weights read in a microsecond: by the errors of networks left out
# of the fit on a Zen 5 core.
_OCTAVE = 0.7
_RATE = 1.0
# What is added to bytes before their logarithm, in level 2 caches: networks far smaller than one are alike.
_LEAST = 0.05


@dataclass(frozen=True, eq=False)
class Crowding:
    """The factor of networks over three sums.

    Attributes:
        lowest: [3], octaves of the first corner.
        values: [A, B, C], the factor at the grid's corners.
        scale: microseconds of this device that are one of the device it was fitted on.
    """

    lowest: np.ndarray
    values: np.ndarray
    core: Core
    scale: float = 1.0

    def __call__(self, us: np.ndarray, weight_bytes: np.ndarray, activation_bytes: np.ndarray) -> np.ndarray:
        """Returns the factors [N] of N networks."""
        sums = (us / self.scale, weight_bytes, activation_bytes)
        flat, index, parts = self.values.ravel(), 0, []
        for axis, octaves in enumerate(_octaves(*sums, self.core)):
            size = self.values.shape[axis]
            at = np.clip((octaves - self.lowest[axis]) * _STEPS, 0, size - 1)
            whole = np.minimum(at.astype(np.intp), size - 2)
            parts.append(at - whole)
            index = index * size + whole
        x, y, z = parts
        _, b, c = self.values.shape
        planes = []
        for step in (0, b * c):
            rows = []
            for row in (step, step + c):
                near = flat[index + row]
                rows.append(near + (flat[index + row + 1] - near) * z)
            planes.append(rows[0] + (rows[1] - rows[0]) * y)
        return planes[0] + (planes[1] - planes[0]) * x

    def at(self, us: Any, weight_bytes: Any, activation_bytes: Any) -> Any:
        """Returns the factor of one network as `__call__` does, from scalars of NumPy or JAX; differentiable
        where they are."""
        numbers = us.__array_namespace__() if hasattr(us, "__array_namespace__") else np
        factor = numbers.asarray(self.values)
        sums = (us / self.scale, weight_bytes, activation_bytes)
        for axis, octaves in enumerate(_octaves(*sums, self.core, numbers)):
            size = self.values.shape[axis]
            at = numbers.clip((octaves - self.lowest[axis]) * _STEPS, 0, size - 1)
            # The two corners around it, each by how near it is.
            near = numbers.maximum(1 - numbers.abs(at - numbers.arange(size)), 0)
            factor = numbers.tensordot(near, factor, 1)
        return factor


def bytes_of(layer: Layer, core: Core) -> tuple[int, int]:
    """Returns the bytes of a layer's weights as a kernel holds them, and those it reads and writes else."""
    shape = Shape.of(layer, core)
    # A weight that stands for itself has its place beside it.
    weights = 8 * layer.nonzeros if layer.sparsity else 4 * weights_of(layer)
    return weights, shape.in_bytes + shape.out_bytes


def fit(sums: np.ndarray, us: np.ndarray, doubt: np.ndarray, core: Core) -> Crowding:
    """Fits N networks.

    Args:
        sums: [N, 3], microseconds, bytes of weights, bytes of activations.
        us: [N], what the networks take.
        doubt: [N], relative spread of each.
    """
    octaves = np.stack(_octaves(*sums.T, core), axis=1)
    found = regression.fit(np.ones((len(us), 1)), _places(octaves), us / sums[:, 0], doubt)
    lowest = np.floor(octaves.min(0))
    counts = (np.ceil(octaves.max(0)) - lowest).astype(int) * _STEPS + 1
    axes = [low + np.arange(max(count, 2)) / _STEPS for low, count in zip(lowest, counts, strict=True)]
    corners = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    log_factor, _ = found(np.ones((len(corners), 1)), _places(corners))
    return Crowding(lowest, np.exp(log_factor).reshape([len(axis) for axis in axes]), core)


def none(core: Core) -> Crowding:
    """Returns the factor 1 for all networks."""
    return Crowding(np.zeros(3), np.ones((2, 2, 2)), core)


def _octaves(
    us: Any, weight_bytes: Any, activation_bytes: Any, core: Core, numbers: Any = np
) -> Sequence[Any]:
    return (
        numbers.log2(us),
        numbers.log2(weight_bytes / core.l2_bytes + _LEAST),
        numbers.log2(activation_bytes / core.l2_bytes + _LEAST),
    )


def _places(octaves: np.ndarray) -> np.ndarray:
    rate = octaves[:, 1] - octaves[:, 0]
    return np.column_stack([_OCTAVE * octaves, _RATE * rate])
