"""Stages of a run: a search by the scores of a supernet, or one that trains every candidate.

Both are for a predicted latency, the budget, so that they can go on for another one when it was off.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np

from sparsenas import candidates
from sparsenas.believed import recommended
from sparsenas.candidates import Context
from sparsenas.cluster.crew import Crew
from sparsenas.errors import UserError
from sparsenas.finalists import so_far
from sparsenas.latency.space_latency import SpaceLatency
from sparsenas.progress import Update, Watch
from sparsenas.search import search
from sparsenas.search_ahead import highest_rungs, search_ahead
from sparsenas.search_settings import SearchSettings, choose_aim, choose_reward
from sparsenas.space import Arch, Space
from sparsenas.strategies.catalog import SOFT, Factory, make
from sparsenas.strategies.halving import Schedule
from sparsenas.train import Evaluator
from sparsenas.trials import Trial, TrialLog


def search_with_scores(
    settings: SearchSettings,
    space: Space,
    latency: SpaceLatency,
    factory: Factory,
    score: Evaluator,
    log: TrialLog,
    count: int,
    budget_ms: float,
    update: Update,
) -> list[Trial]:
    """Returns the trials when there are `count` of them, in a search for that predicted latency."""
    target_ms = budget_ms / (1 - settings.margin)
    aim = choose_aim(settings, space, latency, target_ms)

    def evaluate(archs: Sequence[Arch]) -> list[dict[str, float]]:
        found = aim.costs.metrics(archs)
        # What costs nothing to know comes first; what it rules out is not evaluated.
        over = aim.costs.excess(np.array(archs)) > 0
        admitted = [i for i in range(len(archs)) if settings.strategy in SOFT or not over[i]]
        if admitted:
            scores = score([archs[i] for i in admitted])
            for i, accuracy in zip(admitted, scores, strict=True):
                found[i]["accuracy"] = float(accuracy)
        return found

    trials: list[Trial] = []
    for trials in search(
        space,
        make(settings.strategy, factory, space, aim),
        choose_reward(settings, target_ms),
        evaluate,
        log,
        trials=count,
        batch=settings.batch,
        seed=settings.seed,
    ):
        update(len(trials), count, so_far(trials, target_ms))
    return trials


def search_by_training(
    settings: SearchSettings,
    context: Context,
    latency: SpaceLatency,
    factory: Factory,
    log: TrialLog,
    crew: Crew,
    digest: str,
    count: int,
    budget_ms: float,
    watch: Watch,
) -> list[Trial]:
    """Returns the trials when there are `count` of them, in a search for that predicted latency."""
    space, rungs = context.space, settings.candidate.steps_of_rungs
    target_ms = budget_ms / (1 - settings.margin)
    aim = choose_aim(settings, space, latency, target_ms)
    trials: list[Trial] = []
    shown = 0.0
    for trials in search_ahead(
        space,
        make(settings.strategy, factory, space, aim),
        choose_reward(settings, target_ms),
        crew,
        lambda arch: candidates.candidate_spec(context, arch, data=digest),
        log,
        trials=count,
        ahead=settings.ahead,
        seed=settings.seed,
        plan=Schedule(rungs, settings.candidate.reduction) if len(rungs) > 1 else None,
        beside=lambda arch: aim.costs.metrics([arch])[0],
        admits=lambda arch: settings.strategy in SOFT or not aim.costs.excess(np.array([arch]))[0] > 0,
    ):
        # To look at all of them whenever one finishes would take longer than the search.
        if time.monotonic() - shown < 1 and len(trials) > settings.ahead:
            continue
        shown = time.monotonic()
        finished = sum(trial.state != "open" for trial in trials)
        watch(finished, count, so_far(trials, target_ms), crew.status())
    found = highest_rungs(trials)
    if not found:
        first = next(trial.error for trial in trials)
        raise UserError(f"All of {len(trials)} candidates were given up; the first: {first}.")
    return found


def unwatched(look: Callable[[float, Watch], list[Trial]], budget_ms: float, update: Update) -> list[Trial]:
    """Searches with less progress to look at."""
    return look(budget_ms, lambda done, total, note, status: update(done, total, note))


def recommend(
    settings: SearchSettings,
    space: Space,
    latency: SpaceLatency,
    factory: Factory,
    trials: Sequence[Trial],
    budget_ms: float,
) -> list[str] | None:
    """Returns what the strategy recommends after some trials; None where it was told less than is known."""
    if settings.evaluate == "train" and settings.candidate.rungs > 1:
        return None
    target_ms = budget_ms / (1 - settings.margin)
    strategy = make(settings.strategy, factory, space, choose_aim(settings, space, latency, target_ms))
    return recommended(space, strategy, choose_reward(settings, target_ms), trials)
