"""How close differentiable searches come to the best network of a space where all networks are known.

A search trains the supernet of the space on the images that the table's networks learned from, under a
latency target by the table. Its most probable networks within the target are ranked by another supernet,
trained as each of them in turn, and the best of them looked up: as finalists in a search, which are trained
from scratch, and the best of these wins. The accuracies of the table are never seen by a search by gradient.
The predictor, which searches by evaluations, sees one training of each network that it asks for.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sparsenas import __version__, native
from sparsenas.bench.grid import GridSettings, check_space, hard_digits
from sparsenas.bench.strategies import seen_accuracy
from sparsenas.bench.tabular import Table
from sparsenas.descent import LANDED
from sparsenas.errors import UserError
from sparsenas.export.network import random_network
from sparsenas.export.snas import to_bytes
from sparsenas.latency.measure import MeasureSettings, interleaved
from sparsenas.latency.tabulate import Tabulated
from sparsenas.space import Arch, Space
from sparsenas.strategies.base import Result
from sparsenas.strategies.collapse import collapses
from sparsenas.strategies.differentiable.catalog import DIFFERENTIABLE
from sparsenas.strategies.differentiable.landing import land
from sparsenas.strategies.predictor import predictor
from sparsenas.supernet import supernet
from sparsenas.train import ArchitectureSettings, SupernetSettings, contest, train_architecture

PREDICTOR = "predictor"
"""Beside the searches by gradient: it evaluates networks of the table one by one."""

RANDOM = "random"
"""What searches are to beat: its finalists are drawn from all networks that land at the target."""

Report = Callable[[int, int, str], None]
"""`(done, in all, what)`."""

EVALUATIONS = 100

FINALISTS = 12
"""Networks of a search that are looked up. One training differs from the next by 1.3 points in this table, so
that no search can tell the best of the last few apart."""

WITHIN = 0.03
"""Part of the target by which a measured network may exceed it: a table is as exact as its measurements."""

SETTINGS = ArchitectureSettings(steps=600, batch=32, shift=1)
RANKING = SupernetSettings(steps=900, batch=32, shift=1)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one search found.

    Attributes:
        target_ms, seed: of the search.
        arch: the best finalist, as text.
        latency_ms: of it, by the table.
        accuracy, best_accuracy: of it and of the best network within the target, both by the table.
        regret: the difference, in points.
        first_regret: of the first finalist alone.
        collapsed: what its beliefs collapsed to, if to anything.
    """

    table: str
    strategy: str
    target_ms: float
    seed: int
    arch: str
    latency_ms: float
    accuracy: float
    best_accuracy: float
    regret: float
    first_regret: float
    collapsed: str


def bench_differentiable(
    space: Space,
    table: Table,
    *,
    strategies: Sequence[str],
    targets: int = 5,
    seed: int = 0,
    seeds: int = 1,
    finalists: int = FINALISTS,
    settings: ArchitectureSettings = SETTINGS,
    ranking: SupernetSettings = RANKING,
    evaluations: int = EVALUATIONS,
    measure: int = 0,
    report: Report = lambda done, total, what: None,
) -> dict[str, Any]:
    """Returns all figures, as the JSON file holds them.

    Args:
        targets: latencies of the table, evenly spread over its networks.
        seed: of the first search at each target.
        seeds: how many searches there, each with the next seed.
        finalists: networks of a search that are looked up.
        ranking: how the supernet of the networks that land is trained.
        evaluations: networks that the predictor is told, each by one of its trainings.
        measure: of the networks that were found, how many are measured here as well.

    Raises:
        UserError: where the table is of another space or has no latencies.
    """
    check_space(space, table)
    training, _ = hard_digits(_trained_by(table), space.image[0])
    searches = [
        (name, target_ms, one)
        for one in range(seed, seed + seeds)
        for target_ms in targets_of(table, targets)
        for name in strategies
    ]
    found = []
    for i, (name, target_ms, seed) in enumerate(searches):
        report(i, len(searches), f"{name}, {target_ms:.4f} ms")
        if name in (PREDICTOR, RANDOM):
            if name == PREDICTOR:
                archs = sampled(table, target_ms, seed=seed, evaluations=evaluations)
            else:
                archs = drawn(table, target_ms, seed=seed)
            found.append(judged(table, name, target_ms, seed, archs[:finalists]))
            continue
        searched = train_architecture(
            supernet(space),
            space,
            training,
            DIFFERENTIABLE[name](),
            latencies(table).expected,
            settings,
            target_ms=target_ms,
            seed=seed,
        )
        landed = land(space, searched.beliefs.last, latencies(table), target_ms=target_ms, count=LANDED)
        scores = contest(supernet(space), space, landed, training, training, ranking, seed=seed)
        # Equal ones stay in the order of their probability.
        archs = [landed[i] for i in np.argsort(scores.loss, kind="stable")[:finalists]]
        collapsed = "; ".join(map(str, collapses(space, searched.beliefs)))
        found.append(judged(table, name, target_ms, seed, archs, collapsed))
    report(len(searches), len(searches), "measure what was found" if measure else "")
    return {
        "machine": native.cpu(),
        "version": __version__,
        "finalists": finalists,
        "settings": asdict(settings),
        "ranking": asdict(ranking),
        "records": [asdict(one) for one in found],
        "measured": measured(space, found, measure, MeasureSettings()) if measure else [],
        "summary": [summary([one for one in found if one.strategy == name]) for name in strategies],
    }


