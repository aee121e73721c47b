"""Many architectures at once, as integer arrays [N, choices], for strategies that score thousands."""

from collections.abc import Sequence

import numpy as np

from sparsenas.space import Arch, Space
from sparsenas.strategies.base import Probabilities


def sizes_of(space: Space) -> np.ndarray:
    """Returns how many options each choice has: [choices]."""
    return np.array([len(choice.options) for choice in space.choices], int)


def all_archs(sizes: np.ndarray) -> np.ndarray:
    """Returns every combination of options, the last choice changing fastest."""
    return np.indices(tuple(sizes)).reshape(len(sizes), -1).T


def random_archs(rng: np.random.Generator, sizes: np.ndarray, count: int) -> np.ndarray:
    """Draws every choice uniformly."""
    return rng.integers(sizes, size=(count, len(sizes)))


def frequencies(sizes: np.ndarray, archs: Sequence[Arch]) -> Probabilities:
    """Returns how often each option occurs: what a population believes. All options alike where it is empty.

    >>> [part.tolist() for part in frequencies(np.array([2, 2]), [(0, 1), (1, 1)])]
    [[0.5, 0.5], [0.0, 1.0]]
    """
    if not archs:
        return tuple(np.full(size, 1 / size) for size in sizes)
    columns = np.array(archs).T
    pairs = zip(columns, sizes, strict=True)
    return tuple(np.bincount(column, minlength=size) / len(archs) for column, size in pairs)


def mutants(rng: np.random.Generator, sizes: np.ndarray, parents: np.ndarray, count: int) -> np.ndarray:
    """Returns mutations of random parents: in each one choice is changed, or two, or three."""
    children = parents[rng.integers(len(parents), size=count)]
    for _ in range(3):
        changed = rng.integers(len(sizes), size=count)
        # The first choice always changes, each further one in half of those that are left.
        rows = np.arange(count)
        before = children[rows, changed]
        steps = 1 + (rng.random(count) * (sizes[changed] - 1)).astype(int)
        children[rows, changed] = np.where(sizes[changed] > 1, (before + steps) % sizes[changed], before)
        count = int(rng.binomial(count, 0.5))
    return children
