"""The last stage of a search: finalists are trained from scratch and measured, and one of them wins.

Where predicted latencies turn out to be off, the budget is centred anew by what was measured, and finalists
are chosen for it again.
"""

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sparsenas.candidates import Candidate, Trained
from sparsenas.data import Data
from sparsenas.finalists import (
    Measured,
    choose_finalists,
    choose_winner,
    measure_finalists,
    most_accurate,
)
from sparsenas.latency.model import LatencyModel
from sparsenas.search_settings import SearchSettings
from sparsenas.space import Arch, Space
from sparsenas.trials import Trial

# How often the budget is centred anew at most.
_ROUNDS = 2
# Part of the target that is kept free for differences between networks once the error is known.
_SPARE = 0.01


@dataclass(frozen=True, kw_only=True, eq=False)
class Final:
    """What the last stage found.

    Attributes:
        trials: with those that were added when the budget was centred anew.
        dense: the winner's dense twin.
        baselines: by name.
        note: how far predictions were off and what followed, for people.
    """

    trials: Sequence[Trial]
    finalists: Sequence[Measured]
    best: Measured
    dense: Trained
    baselines: Mapping[str, Measured]
    note: str


def finals(
    settings: SearchSettings,
    space: Space,
    data: Data,
    table: LatencyModel,
    trials: Sequence[Trial],
    *,
    target_ms: float,
    train_all: Callable[[Sequence[Candidate]], dict[Candidate, Trained]],
    search_again: Callable[[float], Sequence[Trial]],
    baselines: Mapping[str, Arch],
    recommend: Callable[[Sequence[Trial], float], Sequence[str] | None] = lambda trials, budget_ms: None,
) -> Final:
    """Trains and measures finalists, their dense twins and baselines.

    Args:
        target_ms: what is to be met when measured.
        train_all: candidates to what they became.
        search_again: predicted milliseconds to all trials, after a search for networks that take so many.
        baselines: by name.
        recommend: of trials, those architectures that are held for the best within so many predicted
            milliseconds, the best first; None where their results say all.
    """
    budget_ms = target_ms * (1 - settings.margin)
    count = settings.finalists

    def jobs_of(trials: Sequence[Trial]) -> list[Candidate]:
        return [Candidate(arch=space.parse(trial.arch)) for trial in trials]

    recommended = recommend(trials, budget_ms)
    jobs = jobs_of(choose_finalists(trials, target_ms=budget_ms, count=count, recommended=recommended))
    others = {name: Candidate(arch=arch) for name, arch in baselines.items()}
    trained = train_all(list(dict.fromkeys([*jobs[:-1], *others.values()])))
    # The twin of the best so far trains beside the last one; another winner's comes after.
    favourite = max((trained[job] for job in jobs[:-1]), key=lambda one: one.accuracy, default=None)
    twins = [dataclasses.replace(favourite.candidate, dense=True)] if favourite else []
    trained |= train_all([*jobs[-1:], *twins])

    def measured() -> list[Measured]:
        wanted = [*jobs, *others.values()]
        return measure_finalists(settings, space, data, table, [trained[job] for job in wanted])

    found, note = measured(), ""
    for _ in range(_ROUNDS):
        centre = recentred(found[: len(jobs)], budget_ms, target_ms=target_ms, margin=settings.margin)
        if centre is None:
            break
        budget_ms = centre
        trials = search_again(centre)
        recommended = recommend(trials, centre)
        fresh = jobs_of(most_accurate(trials, target_ms=centre, count=count, recommended=recommended))
        fresh = [job for job in fresh if job not in jobs]
        note = f"; prediction {1 / off(found[: len(jobs)]) - 1:+.1%} off, budget now {centre:.4f} ms"
        if not fresh:
            break
        trained |= train_all(fresh)
        jobs += fresh
        found = measured()
    finalists = found[: len(jobs)]
    best = choose_winner(finalists, target_ms=target_ms)
    twin = dataclasses.replace(best.trained.candidate, dense=True)
    return Final(
        trials=trials,
        finalists=finalists,
        best=best,
        dense=trained[twin] if twin in trained else train_all([twin])[twin],
        baselines=dict(zip(others, found[len(jobs) :], strict=True)),
        note=note,
    )


def off(finalists: Sequence[Measured]) -> float:
    """Returns measured over predicted latency, the median over finalists."""
    return statistics.median(one.latency_ms / one.latency_ms_predicted for one in finalists)


def recentred(
    finalists: Sequence[Measured], budget_ms: float, *, target_ms: float, margin: float
) -> float | None:
    """Returns the predicted latency at which networks are measured closely under the target.

    None where the budget is right already: networks predicted to take all of it would be measured within
    the target, and not faster than the target less twice the margin.
    """
    expected_ms = budget_ms * off(finalists)
    if (1 - 2 * max(margin, _SPARE)) * target_ms <= expected_ms <= target_ms:
        return None
    return (1 - _SPARE) * target_ms / off(finalists)
