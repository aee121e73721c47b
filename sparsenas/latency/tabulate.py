"""What adds up over layers, of every architecture of a space, as small arrays over its choices."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sparsenas.space import Arch, Layer, Space

# Entries of an array that several layers share: beside its neighbours it stays in the level 2 cache.
_JOINT = 1 << 13
# Architectures at a time, whose positions and sums stay in the cache as well.
_CHUNK = 1 << 13

Term = tuple[tuple[int, ...], np.ndarray]


@dataclass(frozen=True, eq=False)
class Tabulated:
    """A quantity of every architecture of a space that adds up over layers: a constant, and a small array
    per layer.

    Attributes:
        fixed: what every network has.
        terms: for each layer the choices it depends on and its quantity over their options.
    """

    fixed: float
    terms: tuple[Term, ...]

    def __call__(self, archs: "Sequence[Arch] | np.ndarray") -> np.ndarray:
        """Returns the sums [N] of N architectures; fastest from an integer array [N, choices]."""
        options = np.asarray(archs)
        options = options.reshape(len(options), -1)
        total = np.empty(len(options))
        fixed, weights, arrays = self._joint
        picked = np.empty(_CHUNK)
        for start in range(0, len(options), _CHUNK):
            chunk = options[start : start + _CHUNK]
            out = total[start : start + _CHUNK]
            out.fill(fixed)
            if not arrays:
                continue
            # Positions in all arrays at once are a small matrix product, exact in float32.
            columns = chunk.T[: len(self._sizes)].astype(np.float32, order="C")
            if (columns.max(1) >= self._sizes).any() or columns.min() < 0:
                raise IndexError("An architecture has an option that its choice does not have.")
            where = (weights @ columns).astype(np.intp)  # [arrays, chunk]
            for position, values in zip(where, arrays, strict=True):
                out += np.take(values, position, out=picked[: len(chunk)], mode="clip")
        return total

    def expected(self, probabilities: Sequence[Any]) -> Any:
        """Returns the expected sum where choices are drawn independently of each other.

        Args:
            probabilities: [options] of each choice, from NumPy or JAX; differentiable where they are.
        """
        total = self.fixed
        for choices, values in self.terms:
            mean = values
            for choice in reversed(choices):
                mean = mean @ probabilities[choice]
            total = total + mean
        return total

    def least(self, choices: int) -> tuple[Arch, float]:
        """Returns the architecture of the least sum in a space with that many choices, and its sum.

        Exact: choices are eliminated one by one, each by the minimum over its options of the layers that
        depend on it (min-sum variable elimination; Dechter, 1999,
        https://doi.org/10.1016/S0004-3702(99)00059-4).
        """
        factors = list(self.terms)
        decided: list[tuple[int, tuple[int, ...], np.ndarray]] = []
        remaining = {choice for scope, _ in factors for choice in scope}
        while remaining:
            choice = min(remaining, key=lambda c: len({x for s, _ in factors if c in s for x in s}))
            touched = [factor for factor in factors if choice in factor[0]]
            factors = [factor for factor in factors if choice not in factor[0]]
            scope, joint = _sum(touched)
            axis = scope.index(choice)
            rest = scope[:axis] + scope[axis + 1 :]
            decided.append((choice, rest, joint.argmin(axis)))
            factors.append((rest, joint.min(axis)))
            remaining.remove(choice)
        arch = [0] * choices
        for choice, rest, best in reversed(decided):
            arch[choice] = int(best[tuple(arch[c] for c in rest)])
        return tuple(arch), self.fixed + float(sum(values for _, values in factors))

    def most(self, choices: int) -> tuple[Arch, float]:
        """Returns the architecture of the largest sum in a space with that many choices, and its sum."""
        arch, values = Tabulated(-self.fixed, tuple((scope, -values) for scope, values in self.terms)).least(
            choices
        )
        return arch, -values

    @cached_property
    def _joint(self) -> tuple[float, np.ndarray, list[np.ndarray]]:
        """Returns the constant, and fewer, larger arrays with the weight of each choice in a position.

        Layers that share choices are added up beforehand: a sum over all of their options is one array to
        look up instead of several.
        """
        fixed = self.fixed + float(sum(values for choices, values in self.terms if not choices))
        factors = _merged([(choices, values) for choices, values in self.terms if choices])
        count = 1 + max((choice for choices, _ in factors for choice in choices), default=-1)
        weights = np.zeros((len(factors), count), np.float32)
        for row, (choices, values) in zip(weights, factors, strict=True):
            row[list(choices)] = [math.prod(values.shape[i + 1 :]) for i in range(values.ndim)]
        return fixed, weights, [np.ascontiguousarray(values).ravel() for _, values in factors]

    @cached_property
    def _sizes(self) -> np.ndarray:
        """How many options each choice has that a layer depends on; no bound for the others."""
        sizes: dict[int, int] = {
            c: n for choices, values in self.terms for c, n in zip(choices, values.shape, strict=True)
        }
        return np.array([sizes.get(c, np.inf) for c in range(1 + max(sizes, default=-1))], np.float32)


def tabulate(space: Space, cost: Callable[[Layer], float], *, fixed: float = 0.0) -> Tabulated:
    """Returns what every architecture's layers cost together, on top of what every network costs.

    Args:
        cost: of a layer, whatever its name and its place in the network.
    """
    known: dict[tuple, float] = {}
    terms = []
    for template in space.templates:
        total = np.zeros([len(space.choices[c].options) for c in template.choices])
        for arch in space.joint_options(template.choices):
            if template.present.at(arch):
                layer = template.layer(arch, template.inputs)
                if layer.key not in known:
                    known[layer.key] = cost(layer)
                total[tuple(arch[c] for c in template.choices)] = known[layer.key]
        terms.append((template.choices, total))
    return Tabulated(fixed, tuple(terms))


def _merged(factors: list[Term]) -> list[Term]:
    """Adds arrays up as long as their sums are small, first those whose sum grows least."""
    factors = list(factors)

    def size(i: int, j: int) -> float:
        shape = dict(zip(factors[i][0], factors[i][1].shape, strict=True))
        shape |= dict(zip(factors[j][0], factors[j][1].shape, strict=True))
        return math.prod(shape.values())

    while True:
        pairs = [(size(i, j), i, j) for i in range(len(factors)) for j in range(i + 1, len(factors))]
        least, i, j = min(pairs, default=(math.inf, 0, 0))
        if least > _JOINT:
            return factors
        joint = _sum([factors[i], factors[j]])
        factors = [factor for k, factor in enumerate(factors) if k not in (i, j)] + [joint]


def _sum(factors: Sequence[tuple[tuple[int, ...], np.ndarray]]) -> tuple[tuple[int, ...], np.ndarray]:
    """Adds arrays over different choices into one over all of them."""
    scope = tuple(sorted({choice for choices, _ in factors for choice in choices}))
    total = 0.0
    for choices, values in factors:
        index = tuple(slice(None) if choice in choices else None for choice in scope)
        total = total + values[index]
    return scope, np.asarray(total)
