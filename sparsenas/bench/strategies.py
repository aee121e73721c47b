"""How few evaluations strategies need, on tables where the best architecture is known."""

import contextlib
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from sparsenas import __version__, native
from sparsenas.bench.peers import pymoo_nsga2
from sparsenas.bench.tabular import Table
from sparsenas.objectives import Objective
from sparsenas.progress import Update
from sparsenas.strategies.base import Result, Strategy
from sparsenas.strategies.evolution import regularized_evolution
from sparsenas.strategies.nsga2 import nsga2
from sparsenas.strategies.predictor import predictor
from sparsenas.strategies.progressive import progressive
from sparsenas.strategies.random import random
from sparsenas.strategies.reinforce import reinforce

EVALUATIONS = (25, 50, 100, 200, 300)
PEER = "pymoo_nsga2"
NAMES = ("random", "regularized_evolution", "reinforce", "progressive", "predictor", "nsga2", PEER)
_FRONTS = ("random", "nsga2", PEER)
# How often a strategy is asked for something that was not evaluated yet, as in a search.
_RETRIES = 20
_NOISY = ", one training"


def strategies(table: Table, trials: int) -> dict[str, Callable[[], Strategy]]:
    """Returns the strategies for a table, by name, with their usual settings."""
    space = table.space

    def costs(archs: np.ndarray) -> np.ndarray:
        rows = table.rows(archs)
        return np.stack([values[rows] for values in table.costs.values()], 1)

    return {
        "random": lambda: random(space),
        "regularized_evolution": lambda: regularized_evolution(space),
        "reinforce": lambda: reinforce(space, trials=trials),
        "progressive": lambda: progressive(space),
        "predictor": lambda: predictor(space, costs=costs if table.costs else None),
        "nsga2": lambda: nsga2(space, objectives=objectives(table)),
    }


def objectives(table: Table) -> tuple[Objective, ...]:
    """Returns accuracy and the table's latency, or else its first cost."""
    cost = "latency_ms" if "latency_ms" in table.costs else next(iter(table.costs))
    return Objective("accuracy"), Objective(cost)


@dataclass(frozen=True, eq=False)
class Run:
    """What one strategy did with one seed.

    Attributes:
        rows: positions in the table, in the order of evaluation. It ends early where the best was found and
            nothing else is asked.
        returned: the row that would be returned after so many evaluations.
    """

    rows: np.ndarray
    returned: Mapping[int, int]


def play(
    table: Table,
    strategy: Strategy,
    *,
    seed: int,
    evaluations: Sequence[int],
    noisy: bool,
    to_the_end: bool = True,
) -> Run:
    """Lets a strategy evaluate architectures of a table, one after the other, none twice.

    Args:
        evaluations: after how many it is asked what it would return; it ends with the last.
        noisy: each evaluation is one of the trainings, drawn once for each architecture and seed, instead of
            their mean.
        to_the_end: go on when the best is found.
    """
    accuracy = seen_accuracy(table, seed, noisy)
    best = table.mean_accuracy.max()
    state, rows, known = strategy.init(), [], set()
    returned: dict[int, int] = {}
    for number in range(min(max(evaluations), len(table.archs))):
        rng = np.random.default_rng((seed, number))
        for _ in range(_RETRIES):
            arch = strategy.ask(state, rng)
            if arch not in known:
                break
        known.add(arch)
        row = int(table.rows([arch])[0])
        rows.append(row)
        metrics = {name: float(values[row]) for name, values in table.costs.items()}
        metrics["accuracy"] = float(accuracy[row])
        state = strategy.tell(state, arch, Result(metrics["accuracy"], metrics))
        if number + 1 in evaluations:
            returned[number + 1] = _returned(table, strategy, state, rows, accuracy)
        if not to_the_end and table.mean_accuracy[row] == best:
            break
    last = _returned(table, strategy, state, rows, accuracy)
    return Run(np.array(rows), {count: returned.get(count, last) for count in evaluations})


def _returned(table: Table, strategy: Strategy, state: Any, rows: list[int], accuracy: np.ndarray) -> int:
    if strategy.recommend is not None:
        return int(table.rows(strategy.recommend(state)[:1])[0])
    return max(rows, key=lambda row: accuracy[row])


def seen_accuracy(table: Table, seed: int, noisy: bool) -> np.ndarray:
    """Returns the accuracy of every architecture that an evaluation sees: [N]."""
    if not noisy:
        return table.mean_accuracy
    rng = np.random.default_rng((seed, len(table.archs)))
    return rng.permuted(table.accuracy, axis=1)[:, 0]