def sampled(table: Table, target_ms: float, *, seed: int, evaluations: int) -> list[Arch]:
    """Returns networks that the predictor evaluated, those first that it would recommend to a search.

    Every evaluation is one of a network's trainings, drawn once for each network and seed. All meet the
    target. There are fewer than `evaluations` where no more meet it.
    """
    accuracy = seen_accuracy(table, seed, noisy=True)

    def costs(archs: np.ndarray) -> np.ndarray:
        rows = table.rows(archs)
        return np.stack([values[rows] for values in table.costs.values()], 1)

    def excess(archs: np.ndarray) -> np.ndarray:
        return np.maximum(0.0, table.cost("latency_ms", archs) / target_ms - 1)

    strategy = predictor(table.space, costs=costs, excess=excess, learns="accuracy")
    state, seen = strategy.init(), {}
    for number in range(min(evaluations, int((table.costs["latency_ms"] <= target_ms).sum()))):
        arch = strategy.ask(state, np.random.default_rng((seed, number)))
        seen[arch] = float(accuracy[table.rows([arch])[0]])
        state = strategy.tell(state, arch, Result(seen[arch], {"accuracy": seen[arch]}))
    return strategy.recommend(state)


def drawn(table: Table, target_ms: float, *, seed: int) -> list[Arch]:
    """Returns the networks that land at a target, in random order."""
    space = table.space
    even = [np.full(len(choice.options), 1 / len(choice.options)) for choice in space.choices]
    landed = land(space, even, latencies(table), target_ms=target_ms, count=len(table.archs))
    return [landed[i] for i in np.random.default_rng(seed).permutation(len(landed))]


def measured(
    space: Space, found: Sequence[Found], count: int, settings: MeasureSettings
) -> list[dict[str, Any]]:
    """Returns what networks that searches returned take on this machine, beside table and target.

    Args:
        count: networks, evenly spread over the searches; each is measured once.
    """
    distinct = list({one.arch: one for one in found}.values())
    count = min(count, len(distinct))
    picked = [distinct[i] for i in np.linspace(0, len(distinct) - 1, count).round().astype(int)]
    models = [to_bytes(random_network(space.layers(space.parse(one.arch)), seed=0)) for one in picked]
    return [
        {
            "arch": one.arch,
            "target_ms": one.target_ms,
            "table_ms": one.latency_ms,
            "measured_ms": float(ms),
            "within_target": bool(ms <= (1 + WITHIN) * one.target_ms),
        }
        for one, ms in zip(picked, interleaved(models, settings), strict=True)
    ]


def latencies(table: Table) -> Tabulated:
    """Returns the latencies of a table as one array over all choices: they need not add up over layers."""
    if "latency_ms" not in table.costs:
        raise UserError(
            f"The table {table.name!r} has no latencies yet; measure them: sparsenas bench grid --measure."
        )
    shape = tuple(len(choice.options) for choice in table.choices)
    everything = np.array(list(np.ndindex(*shape)))
    return Tabulated(0.0, ((tuple(range(len(shape))), table.cost("latency_ms", everything).reshape(shape)),))


def targets_of(table: Table, count: int) -> list[float]:
    """Returns latencies that parts of the networks meet, the same part more each time.

    The first is met by a few, the last missed by a few.
    """
    latencies(table)
    return [
        float(np.quantile(table.costs["latency_ms"], (i + 0.5) / count, method="lower")) for i in range(count)
    ]


def judged(
    table: Table, strategy: str, target_ms: float, seed: int, archs: Sequence[Arch], collapsed: str = ""
) -> Found:
    """Returns what the table says of a search's finalists, the most promising first."""
    rows = table.rows(archs)
    best = float(table.mean_accuracy[table.costs["latency_ms"] <= target_ms].max())
    row = int(max(rows, key=lambda row: table.mean_accuracy[row]))
    accuracy, first = (float(table.mean_accuracy[one]) for one in (row, rows[0]))
    return Found(
        table=table.name,
        strategy=strategy,
        target_ms=target_ms,
        seed=seed,
        arch=table.space.text(table.archs[row]),
        latency_ms=float(table.costs["latency_ms"][row]),
        accuracy=accuracy,
        best_accuracy=best,
        regret=100 * (best - accuracy),
        first_regret=100 * (best - first),
        collapsed=collapsed,
    )


def summary(found: Sequence[Found]) -> dict[str, Any]:
    """Returns the figures of one strategy over targets and seeds."""
    return {
        "strategy": found[0].strategy,
        "searches": len(found),
        "regret_mean": statistics.mean(one.regret for one in found),
        "regret_max": max(one.regret for one in found),
        "first_regret_mean": statistics.mean(one.first_regret for one in found),
        "within_target": sum(one.latency_ms <= one.target_ms for one in found),
        "lowest_share_of_target": min(one.latency_ms / one.target_ms for one in found),
    }


def _trained_by(table: Table) -> GridSettings:
    try:
        return GridSettings(**table.how["trained"])
    except (KeyError, TypeError) as error:
        raise UserError(
            f"The table {table.name!r} does not say how its networks were trained ({error}); make it again: "
            "sparsenas bench grid."
        ) from None
