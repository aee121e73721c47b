"""What a strategy believed over time, found by telling it the log of a search again."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from sparsenas.space import Arch, Space
from sparsenas.strategies.base import Probabilities, Result, Strategy


class Trace(NamedTuple):
    """Probabilities after some numbers of trials.

    Attributes:
        trials: ascending: [S].
        probabilities: [S, options] of each choice.
    """

    trials: tuple[int, ...]
    probabilities: Probabilities


def trace(strategy: Strategy, told: Iterable[tuple[Arch, Result]], *, points: int = 100) -> Trace | None:
    """Returns what a strategy with probabilities believed; None for others.

    Args:
        told: all results of a search, in order.
        points: about as many times are noted, evenly spaced, the first and the last among them.
    """
    if strategy.probabilities is None:
        return None
    told = list(told)
    noted = set(np.linspace(0, len(told), min(points, len(told) + 1)).round().astype(int).tolist())
    state = strategy.init()
    found = [strategy.probabilities(state)]
    for number, (arch, result) in enumerate(told, 1):
        state = strategy.tell(state, arch, result)
        if number in noted:
            found.append(strategy.probabilities(state))
    return Trace(tuple(sorted(noted)), tuple(map(np.stack, zip(*found, strict=True))))


def decided_early(
    space: Space, beliefs: Trace, *, within: float = 0.5, certainty: float = 0.98
) -> dict[str, int]:
    """Returns the choices that a search decided too early to have compared their options.

    Args:
        within: part of the search in which a decision is early.
        certainty: probability of one option that is a decision, if it is that certain until the end.

    Returns:
        By the choice's name the trials after which it stayed decided.
    """
    found = {}
    for choice, probabilities in zip(space.choices, beliefs.probabilities, strict=True):
        since = _settled(probabilities, certainty)
        if len(choice.options) > 1 and since is not None:
            trials = beliefs.trials[since]
            if trials < within * beliefs.trials[-1]:
                found[choice.name] = trials
    return found


def _settled(probabilities: np.ndarray, certainty: float) -> int | None:
    """Returns from which row on the last row's most probable option is certain; None where it is not."""
    option = int(probabilities[-1].argmax())
    uncertain = np.flatnonzero(probabilities[:, option] < certainty)
    if not len(uncertain):
        return 0
    return int(uncertain[-1]) + 1 if uncertain[-1] + 1 < len(probabilities) else None


def described(early: dict[str, int], trials: Sequence[int]) -> str:
    """Returns a warning for people, "" where there is nothing to say.

    >>> described({"width": 12}, (0, 50, 100))
    'decided early: width after 12 of 100 trials; search longer or with a lower learning rate'
    """
    if not early:
        return ""
    each = ", ".join(f"{name} after {count}" for name, count in early.items())
    return f"decided early: {each} of {trials[-1]} trials; search longer or with a lower learning rate"
