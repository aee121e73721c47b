"""A layer's time over its nonzeros: what was measured, what is interpolated, and never falling."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sparsenas.latency.table import Measurement

# Fractions of weights held at which a curve is computed; between them it is a line in both logarithms.
_DENSITIES = np.geomspace(1 / 128, 1, 22)

Model = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Weights held [N] -> logarithm of microseconds [N], half width of its interval [N]."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Times over nonzeros of layers that differ in nothing else.

    Attributes:
        held: [K] ascending, logarithms of nonzeros.
        log_us: [K], not falling.
        half: [K], half width of the interval of `log_us`.
    """

    held: np.ndarray
    log_us: np.ndarray
    half: np.ndarray

    def at(self, nonzeros: int) -> tuple[float, float]:
        """Returns the logarithm of microseconds, and half the width of its interval."""
        x = np.log(max(nonzeros, 0.5))
        return float(np.interp(x, self.held, self.log_us)), float(np.interp(x, self.held, self.half))


def curve(weights: int, exact: Sequence[Measurement], model: Model | None) -> Curve:
    """Returns the curve through measurements, and between them the model's as far as they allow.

    Args:
        weights: of the layer without zeros.
        exact: measurements of just these layers.
        model: None where all that will be asked for was measured.
    """
    held = np.array([max(m.layer.nonzeros, 0.5) for m in exact])
    order = np.argsort(held, kind="stable")
    held, us = held[order], np.log([m.us for m in exact])[order] if exact else np.zeros(0)
    half = np.array([np.log(m.high_us / m.low_us) / 2 for m in exact])[order] if exact else np.zeros(0)
    us = never_falling(us)
    if model is None:
        return Curve(np.log(held), us, half)
    between = np.unique(np.maximum(np.round(_DENSITIES * weights), 1))
    between = between[~np.isin(between, held)]
    log_us, wide = model(between)
    log_us = never_falling(log_us)
    # Neither below what fewer nonzeros took nor above what more did.
    at = np.searchsorted(held, between)
    padded = np.concatenate([[-np.inf], us, [np.inf]])
    log_us = np.clip(log_us, padded[at], padded[at + 1])
    every = np.concatenate([held, between])
    order = np.argsort(every, kind="stable")
    return Curve(
        np.log(every[order]),
        np.concatenate([us, log_us])[order],
        np.concatenate([half, wide])[order],
    )


def never_falling(values: np.ndarray) -> np.ndarray:
    """Returns the nearest values (least squares) that do not fall: neighbours that do are averaged.

    Pool adjacent violators (Ayer et al., 1955, https://doi.org/10.1214/aoms/1177728423).

    >>> never_falling(np.array([1.0, 3.0, 2.0, 4.0])).tolist()
    [1.0, 2.5, 2.5, 4.0]
    """
    blocks: list[list[float]] = []
    for value in values:
        blocks.append([float(value), 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            value, count = blocks.pop()
            blocks[-1] = [
                (blocks[-1][0] * blocks[-1][1] + value * count) / (blocks[-1][1] + count),
                blocks[-1][1] + count,
            ]
    return (
        np.repeat([value for value, _ in blocks], [int(count) for _, count in blocks]) if blocks else values
    )
