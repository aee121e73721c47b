"""The search loop where evaluations take long: many at once, told in the order of their numbers.

Which architecture proposal n is follows from the results of the proposals up to n - `ahead`, and of no
others, even where more are known by then. So the sequence is the same for any number of workers, whoever
finishes first; and up to `ahead` candidates are worked on at once.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from sparsenas.cluster.crew import Crew, Job
from sparsenas.cluster.points import reach
from sparsenas.reward import Reward
from sparsenas.search import RETRIES
from sparsenas.space import Arch, Space
from sparsenas.strategies.base import Result, Strategy
from sparsenas.strategies.halving import Ladder, Schedule
from sparsenas.trials import Trial, TrialLog, candidate_id


def search_ahead(
    space: Space,
    strategy: Strategy,
    reward: Reward,
    crew: Crew,
    spec_of: Callable[[Arch], Mapping[str, Any]],
    log: TrialLog,
    *,
    trials: int,
    ahead: int,
    seed: int,
    plan: Schedule | None = None,
    beside: Callable[[Arch], Mapping[str, float]] = lambda arch: {},
    admits: Callable[[Arch], bool] = lambda arch: True,
) -> Iterator[list[Trial]]:
    """Yields all trials so far when some finished or a second has passed, until there are `trials` of them.

    A candidate that was given up is told to nobody. With several rungs the strategy is told what the lowest
    one found.

    Args:
        spec_of: all that determines the result of an architecture.
        log: holds the trials of an earlier start, if there was one; what it misses is done first. Those after
            the first `trials`, of a search that went on with something else, are left alone.
        ahead: proposals that are made before the result of the first of them is known.
        plan: steps of rungs, where the best are trained on.
        beside: metrics of an architecture that need no training.
        admits: whether an architecture is worth training; of others nothing else is known.
    """
    state, told = strategy.init(), 0
    rows: list[Trial] = []
    first: dict[Arch, int] = {}
    waiting: dict[tuple[str, int], list[int]] = {}
    ladder = None if plan is None else Ladder(plan)

    def add(trial: Trial) -> None:
        """Takes a proposal, new or of the log."""
        arch = space.parse(trial.arch)
        first.setdefault(arch, trial.number)
        if trial.rung:
            ladder.promoted(first[arch], trial.rung)
        spec = spec_of(arch) if trial.state == "open" else None
        rows.append(trial)
        if spec is None:
            return
        candidate = candidate_id(spec)
        if not admits(arch):
            log.finish(candidate, trial.rung, metrics=beside(arch))
            rows[-1] = Trial(trial.number, trial.arch, dict(beside(arch)), trial.rung)
            return
        key = candidate, trial.rung
        waiting.setdefault(key, []).append(trial.number)
        if len(waiting[key]) == 1:
            crew.submit(
                Job(
                    candidate=candidate,
                    rung=trial.rung,
                    spec={**spec, "rung": trial.rung},
                    start=trial.rung - 1 if trial.rung else None,
                    beside=beside(arch),
                )
            )

    def tell(trial: Trial) -> None:
        nonlocal state
        if trial.metrics is None:
            return
        arch = space.parse(trial.arch)
        value = reward(trial.metrics)
        if ladder is not None and "accuracy" in trial.metrics:
            ladder.found(first[arch], trial.rung, value)
        if not trial.rung:
            state = strategy.tell(state, arch, Result(value, trial.metrics))

    def propose(number: int) -> tuple[Arch, int]:
        """Returns who trains on, or a new architecture that knows what is under way."""
        if ladder is not None and (promotion := ladder.next()) is not None:
            return space.parse(rows[promotion.number].arch), promotion.rung
        expecting = state
        for trial in rows[told:number]:
            if not trial.rung:
                expecting = strategy.expect(expecting, space.parse(trial.arch))
        rng = np.random.default_rng((seed, number))
        for _ in range(RETRIES):
            arch = strategy.ask(expecting, rng)
            if arch not in first:
                break
        return arch, 0

    for trial in islice(log, trials):
        add(trial)
    while True:
        while (number := len(rows)) < trials:
            needed = max(number - ahead + 1, 0)
            while told < needed and rows[told].state != "open":
                tell(rows[told])
                told += 1
            if told < needed:
                break
            arch, rung = propose(number)
            text = space.text(arch)
            candidate = candidate_id(spec_of(arch))
            log.propose([text], rungs=[rung], candidates=[candidate])
            reach("proposed", f"{candidate}-{rung}")
            add(Trial(number, text, None, rung))
        if not waiting:
            yield rows
            return
        for one in crew.finished():
            for number in waiting.pop((one.job.candidate, one.job.rung), ()):
                rows[number] = Trial(number, rows[number].arch, one.metrics, one.job.rung, one.error)
        yield rows


def highest_rungs(trials: list[Trial]) -> list[Trial]:
    """Returns the trials that have a result, of each architecture the one that trained the longest."""
    best: dict[str, Trial] = {}
    for trial in trials:
        if trial.metrics is not None and (trial.arch not in best or trial.rung > best[trial.arch].rung):
            best[trial.arch] = trial
    return sorted(best.values(), key=lambda trial: trial.number)
