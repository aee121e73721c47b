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


def frequencies(space: Space, archs: Sequence[Arch]) -> Probabilities:
    """Returns how often each option occurs: what a population believes.

    An architecture counts for the choices that its layers depend on. All options of a choice are alike where
    none counts.
    """
    counts = [np.zeros(size) for size in sizes_of(space)]
    for arch in archs:
        for choice in space.used_choices(arch):
            counts[choice][arch[choice]] += 1
    return tuple(one / one.sum() if one.any() else np.full(len(one), 1 / len(one)) for one in counts)


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
