"""Which trials deserve longer training: successive halving (Jamieson and Talwalkar, 2016,
https://arxiv.org/abs/1502.07943) and its asynchronous form, ASHA (Li et al., 2020,
https://arxiv.org/abs/1810.05934).

A schedule has rungs, each with a number of steps. A trial trains to the first rung; the best `1 / reduction`
of a rung train on to the next. Everything here is a pure function of what rungs have found, so that whoever
replays the same results decides the same.
"""

from collections.abc import Collection, Mapping, Sequence
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


def promote(plan: Schedule, found: Sequence[Rung], promoted: Sequence[Collection[int]]) -> Promotion | None:
    """Returns who trains on when a worker is free; None where it should start a new trial.

    ASHA's rule: from the highest rung down, the best trial that is among the best `1 / reduction` of its rung
    so far and was not promoted from it. Nobody waits for a rung to be full.

    Args:
        found: the scores of every rung, the lowest first.
        promoted: for every rung the trials that were promoted from it, finished on the next one or not.
    """
    for rung in reversed(range(len(plan.rungs) - 1)):
        for number in best(found[rung], len(found[rung]) // plan.reduction):
            if number not in promoted[rung]:
                return Promotion(number, rung + 1)
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
