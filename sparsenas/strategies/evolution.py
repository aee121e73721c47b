"""Regularized evolution (Real et al., 2019, https://arxiv.org/abs/1802.01548)."""

import numpy as np

from sparsenas.space import Arch, Space
from sparsenas.strategies.base import Probabilities, Result, Strategy
from sparsenas.strategies.pools import frequencies

Population = tuple[tuple[Arch, float], ...]


def regularized_evolution(space: Space, *, population: int = 64, tournament: int = 16) -> Strategy:
    """Samples a tournament from the population and mutates its winner.

    The oldest member leaves when a new one is told, so that a lucky evaluation cannot rule for ever.
    """
    if not 2 <= tournament <= population:
        raise ValueError(
            f"`tournament` ({tournament}) must be at least 2 and at most `population` ({population})."
        )

    def init() -> Population:
        return ()

    def ask(state: Population, rng: np.random.Generator) -> Arch:
        if len(state) < population:
            return space.sample(rng)
        picks = rng.choice(len(state), size=tournament, replace=False)
        parent, _ = max((state[i] for i in picks), key=lambda member: member[1])
        return space.mutate(parent, rng)

    def tell(state: Population, arch: Arch, result: Result) -> Population:
        return (*state, (arch, result.reward))[-population:]

    def probabilities(state: Population) -> Probabilities:
        return frequencies(space, [arch for arch, _ in state])

    return Strategy(init, ask, tell, probabilities=probabilities)
