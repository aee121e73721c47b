"""What every search strategy is: three pure functions over architectures and rewards."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sparsenas.space import Arch

State = Any


class Strategy(NamedTuple):
    """A search strategy. It sees architectures and rewards, nothing else.

    State is never stored: it is rebuilt by telling the results of earlier trials again, in the order
    of their numbers, which is how a search resumes.

    Attributes:
        init: `() -> state`.
        ask: `(state, rng) -> arch`, the next architecture to try.
        tell: `(state, arch, reward) -> state`.
    """

    init: Callable[[], State]
    ask: Callable[[State, np.random.Generator], Arch]
    tell: Callable[[State, Arch, float], State]
