"""The search loop: ask, evaluate, reward, tell."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np

from sparsenas.reward import Reward
from sparsenas.space import Arch, Space
from sparsenas.strategies.base import Result, State, Strategy
from sparsenas.trials import Trial, TrialLog

# A strategy that keeps proposing what is known already is asked this often before its answer is taken.
RETRIES = 20


def search(
    space: Space,
    strategy: Strategy,
    reward: Reward,
    evaluate: Callable[[Sequence[Arch]], Sequence[dict[str, float]]],
    log: TrialLog,
    *,
    trials: int,
    batch: int,
    seed: int,
) -> Iterator[list[Trial]]:
    """Yields the trials of the log as they grow, until there are `trials` of them.

    Proposals come in groups of `batch`, each told before the next is asked; the randomness of a proposal
    depends on `seed` and its number alone. So a run that is stopped and started again, or evaluated by
    another number of workers, goes through the same architectures.

    Args:
        evaluate: gives for each architecture its metrics, among them `accuracy` and `latency_ms`.
        log: holds the trials of an earlier start, if there was one. Those after the first `trials`, of a
            search that went on with something else, are left alone.
    """
    known: dict[Arch, dict[str, float]] = {}

    def complete(group: list[Trial]) -> list[Trial]:
        """Evaluates what has no result yet; nothing is evaluated twice."""
        missing = {space.parse(t.arch): t.number for t in group if t.metrics is None}
        unknown = [arch for arch in missing if arch not in known]
        if unknown:
            known.update(zip(unknown, evaluate(unknown), strict=True))
        results = {t.number: known[space.parse(t.arch)] for t in group if t.metrics is None}
        if results:
            log.record(results)
        return [t if t.metrics is not None else Trial(t.number, t.arch, results[t.number]) for t in group]

    def tell(state: State, group: list[Trial]) -> State:
        for trial in group:
            arch = space.parse(trial.arch)
            known[arch] = trial.metrics
            state = strategy.tell(state, arch, Result(reward(trial.metrics), trial.metrics))
        return state

    state = strategy.init()
    rows = list(islice(log, trials))
    # What an earlier start finished is told at once, and nobody is called for it.
    finished = next((i for i, trial in enumerate(rows) if trial.metrics is None), len(rows)) // batch * batch
    state = tell(state, rows[:finished])
    done, pending = rows[:finished], rows[finished:]
    if done:
        yield done
    while pending or len(done) < trials:
        group, pending = pending[:batch], pending[batch:]
        if not group:
            count = min(batch, trials - len(done))
            archs = _propose(strategy, state, known, seed, range(len(done), len(done) + count))
            numbers = log.propose([space.text(arch) for arch in archs])
            group = [Trial(n, space.text(a), None) for n, a in zip(numbers, archs, strict=True)]
        group = complete(group)
        state = tell(state, group)
        done.extend(group)
        yield done


def _propose(strategy: Strategy, state: State, known: dict, seed: int, numbers: range) -> list[Arch]:
    """Asks for the architectures of some numbers, each knowing that those before it are under way."""
    archs: list[Arch] = []
    for number in numbers:
        rng = np.random.default_rng((seed, number))
        for _ in range(RETRIES):
            arch = strategy.ask(state, rng)
            if arch not in known and arch not in archs:
                break
        archs.append(arch)
        state = strategy.expect(state, arch)
    return archs


def pareto(trials: Sequence[Trial]) -> list[Trial]:
    """Returns the trials that no other beats in accuracy and latency at once, fastest first.

    Those that were not evaluated, as they missed a target, are left out.
    """
    front: list[Trial] = []
    known = [trial for trial in trials if "accuracy" in trial.metrics]
    for trial in sorted(known, key=lambda t: (t.metrics["latency_ms"], -t.metrics["accuracy"], t.number)):
        if not front or trial.metrics["accuracy"] > front[-1].metrics["accuracy"]:
            front.append(trial)
    return front
