"""How an overall fraction of zeros is shared out among layers."""

import math
from collections.abc import Sequence

import numpy as np

from sparsenas.errors import UserError
from sparsenas.sparsity.patterns import KernelPattern, NByM, Pattern

MOST = 0.99
"""The highest fraction of zeros of a layer: more would cut it off."""


def bounds(pattern: Pattern) -> tuple[float, float]:
    """Returns the lowest and the highest fraction of zeros that a layer of a pattern is given."""
    match pattern:
        case NByM(n=n, m=m):
            return 1 - n / m, 1 - n / m
        case KernelPattern():
            return pattern.fraction(kernels=1), MOST
        case _:
            return 0.0, MOST


def uniform(shapes: Sequence[Sequence[int]], fraction: float, patterns: Sequence[Pattern]) -> np.ndarray:
    """Gives every layer the same fraction of zeros, as far as its pattern allows.

    Args:
        shapes: of the weights, [D, ...].
        fraction: of zeros of all these weights together.
        patterns: one for each layer.

    Returns:
        float64 [L], such that all zeros together are the fraction of all weights, but for the rounding of
        patterns.

    Raises:
        UserError: where patterns do not allow the fraction.
    """
    return _shared(shapes, fraction, patterns, np.ones(len(shapes)))


def erk(shapes: Sequence[Sequence[int]], fraction: float, patterns: Sequence[Pattern]) -> np.ndarray:
    """Keeps more of small layers: nonzeros grow with the sum of a layer's sides, not with their product.

    Erdos-Renyi kernel (Evci et al., 2020, https://arxiv.org/abs/1911.11134; Mocanu et al., 2018,
    https://arxiv.org/abs/1707.04780): 1 - fraction is proportional to

        (D + C + k + k) / (D * C * k * k)

    but never above 1. Arguments and result are those of `uniform`.
    """
    return _shared(
        shapes, fraction, patterns, np.array([sum(shape) / math.prod(shape) for shape in shapes], np.float64)
    )


def _shared(
    shapes: Sequence[Sequence[int]], fraction: float, patterns: Sequence[Pattern], density: np.ndarray
) -> np.ndarray:
    """Scales densities to the budget, each within the bounds of its pattern."""
    check_fraction(fraction)
    sizes = np.array([math.prod(shape) for shape in shapes], np.float64)
    if not len(sizes):
        raise UserError("Expected at least one layer that may have zeros, found none.")
    low, high = 1 - np.array([bounds(pattern)[::-1] for pattern in patterns], np.float64).T
    budget = (1 - fraction) * sizes.sum()
    if not low @ sizes - 1e-6 <= budget <= high @ sizes + 1e-6:
        raise UserError(
            "The patterns of these layers leave a fraction of zeros from "
            f"{1 - high @ sizes / sizes.sum():.4f} to {1 - low @ sizes / sizes.sum():.4f} of their weights, "
            f"found {fraction:g}."
        )

    def kept(scale: float) -> np.ndarray:
        return np.clip(scale * density, low, high)

    # What is kept grows with the scale; halving the interval finds the one that keeps the budget.
    few, many = 0.0, (1 / density).max()
    for _ in range(200):
        scale = (few + many) / 2
        few, many = (scale, many) if kept(scale) @ sizes < budget else (few, scale)
    return 1 - kept(many)


def check_fraction(fraction: float) -> None:
    """Raises `UserError` unless a fraction of zeros leaves some weights and takes some."""
    if not 0 < fraction < 1:
        raise UserError(
            f"A fraction of zeros must be above 0 and below 1, found {fraction:g}; at 1 nothing would be "
            "left, and without zeros a network is dense."
        )
