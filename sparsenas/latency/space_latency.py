"""Predicted latency of every architecture of a space, as arrays."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsenas.latency.crowding import Crowding
from sparsenas.latency.tabulate import Tabulated
from sparsenas.space import Arch

# Steps towards an extreme; each one that helps is a better architecture, so few are ever made.
_STEPS = 20
# Where they start: what the bytes of weights and of activations may add, as parts of the time.
_STARTS = (-0.5, 0.0, 0.5)
# Relative step of the slopes of crowding.
_STEP = 1e-4


@dataclass(frozen=True, eq=False)
class SpaceLatency:
    """What `LatencyModel.predict` says of all architectures: three sums over layers, and crowding.

    Attributes:
        us: shares of the layers in microseconds.
        weight_bytes, activation_bytes: what crowds the caches.
    """

    us: Tabulated
    weight_bytes: Tabulated
    activation_bytes: Tabulated
    crowding: Crowding

    def __call__(self, archs: "Sequence[Arch] | np.ndarray") -> np.ndarray:
        """Returns milliseconds [N] of N architectures; fastest from an integer array [N, choices]."""
        us, weights, activations = (table(archs) for table in self._tables)
        return us * self.crowding(us, weights, activations) / 1e3

    def expected(self, probabilities: Sequence[Any]) -> Any:
        """Returns about the expected milliseconds where choices are drawn independently of each other.

        The sums are expected exactly, crowding is that of a network with these sums. For probabilities of 0
        and 1 it is the prediction.

        Args:
            probabilities: [options] of each choice, from NumPy or JAX; differentiable where they are.
        """
        us, weights, activations = (table.expected(probabilities) for table in self._tables)
        return us * self.crowding.at(us, weights, activations) / 1e3

    def lower_bound(self) -> Tabulated:
        """Returns milliseconds that add up over layers, and that no architecture is below."""
        scale = float(self.crowding.values.min()) / 1e3
        return Tabulated(
            scale * self.us.fixed, tuple((scope, scale * values) for scope, values in self.us.terms)
        )

    def least(self, choices: int) -> tuple[Arch, float]:
        """Returns the fastest architecture of a space with that many choices, and its milliseconds.

        Exact but for crowding: the fastest of a few architectures, each the fastest of all by the slopes of
        the prediction where it lies.
        """
        return self._extreme(choices, 1)

    def most(self, choices: int) -> tuple[Arch, float]:
        """Returns the slowest architecture of a space with that many choices, and its milliseconds."""
        return self._extreme(choices, -1)

    @property
    def _tables(self) -> tuple[Tabulated, Tabulated, Tabulated]:
        return self.us, self.weight_bytes, self.activation_bytes

    def _extreme(self, choices: int, sign: int) -> tuple[Arch, float]:
        # From many or few bytes of each kind the ways to an extreme may differ.
        arch, _ = self.us.least(choices)
        sums = np.maximum([float(table([arch])[0]) for table in self._tables], 1)
        starts = [
            np.array([1.0, weights, activations]) * sums[0] / sums
            for weights, activations in itertools.product(_STARTS, repeat=2)
        ]
        ends = [self._descended(choices, sign, slopes) for slopes in starts]
        return min(ends, key=lambda end: sign * end[1])

    def _descended(self, choices: int, sign: int, slopes: np.ndarray) -> tuple[Arch, float]:
        best: tuple[Arch, float] | None = None
        for _ in range(_STEPS):
            terms = tuple(
                (scope, sign * slope * values)
                for table, slope in zip(self._tables, slopes, strict=True)
                for scope, values in table.terms
                if slope
            )
            arch, _ = Tabulated(0.0, terms).least(choices)
            ms = float(self([arch])[0])
            if best is not None and sign * (ms - best[1]) >= 0:
                break
            best = arch, ms
            slopes = self._slopes(arch)
        assert best is not None
        return best

    def _slopes(self, arch: Arch) -> np.ndarray:
        """Returns what each sum adds to the microseconds of an architecture, [3]."""
        sums = np.array([float(table([arch])[0]) for table in self._tables])
        steps = np.maximum(sums, 1) * _STEP
        higher, lower = sums + np.diag(steps), sums - np.diag(steps)
        us = [one[:, 0] * self.crowding(*one.T) for one in (higher, lower)]
        return (us[0] - us[1]) / (2 * steps)
