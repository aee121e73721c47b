"""Keeps a strategy to architectures that meet the constraints which cost nothing to check."""

from collections.abc import Callable

import numpy as np

from sparsenas.space import Arch, Space
from sparsenas.strategies.base import State, Strategy


def admitted(
    strategy: Strategy,
    space: Space,
    excess: Callable[[np.ndarray], np.ndarray],
    *,
    tries: int = 64,
    repairs: int = 256,
) -> Strategy:
    """Asks a strategy again while it proposes what misses a target.

    So nothing is evaluated for accuracy that its latency, predicted for nothing, rules out. Where a target is
    so tight that no try meets it, the closest one is mutated, each time kept if it comes no worse.

    Args:
        excess: [N, choices] to [N], 0 where targets are met, otherwise by how much they are missed.
        tries: proposals.
        repairs: mutations; if none of them meets the target, the closest stands.
    """
    if tries < 1 or repairs < 0:
        raise ValueError(f"`tries` ({tries}) must be at least 1 and `repairs` ({repairs}) at least 0.")

    def over(arch: Arch) -> float:
        return float(excess(np.array([arch]))[0])

    def ask(state: State, rng: np.random.Generator) -> Arch:
        closest, least = None, np.inf
        for attempt in range(tries + repairs):
            arch = strategy.ask(state, rng) if attempt < tries else space.mutate(closest, rng)
            found = over(arch)
            if closest is None or found <= least:
                closest, least = arch, found
            if least <= 0:
                break
        return closest

    return strategy._replace(ask=ask)
