"""Keeps a strategy to architectures that a cheap constraint admits."""

from collections.abc import Callable

import numpy as np

from sparsenas.space import Arch
from sparsenas.strategies.base import State, Strategy


def admitted(strategy: Strategy, admits: Callable[[Arch], bool], *, tries: int = 200) -> Strategy:
    """Asks a strategy again while it proposes what is not admitted.

    So nothing is evaluated for accuracy that its latency, which costs nothing to predict, rules out already.
    After so many tries the last proposal stands; whoever evaluates it may refuse it.
    """
    if tries < 1:
        raise ValueError(f"`tries` ({tries}) must be at least 1.")

    def ask(state: State, rng: np.random.Generator) -> Arch:
        for _ in range(tries):
            arch = strategy.ask(state, rng)
            if admits(arch):
                break
        return arch

    return strategy._replace(ask=ask)
