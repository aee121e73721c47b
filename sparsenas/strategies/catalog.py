"""Strategies by name, each made for what a search wants."""

from collections.abc import Callable
from dataclasses import dataclass

from sparsenas.objectives import Costs, Objective
from sparsenas.space import Space
from sparsenas.strategies.admitted import admitted
from sparsenas.strategies.base import Strategy
from sparsenas.strategies.evolution import regularized_evolution
from sparsenas.strategies.nsga2 import nsga2
from sparsenas.strategies.predictor import predictor
from sparsenas.strategies.progressive import progressive
from sparsenas.strategies.random import random
from sparsenas.strategies.reinforce import reinforce


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What a search wants, and knows before it begins.

    Attributes:
        trials: how many architectures it evaluates.
        objectives: accuracy first.
        costs: with the limits that an architecture must meet to be evaluated.
    """

    trials: int
    objectives: tuple[Objective, ...]
    costs: Costs


Factory = Callable[[Space, Aim], Strategy]


def _reinforce(space: Space, aim: Aim) -> Strategy:
    return reinforce(space, trials=aim.trials)


def _nsga2(space: Space, aim: Aim) -> Strategy:
    return nsga2(space, objectives=aim.objectives)


def _predictor(space: Space, aim: Aim) -> Strategy:
    costs = aim.costs
    return predictor(space, costs=costs.features, excess=costs.excess, learns="accuracy")


STRATEGIES: dict[str, Factory] = {
    "regularized_evolution": lambda space, aim: regularized_evolution(space),
    "random": lambda space, aim: random(space),
    "nsga2": _nsga2,
    "reinforce": _reinforce,
    "predictor": _predictor,
    "progressive": lambda space, aim: progressive(space),
}

SOFT = ("reinforce",)
"""Strategies that learn from what misses a target, too: the gradient of a reward needs both its sides."""


def make(name: str, factory: Factory, space: Space, aim: Aim) -> Strategy:
    """Returns a strategy that proposes what meets the limits, unless it is one of `SOFT`."""
    strategy = factory(space, aim)
    return strategy if name in SOFT else admitted(strategy, space, aim.costs.excess)
