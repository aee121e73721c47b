"""How long a search itself takes: proposing, being told, and scoring latency, apart from evaluations."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sparsenas import __version__, native
from sparsenas.objectives import Costs, Objective
from sparsenas.progress import Update
from sparsenas.space import Space
from sparsenas.strategies.base import Result
from sparsenas.strategies.catalog import STRATEGIES, Aim, make
from sparsenas.strategies.pools import random_archs, sizes_of

PAST = 10_000
"""Results that a strategy was told before it is timed."""

_STEPS = 40
_SCORED, _SCORINGS = 1 << 18, 5


def bench_pace(
    space: Space,
    latency: Callable[[np.ndarray], np.ndarray],
    *,
    only: Sequence[str] = (),
    past: int = PAST,
    steps: int = _STEPS,
    report: Update | None = None,
) -> dict[str, Any]:
    """Returns how long asking and telling take, and of how many architectures a second knows the latency.

    Times are of one core: those for which the thread had it. Half of all random architectures meet the
    limit, which strategies that keep to it look up for each proposal.

    Args:
        latency: milliseconds of architectures, integers [N, choices].
        only: strategies by name; all if left out.
        past: results that were told before.
        steps: that are timed.
    """
    sizes = sizes_of(space)
    rng = np.random.default_rng(0)
    target = float(np.median(latency(random_archs(rng, sizes, 1024))))
    limits = (Objective("latency_ms", target=target),)
    costs = Costs(functions={"latency_ms": latency}, objectives=limits)
    aim = Aim(trials=past + steps, objectives=(Objective("accuracy"), *limits), costs=costs)
    records = []
    chosen = [name for name in STRATEGIES if not only or name in only]
    for done, name in enumerate(chosen):
        if report is not None:
            report(done, len(chosen), name)
        strategy = make(name, STRATEGIES[name], space, aim)
        archs = [space.canonical(tuple(arch)) for arch in random_archs(rng, sizes, past).tolist()]
        state = strategy.init()
        for arch, metrics in zip(archs, costs.metrics(archs), strict=True):
            accuracy = float(rng.random())
            state = strategy.tell(state, arch, Result(accuracy, {"accuracy": accuracy, **metrics}))
        ms = []
        for number in range(steps):
            draws = np.random.default_rng((1, number))
            started = time.thread_time()
            arch = strategy.ask(state, draws)
            asked = time.thread_time() - started
            accuracy, (metrics,) = float(rng.random()), costs.metrics([arch])
            result = Result(accuracy, {"accuracy": accuracy, **metrics})
            started = time.thread_time()
            state = strategy.tell(state, arch, result)
            ms.append(1e3 * (asked + time.thread_time() - started))
        records.append(
            {
                "strategy": name,
                "past": past,
                "ask_and_tell_ms": float(np.median(ms)),
                "ask_and_tell_ms_of_95_percent": float(np.quantile(ms, 0.95)),
            }
        )
    return {
        "machine": native.cpu(),
        "version": __version__,
        "space": space.name,
        "records": records,
        "architectures_per_second": _scored_per_second(space, latency, rng),
    }


def _scored_per_second(
    space: Space, latency: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator
) -> float:
    archs = random_archs(rng, sizes_of(space), _SCORED)
    seconds = []
    for _ in range(_SCORINGS):
        started = time.thread_time()
        latency(archs)
        seconds.append(time.thread_time() - started)
    return _SCORED / float(np.median(seconds))
