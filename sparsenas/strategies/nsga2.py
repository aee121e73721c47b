"""NSGA-II (Deb et al., 2002, https://doi.org/10.1109/4235.996017), steady state as in Nebro and Durillo
(2009, https://doi.org/10.1007/978-3-642-01020-0_29): every result enters the population at once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sparsenas.objectives import Objective, excess
from sparsenas.space import Arch, Space
from sparsenas.strategies.base import Probabilities, Result, Strategy
from sparsenas.strategies.pools import frequencies


class Population(NamedTuple):
    """The members that are left, M of them, the best first.

    Attributes:
        values: [M, objectives], what is to be small.
        over: [M], by how much constraints are exceeded.
        rank: [M], 0 for what no other member dominates.
        crowding: [M], how far the neighbours on the same front are.
    """

    archs: tuple[Arch, ...]
    values: np.ndarray
    over: np.ndarray
    rank: np.ndarray
    crowding: np.ndarray


def nsga2(
    space: Space,
    *,
    objectives: Sequence[Objective],
    population: int = 20,
    crossover: float = 0.9,
) -> Strategy:
    """Looks for architectures that are not beaten in all objectives at once.

    Parents win tournaments of two, by rank and then by crowding; their child takes each choice from either
    and is then mutated. Targets of objectives are constraints: whatever meets them comes before what does
    not, and of two that do not, the one that exceeds them less (constrained domination).

    Args:
        objectives: at least two. Metrics that a result lacks count as infinitely bad.
        crossover: part of the children that have two parents.
    """
    if len(objectives) < 2:
        raise ValueError(f"`objectives` must be at least 2, found {len(objectives)}.")
    if population < 4:
        raise ValueError(f"`population` ({population}) must be at least 4.")
    if not 0 <= crossover <= 1:
        raise ValueError(f"`crossover` ({crossover}) must be from 0 to 1.")

    def init() -> Population:
        none = np.empty(0)
        return Population((), np.empty((0, len(objectives))), none, none, none)

    def tell(state: Population, arch: Arch, result: Result) -> Population:
        values = np.array([one.cost(result.metrics) for one in objectives])
        archs = (*state.archs, arch)
        values = np.concatenate([state.values, values[None]])
        over = np.append(state.over, excess(objectives, result.metrics))
        rank = ranks(values, over)
        distance = crowding(values, rank)
        order = np.lexsort((-distance, rank))[:population]
        return Population(
            tuple(archs[i] for i in order), values[order], over[order], rank[order], distance[order]
        )

    def ask(state: Population, rng: np.random.Generator) -> Arch:
        members = len(state.archs)
        if members < population:
            return space.sample(rng)

        def parent() -> Arch:
            # Members are in order: the first of two is the better one.
            return state.archs[int(rng.integers(members, size=2).min())]

        child = parent()
        if rng.random() < crossover:
            other = parent()
            child = tuple(a if rng.random() < 0.5 else b for a, b in zip(child, other, strict=True))
        return space.mutate(space.canonical(child), rng)

    def probabilities(state: Population) -> Probabilities:
        return frequencies(space, state.archs)

    return Strategy(init, ask, tell, probabilities=probabilities)


def ranks(values: np.ndarray, over: np.ndarray) -> np.ndarray:
    """Returns the front of each of M members under constrained domination, 0 the best: [M].

    Args:
        values: [M, objectives], what is to be small.
        over: [M], by how much constraints are exceeded.
    """
    feasible = over <= 0
    no_worse = (values[:, None] <= values[None]).all(2)
    better = (values[:, None] < values[None]).any(2)
    dominates = np.where(
        feasible[:, None] & feasible[None],
        no_worse & better,
        over[:, None] < over[None],
    )  # [dominating, dominated]
    rank = np.full(len(values), -1)
    beaten_by = dominates.sum(0)
    front = 0
    while (rank < 0).any():
        members = (rank < 0) & (beaten_by == 0)
        rank[members] = front
        beaten_by = beaten_by - dominates[members].sum(0)
        front += 1
    return rank


def crowding(values: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Returns the distance between the neighbours of each member on its front, summed over objectives: [M].

    The members at the ends of a front have no neighbour on one side: infinity. Of equal members all but one
    have distance 0.
    """
    distance = np.zeros(len(values))
    for front in range(int(rank.max(initial=-1)) + 1):
        members = np.flatnonzero(rank == front)
        _, first = np.unique(values[members], axis=0, return_index=True)
        distinct = members[np.sort(first)]
        for column in values[distinct].T:
            order = distinct[np.argsort(column, kind="stable")]
            ordered = np.sort(column)
            distance[order[[0, -1]]] = np.inf
            # What was not evaluated costs infinitely much.
            if np.isfinite(ordered).all() and ordered[-1] > ordered[0]:
                distance[order[1:-1]] += (ordered[2:] - ordered[:-2]) / (ordered[-1] - ordered[0])
    return distance
