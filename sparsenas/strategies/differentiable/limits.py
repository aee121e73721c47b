"""Several limits of a search by gradient as one: latency on this device and others, file size, ...

Each limit's cost is taken over its target. What is the largest of these ratios, or their mean by weight, is
held at 1, written as milliseconds of the first limit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal, Protocol

import jax.numpy as jnp
import numpy as np

from sparsenas.objectives import Objective
from sparsenas.space import Arch


class Cost(Protocol):
    """A cost of architectures, and of mixtures of them."""

    def __call__(self, archs: "Sequence[Arch] | np.ndarray") -> np.ndarray:
        """Returns the cost of each of N architectures: [N]."""

    def expected(self, probabilities: Sequence[Any]) -> Any:
        """Returns the expected cost of choices drawn by their probabilities, differentiable."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits as one cost in milliseconds, of which the target is that of the first limit.

    Attributes:
        costs: of each limit.
        limits: with targets, the latency of the search's device first.
        combine: what counts of a mixture: the ratio that is `worst`, or their mean by weight.
    """

    costs: tuple[Cost, ...]
    limits: tuple[Objective, ...]
    combine: Literal["worst", "weighted"] = "worst"

    def __call__(self, archs: "Sequence[Arch] | np.ndarray") -> np.ndarray:
        """Returns the worst ratio of each architecture, as milliseconds: at the target all limits are met."""
        ratios = [cost(archs) / limit.target for cost, limit in zip(self.costs, self.limits, strict=True)]
        return self.limits[0].target * np.max(ratios, axis=0)

    def expected(self, probabilities: Sequence[Any]) -> Any:
        """Returns the combined ratio of expected costs, as milliseconds."""
        ratios = [
            cost.expected(probabilities) / limit.target
            for cost, limit in zip(self.costs, self.limits, strict=True)
        ]
        if self.combine == "worst":
            return self.limits[0].target * reduce(jnp.maximum, ratios)
        total = sum(limit.weight for limit in self.limits)
        weighted = sum(limit.weight * ratio for limit, ratio in zip(self.limits, ratios, strict=True))
        return self.limits[0].target * weighted / total
