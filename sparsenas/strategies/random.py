"""Random search, the baseline (Li and Talwalkar, 2019, https://arxiv.org/abs/1902.07638)."""

import numpy as np

from sparsenas.space import Arch, Space
from sparsenas.strategies.base import Result, Strategy


def random(space: Space) -> Strategy:
    """Draws every architecture uniformly, whatever was told."""

    def init() -> None:
        return None

    def ask(state: None, rng: np.random.Generator) -> Arch:
        return space.sample(rng)

    def tell(state: None, arch: Arch, result: Result) -> None:
        return None

    return Strategy(init, ask, tell)
