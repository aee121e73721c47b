"""What every search strategy is: pure functions over architectures and what was found about them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sparsenas.space import Arch

State = Any

Probabilities = tuple[np.ndarray, ...]
"""What is believed about each choice: [options] that add up to 1."""


class Result(NamedTuple):
    """What is known about an evaluated architecture.

    Attributes:
        reward: one number, larger is better.
        metrics: what it was made of, by name: `accuracy` (a fraction), `latency_ms`, `macs`, `file_bytes`.
            An architecture that failed a cheap constraint has no `accuracy`.
    """

    reward: float
    metrics: Mapping[str, float]


def _unmoved(state: State, arch: Arch) -> State:
    return state


class Strategy(NamedTuple):
    """A search strategy. It sees architectures and results, nothing else.

    State is never stored: it is rebuilt by telling the results of earlier trials again, in the order
    of their numbers, which is how a search resumes. No function changes a state that it was given.

    Attributes:
        init: `() -> state`.
        ask: `(state, rng) -> arch`, the next architecture to try.
        tell: `(state, arch, result) -> state`.
        expect: `(state, arch) -> state`, the state to ask while an architecture is being evaluated. Its
            result is told to the state from before, so that nothing has to be taken back.
        probabilities: `(state) -> probabilities`, for strategies that have them: what the report draws.
        recommend: `(state) -> archs`, told architectures, those that are held for the best first, for
            strategies that know better than the highest reward, which a lucky evaluation may have.
    """

    init: Callable[[], State]
    ask: Callable[[State, np.random.Generator], Arch]
    tell: Callable[[State, Arch, Result], State]
    expect: Callable[[State, Arch], State] = _unmoved
    probabilities: Callable[[State], Probabilities] | None = None
    recommend: Callable[[State], Sequence[Arch]] | None = None
