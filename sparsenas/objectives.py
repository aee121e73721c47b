"""What a search wants, as values: metrics to make small or large, and targets they must meet."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sparsenas.errors import UserError
from sparsenas.space import Arch

Metrics = Mapping[str, float]

Ratio = Callable[[Metrics], float]
"""`(metrics) -> cost over target`, 1 exactly at the target."""

LARGE = ("accuracy",)
"""Metrics that are to be large; all others are to be small."""


@dataclass(frozen=True)
class Objective:
    """A metric that is to be small, or, for those of `LARGE`, large.

    >>> Objective("latency_ms", target=1.5, device="phone").name
    'latency_ms@phone'

    Attributes:
        metric: `accuracy`, `latency_ms`, `macs`, `parameters`, `file_bytes` or whatever else is evaluated.
        target: a constraint: at most this, or at least where the metric is to be large.
        device: whose metric, where several are searched for.
        weight: among several targets, where they are weighed.
    """

    metric: str
    target: float | None = None
    device: str | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.target is not None and not (self.target > 0 and math.isfinite(self.target)):
            raise UserError(f"The `target` of objective {self.name!r} must be above 0, found {self.target}.")
        if not (self.weight > 0 and math.isfinite(self.weight)):
            raise UserError(f"The `weight` of objective {self.name!r} must be above 0, found {self.weight}.")

    @property
    def name(self) -> str:
        """Under which a trial's metrics have it."""
        return self.metric if self.device is None else f"{self.metric}@{self.device}"

    @property
    def is_large(self) -> bool:
        return self.metric in LARGE

    def cost(self, metrics: Metrics) -> float:
        """Returns what is to be small; infinity where the metric was not evaluated."""
        if self.name not in metrics:
            return math.inf
        return -metrics[self.name] if self.is_large else metrics[self.name]

    def ratio(self, metrics: Metrics) -> float:
        """Returns the metric over the target, or the target over one that is to be large: 1 at the target."""
        if self.target is None:
            raise UserError(f"Objective {self.name!r} has no target.")
        value = metrics[self.name]
        if not self.is_large:
            return value / self.target
        return self.target / value if value > 0 else math.inf


def excess(objectives: Sequence[Objective], metrics: Metrics) -> float:
    """Returns by how much targets are missed, as a part of each, added up; 0 where all are met.

    Targets of metrics that were not evaluated do not count.

    >>> limits = Objective("latency_ms", target=2.0), Objective("macs", target=9)
    >>> excess(limits, {"latency_ms": 3, "macs": 8})
    0.5
    """
    limits = (one for one in objectives if one.target is not None and one.name in metrics)
    return float(sum(max(0.0, one.ratio(metrics) - 1) for one in limits))


def worst(objectives: Sequence[Objective]) -> Ratio:
    """Returns the largest of the ratios: an architecture is as slow as on the device where it is slowest."""
    limits = _limits(objectives)
    return lambda metrics: max(one.ratio(metrics) for one in limits)


def weighted(objectives: Sequence[Objective]) -> Ratio:
    """Returns the mean of the ratios by weight: a device may be too slow if another is fast enough."""
    limits = _limits(objectives)
    total = sum(one.weight for one in limits)
    return lambda metrics: sum(one.weight * one.ratio(metrics) for one in limits) / total


def _limits(objectives: Sequence[Objective]) -> list[Objective]:
    """Returns the objectives with a target whose metric is to be small."""
    limits = [one for one in objectives if one.target is not None and not one.is_large]
    if not limits:
        raise UserError("Expected at least one objective with a `target`, such as latency_ms; found none.")
    return limits


def check_reachable(objectives: Sequence[Objective], ranges: Mapping[str, tuple[float, float]]) -> None:
    """Refuses targets that no architecture meets, before anything is trained.

    Args:
        ranges: the least and the most that any architecture of the space has, by the objective's name.

    Raises:
        UserError: naming each target that is out of reach and the range.
    """
    wrong = []
    for one in objectives:
        if one.target is None or one.name not in ranges:
            continue
        low, high = ranges[one.name]
        if one.target < low if not one.is_large else one.target > high:
            wrong.append(f"{one.name} {one.target:g}, where architectures have {low:g} to {high:g}")
    if wrong:
        raise UserError(
            f"No architecture of the space reaches the target of {'; '.join(wrong)}. "
            "Choose a target in that range."
        )


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What is known of any architecture without evaluating it, and which targets that must meet.

    Attributes:
        functions: by the objective's name, each from architectures, integers [N, choices], to its metric [N].
        objectives: those with a target and a function are limits.
    """

    functions: Mapping[str, Callable[[np.ndarray], np.ndarray]]
    objectives: tuple[Objective, ...] = ()

    def metrics(self, archs: Sequence[Arch]) -> list[dict[str, float]]:
        """Returns the known metrics of each architecture."""
        columns = {name: cost(np.array(archs)) for name, cost in self.functions.items()}
        return [{name: float(found[i]) for name, found in columns.items()} for i in range(len(archs))]

    def features(self, archs: np.ndarray) -> np.ndarray:
        """Returns the known metrics as columns: [N, metrics]."""
        columns = [cost(archs) for cost in self.functions.values()]
        return np.stack(columns, 1) if columns else np.zeros((len(archs), 0))

    def excess(self, archs: np.ndarray) -> np.ndarray:
        """Returns by how much targets are missed, as the function `excess` does: [N]."""
        total = np.zeros(len(archs))
        for one in self.objectives:
            if one.target is not None and one.name in self.functions:
                total += np.maximum(0.0, self.functions[one.name](archs) / one.target - 1)
        return total
