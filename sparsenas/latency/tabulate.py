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
    """Predicted latency of every architecture of a space: a constant, and a small array per layer.

    Or anything else that layers add up to; then it has that one's unit wherever milliseconds are said.

    Attributes:
        fixed_ms: what every network takes.
        terms: for each layer the choices it depends on and its milliseconds over their options.
    """

    fixed_ms: float
    terms: tuple[Term, ...]

    def __call__(self, archs: "Sequence[Arch] | np.ndarray") -> np.ndarray:
        """Returns milliseconds [N] of N architectures; fastest from an integer array [N, choices]."""
        options = np.asarray(archs)
        options = options.reshape(len(options), -1)
        total = np.empty(len(options))
        fixed_ms, weights, arrays = self._joint
        picked = np.empty(_CHUNK)
        for start in range(0, len(options), _CHUNK):
            chunk = options[start : start + _CHUNK]
            out = total[start : start + _CHUNK]
            out.fill(fixed_ms)
            if not arrays:
                continue
            # Positions in all arrays at once are a small matrix product, exact in float32.
            columns = chunk.T[: len(self._sizes)].astype(np.float32, order="C")
            if (columns.max(1) >= self._sizes).any() or columns.min() < 0:
                raise IndexError("An architecture has an option that its choice does not have.")
            where = (weights @ columns).astype(np.intp)  # [arrays, chunk]
            for position, ms in zip(where, arrays, strict=True):
                out += np.take(ms, position, out=picked[: len(chunk)], mode="clip")
        return total

    def expected(self, probabilities: Sequence[Any]) -> Any:
        """Returns the expected milliseconds where choices are drawn independently of each other.

        Args:
            probabilities: [options] of each choice, from NumPy or JAX; differentiable where they are.
        """
        total = self.fixed_ms
        for choices, ms in self.terms:
            mean = ms
            for choice in reversed(choices):
                mean = mean @ probabilities[choice]
            total = total + mean
        return total

    def fastest(self, choices: int) -> tuple[Arch, float]:
        """Returns the fastest architecture of a space with that many choices, and its milliseconds.

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
        return tuple(arch), self.fixed_ms + float(sum(ms for _, ms in factors))

    def slowest(self, choices: int) -> tuple[Arch, float]:
        """Returns the slowest architecture of a space with that many choices, and its milliseconds."""
        arch, ms = Tabulated(-self.fixed_ms, tuple((scope, -ms) for scope, ms in self.terms)).fastest(choices)
        return arch, -ms

    @cached_property
    def _joint(self) -> tuple[float, np.ndarray, list[np.ndarray]]:
        """Returns the constant, and fewer, larger arrays with the weight of each choice in a position.

        Layers that share choices are added up beforehand: a sum over all of their options is one array to
        look up instead of several.
        """
        fixed_ms = self.fixed_ms + float(sum(ms for choices, ms in self.terms if not choices))
        factors = _merged([(choices, ms) for choices, ms in self.terms if choices])
        count = 1 + max((choice for choices, _ in factors for choice in choices), default=-1)
        weights = np.zeros((len(factors), count), np.float32)
        for row, (choices, ms) in zip(weights, factors, strict=True):
            row[list(choices)] = [math.prod(ms.shape[i + 1 :]) for i in range(ms.ndim)]
        return fixed_ms, weights, [np.ascontiguousarray(ms).ravel() for _, ms in factors]

    @cached_property
    def _sizes(self) -> np.ndarray:
        """How many options each choice has that a layer depends on; no bound for the others."""
        sizes: dict[int, int] = {
            c: n for choices, ms in self.terms for c, n in zip(choices, ms.shape, strict=True)
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
    for choices, ms in factors:
        index = tuple(slice(None) if choice in choices else None for choice in scope)
        total = total + ms[index]
    return scope, np.asarray(total)
