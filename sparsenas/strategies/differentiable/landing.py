"""From probabilities to architectures that meet a latency target, without training.

Rounding every choice to its most probable option may miss the target. Choices are independent, so that
architectures can be listed in the order of their probability; the first within the target and at most a
few percent below it is the most probable one of all that are. Where the beliefs lie far from the target that
list is too long. Then the logits are tilted, logit - price * (what the option takes more than others), so
that their best option meets the target, and the list starts there.
"""

import heapq
import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from sparsenas.errors import UserError
from sparsenas.space import Arch, Space

Latency = Callable[[np.ndarray], np.ndarray]
"""Milliseconds [N] of architectures, an integer array [N, choices]."""

# Architectures looked at in one order before another is tried.
_LISTED = 20_000
_CHUNK = 1_000
# How far below the target is accepted in turn, where nothing is closer.
_WINDOWS = (0.03, 0.06, 0.12, 0.25, 0.5, 1.0)
_BISECTIONS = 40


def land(
    space: Space,
    probabilities: Sequence[np.ndarray],
    latency: Latency,
    *,
    target_ms: float,
    count: int = 1,
) -> list[Arch]:
    """Returns the most probable architectures that meet a target closely, the most probable first.

    Each takes at most `target_ms` and, where the search finds such, more than 97% of it.

    Args:
        probabilities: [options] of each choice.
        count: how many distinct networks at most.

    Raises:
        UserError: where no architecture that was found meets the target.
    """
    logs = [np.log(np.maximum(one.astype(np.float64), 1e-30)) for one in probabilities]
    # The second order gives nothing new where the first one has seen all or found enough.
    seen: dict[Arch, float] = {}
    for scores in (logs, _tilted(logs, latency, target_ms)):
        listed = itertools.islice(ordered(scores), _LISTED)
        while chunk := list(itertools.islice(listed, _CHUNK)):
            for arch, ms in zip(chunk, latency(np.array(chunk)), strict=True):
                if ms <= target_ms:
                    seen.setdefault(space.canonical(arch), float(ms))
            if len(_within(seen, target_ms, _WINDOWS[0])) >= count:
                return _best(space, seen, logs, target_ms, count)
    if not seen:
        raise UserError(
            f"No architecture of space {space.name!r} that the search believes in meets {target_ms:.4f} ms; "
            "search longer, or for a higher --target-ms."
        )
    return _best(space, seen, logs, target_ms, count)


def ordered(scores: Sequence[np.ndarray]) -> Iterator[Arch]:
    """Yields all combinations of options, those with the largest sum of scores first.

    Each combination comes from exactly one other one, so that none is met twice: its last choice that is
    not at the best option goes one on, or a later choice leaves it.

    >>> list(ordered([np.array([0.0, -1.0]), np.array([-3.0, 0.0])]))
    [(0, 1), (1, 1), (0, 0), (1, 0)]
    """
    ranked = [np.argsort(-one, kind="stable") for one in scores]
    # What it costs to take the next option of each choice: [options] from 0 up.
    costs = [one[order[0]] - one[order] for one, order in zip(scores, ranked, strict=True)]
    n = len(scores)
    # Cost, places of options, the last choice that was moved.
    queue: list[tuple[float, tuple[int, ...], int]] = [(0.0, (0,) * n, -1)]
    while queue:
        cost, places, last = heapq.heappop(queue)
        yield tuple(int(order[place]) for order, place in zip(ranked, places, strict=True))
        for i in range(max(last, 0), n):
            place = places[i] + 1
            if place < len(costs[i]):
                moved = cost - costs[i][place - 1] + costs[i][place]
                heapq.heappush(queue, (float(moved), (*places[:i], place, *places[i + 1 :]), i))


def _tilted(logs: Sequence[np.ndarray], latency: Latency, target_ms: float) -> list[np.ndarray]:
    """Returns scores whose best architecture is about as fast as the target asks."""
    best = np.array([int(one.argmax()) for one in logs])
    extra = []
    for i, one in enumerate(logs):
        changed = np.repeat(best[None], len(one), axis=0)
        changed[:, i] = np.arange(len(one))
        ms = latency(changed)
        extra.append((ms - ms.min()) / target_ms)

    def tilted(price: float) -> list[np.ndarray]:
        return [one - price * more for one, more in zip(logs, extra, strict=True)]

    def ms_at(price: float) -> float:
        return float(latency(np.array([[int(one.argmax()) for one in tilted(price)]]))[0])

    too_slow = ms_at(0.0) > target_ms
    # The least price in size at which the target is crossed: below 0 networks are made slower.
    low, high = 0.0, 1e4 if too_slow else -1e4
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if (ms_at(middle) > target_ms) == too_slow:
            low = middle
        else:
            high = middle
    return tilted(high if too_slow else low)


def _within(seen: dict[Arch, float], target_ms: float, window: float) -> list[Arch]:
    return [arch for arch, ms in seen.items() if ms > (1 - window) * target_ms]


def _best(
    space: Space, seen: dict[Arch, float], logs: Sequence[np.ndarray], target_ms: float, count: int
) -> list[Arch]:
    """Returns the most probable ones of the smallest window that has any."""
    found = next(close for window in _WINDOWS if (close := _within(seen, target_ms, window)))

    def log_probability(arch: Arch) -> float:
        # Whatever the choices of absent layers say, it is the same network.
        return float(sum(logs[choice][arch[choice]] for choice in space.used_choices(arch)))

    return sorted(found, key=lambda arch: (-log_probability(arch), arch))[:count]
