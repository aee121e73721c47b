"""Which trials deserve longer training: successive halving (Jamieson and Talwalkar, 2016,
https://arxiv.org/abs/1502.07943) and its asynchronous form, ASHA (Li et al., 2020,
https://arxiv.org/abs/1810.05934).

A schedule has rungs, each with a number of steps. A trial trains to the first rung; the best `1 / reduction`
of a rung train on to the next. All follows from what rungs have found, so that whoever replays the same
results decides the same.
"""

from bisect import bisect_left, insort
from collections.abc import Mapping
from typing import NamedTuple

Rung = Mapping[int, float]
"""Scores by the number of the trial, larger is better, in the order in which they came in."""


class Schedule(NamedTuple):
    """How long trials train.

    Attributes:
        rungs: steps from the beginning, ascending.
        reduction: of so many trials of a rung one goes on, the papers' eta.
    """

    rungs: tuple[int, ...]
    reduction: int


class Promotion(NamedTuple):
    """A trial that is to train on, to the steps of `rung`."""

    number: int
    rung: int


def schedule(*, least: int, most: int, reduction: int = 4) -> Schedule:
    """Returns rungs that grow by `reduction` from `least` steps until `most`, which is the last one.

    >>> schedule(least=10, most=200, reduction=4).rungs
    (10, 40, 160, 200)
    """
    if not 1 <= least <= most:
        raise ValueError(f"`least` ({least}) must be from 1 to `most` ({most}).")
    if reduction < 2:
        raise ValueError(f"`reduction` ({reduction}) must be at least 2.")
    rungs = [least]
    while rungs[-1] * reduction < most:
        rungs.append(rungs[-1] * reduction)
    return Schedule((*rungs, most) if rungs[-1] < most else tuple(rungs), reduction)


def best(rung: Rung, count: int) -> list[int]:
    """Returns the trials with the highest scores, the best first; of equal ones the lower number."""
    return sorted(rung, key=lambda number: (-rung[number], number))[:count]


class Ladder:
    """Who trains on when a worker is free, by ASHA's rule; nobody waits for a rung to be full.

    Results come one by one, and a decision looks at no more than the best that was not promoted.
    """

    def __init__(self, plan: Schedule) -> None:
        self._plan = plan
        # Of each rung (-score, number), the best first: of all, and of those that were not promoted from it.
        self._ranked: list[list[tuple[float, int]]] = [[] for _ in plan.rungs]
        self._left: list[list[tuple[float, int]]] = [[] for _ in plan.rungs]
        self._scores: list[dict[int, float]] = [{} for _ in plan.rungs]
        self._promoted: list[set[int]] = [set() for _ in plan.rungs]

    def found(self, number: int, rung: int, score: float) -> None:
        """Takes the score of a trial on a rung; larger is better. The first one counts."""
        if number in self._scores[rung]:
            return
        self._scores[rung][number] = score
        insort(self._ranked[rung], (-score, number))
        if number not in self._promoted[rung]:
            insort(self._left[rung], (-score, number))

    def promoted(self, number: int, rung: int) -> None:
        """Takes that a trial trains on to a rung, also before its score on the one below is known."""
        below = rung - 1
        if number in self._promoted[below]:
            return
        self._promoted[below].add(number)
        if number in self._scores[below]:
            place = (-self._scores[below][number], number)
            del self._left[below][bisect_left(self._left[below], place)]

    def next(self) -> Promotion | None:
        """Returns who trains on; None where a worker should start a new trial.

        From the highest rung down, the best trial that is among the best `1 / reduction` of its rung so far
        and was not promoted from it; of equal ones the lower number.
        """
        for rung in reversed(range(len(self._plan.rungs) - 1)):
            if not self._left[rung]:
                continue
            ranked, best_left = self._ranked[rung], self._left[rung][0]
            if bisect_left(ranked, best_left) < len(ranked) // self._plan.reduction:
                return Promotion(best_left[1], rung + 1)
        return None


def survivors(plan: Schedule, rung: Rung) -> list[int]:
    """Returns who trains on once all of a rung are done, the best first: at least one.

    Synchronous successive halving, for trials that train side by side.
    """
    return best(rung, max(1, len(rung) // plan.reduction))


def budget(plan: Schedule, trials: int) -> int:
    """Returns the steps that so many trials take together with synchronous halving.

    >>> budget(schedule(least=10, most=160), trials=16)
    400
    """
    total, before = 0, 0
    for steps in plan.rungs:
        total += trials * (steps - before)
        before, trials = steps, max(1, trials // plan.reduction)
    return total
