"""The kernel patterns that trained weights have by themselves.

A kernel's natural pattern is its centre with its three largest other entries; the patterns that most kernels
have make the set (Niu et al., 2020, https://arxiv.org/abs/2001.00138). Without weights to learn from, four
will do whose mean is a smoothed Laplacian (`LAPLACIAN`; Ma et al., 2020, https://arxiv.org/abs/1909.05073).
"""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from sparsenas.errors import UserError
from sparsenas.sparsity.patterns import TEES, KernelPattern

LAPLACIAN = KernelPattern(patterns=TEES)
"""Centre and three of four sides: on average the centre once and each side with 3/4."""

MOST = 56
"""Ways to choose three of eight entries."""


def natural_patterns(weights: Iterable[np.ndarray], *, count: int = 8) -> KernelPattern:
    """Returns the most frequent natural patterns, the lower positions first among equally frequent ones.

    Args:
        weights: [D, C, 3, 3] of each layer; kernels that are all 0 have no say.
        count: how many patterns, fewer where the weights have no more.

    Raises:
        UserError: where there are no 3x3 kernels to learn from.
    """
    if not 1 <= count <= MOST:
        raise UserError(f"`count` of kernel patterns must be from 1 to {MOST}, found {count}.")
    frequency: Counter[tuple[int, ...]] = Counter()
    for weight in weights:
        if weight.shape[2:] != (3, 3):
            raise UserError(
                f"Kernel patterns are learned from weights [D, C, 3, 3], found {list(weight.shape)}."
            )
        frequency.update(map(tuple, natural(weight).tolist()))
    if not frequency:
        raise UserError("Expected 3x3 kernels to learn patterns from, found none that is not 0.")
    ordered = sorted(frequency, key=lambda pattern: (-frequency[pattern], pattern))
    return KernelPattern(patterns=tuple(ordered[:count]))


def natural(weight: np.ndarray) -> np.ndarray:
    """Returns the natural pattern of each kernel that is not all 0: int [kernels, 4], ascending positions."""
    magnitudes = np.abs(weight.reshape(-1, KernelPattern.window))
    magnitudes = magnitudes[magnitudes.any(1)].astype(np.float64)
    magnitudes[:, KernelPattern.window // 2] = np.inf
    order = np.argsort(-magnitudes, axis=1, kind="stable")
    return np.sort(order[:, : KernelPattern.entries], axis=1)