def regret(table: Table, run: Run, evaluations: int) -> float:
    """Returns by how many points the mean accuracy of what a run would return is below the best one.

    It returns what the strategy recommends, or else the architecture with the highest accuracy that it has
    seen.
    """
    row = run.returned[evaluations]
    return 100 * float(table.mean_accuracy.max() - table.mean_accuracy[row])


def hypervolume(table: Table, rows: np.ndarray) -> float:
    """Returns the share of the true front's hypervolume that the front of some rows has.

    It is the area of costs and accuracies that are beaten, up to the largest cost and the lowest accuracy of
    the table (Zitzler and Thiele, 1999, https://doi.org/10.1109/4235.797969).
    """
    return _area(table, rows) / _area(table, np.arange(len(table.archs)))


def _area(table: Table, rows: np.ndarray) -> float:
    _, objective = objectives(table)
    costs = table.costs[objective.name]
    cost, accuracy = costs[rows], table.mean_accuracy[rows]
    order = np.lexsort((-accuracy, cost))
    reached = np.maximum.accumulate(accuracy[order]) - table.mean_accuracy.min()
    widths = np.diff(np.append(cost[order], costs.max()))
    return float((reached * widths).sum())


def bench_strategies(
    tables: Sequence[Table],
    *,
    seeds: int,
    evaluations: Sequence[int] = EVALUATIONS,
    only: Sequence[str] = (),
    noisy: bool = False,
    workers: int = 1,
    report: Update | None = None,
) -> dict[str, Any]:
    """Returns `machine`, `version` and a record for each table, strategy and number of evaluations.

    Args:
        only: strategies by name; all if left out, and pymoo's NSGA-II where it is installed.
        noisy: also compare strategies that see one training of each architecture; its records have
            ", one training" behind the table's name.
        workers: processes that share the seeds; what is found does not depend on it.
    """
    jobs = [
        (table, noise, name)
        for table in tables
        for noise in ((False, True) if noisy else (False,))
        for name in names(table, only)
    ]
    records: list[dict[str, Any]] = []
    with contextlib.ExitStack() as stack:
        apply: Callable[..., Iterable[Run]] = map
        if workers > 1:
            # A fork of a process with threads, such as those of BLAS, may hang.
            pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
            apply = stack.enter_context(pool).map
        for done, (table, noise, name) in enumerate(jobs):
            runs: list[Run] = []
            for run in apply(partial(_run, table, name, tuple(evaluations), noise), range(seeds)):
                runs.append(run)
                if report is not None:
                    what = f"{table.name}{_NOISY if noise else ''}: {name}"
                    report(done * seeds + len(runs), len(jobs) * seeds, what)
            records += _records(table, name, runs, evaluations, noise)
    return {"machine": native.cpu(), "version": __version__, "records": records}


def names(table: Table, only: Sequence[str]) -> list[str]:
    """Returns the strategies that can be compared on a table."""
    return [
        name
        for name in NAMES
        if (not only or name in only)
        # A front has accuracy and a cost.
        and (name not in ("nsga2", PEER) or table.costs)
        and (name != PEER or pymoo_nsga2.installed())
    ]


def _run(table: Table, name: str, evaluations: Sequence[int], noisy: bool, seed: int) -> Run:
    if name == PEER:
        return _peer(table, seed=seed, evaluations=evaluations, noisy=noisy)
    return play(
        table,
        strategies(table, max(evaluations))[name](),
        seed=seed,
        evaluations=evaluations,
        noisy=noisy,
        to_the_end=noisy or name in _FRONTS,
    )


def _peer(table: Table, *, seed: int, evaluations: Sequence[int], noisy: bool) -> Run:
    accuracy = seen_accuracy(table, seed, noisy)
    rows = pymoo_nsga2.play(table, objectives(table)[1].name, accuracy, seed, max(evaluations))
    returned = {count: int(max(rows[:count], key=lambda row: accuracy[row])) for count in evaluations}
    return Run(rows, returned)


def _records(
    table: Table, name: str, runs: Sequence[Run], evaluations: Sequence[int], noisy: bool
) -> Iterator[dict[str, Any]]:
    for count in evaluations:
        regrets = np.array([regret(table, run, count) for run in runs])
        spread = regrets.std(ddof=1) / np.sqrt(len(runs)) if len(runs) > 1 else 0.0
        volumes = (
            [hypervolume(table, run.rows[:count]) for run in runs]
            if name in _FRONTS and table.costs
            else None
        )
        yield {
            "table": table.name + (_NOISY if noisy else ""),
            "strategy": name,
            "evaluations": count,
            "seeds": len(runs),
            "regret_mean": float(regrets.mean()),
            "regret_ci95": 1.96 * float(spread),
            "hypervolume_mean": None if volumes is None else float(np.mean(volumes)),
        }
