"""Random networks of all kinds that the project knows, as tests and fits of a latency model want them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from sparsenas.networks.catalog import REFERENCES
from sparsenas.networks.pruning import Rule, uniform
from sparsenas.space import Layer, Space, misplaced
from sparsenas.sparsity.patterns import DENSE, Block, KernelPattern, NByM, Pattern, Sparse, Unstructured

Network = tuple[Layer, ...]
Family = Callable[[np.random.Generator], Network]
"""Draws a network."""

_PATTERNS: tuple[Pattern, ...] = (Unstructured(), Block(2), Block(4), KernelPattern())
_HALF = Sparse(0.5, NByM(2, 4))
# Of the layers of a random network that may be sparse, how many are not.
_DENSE_SHARE = 0.2
_LEAST_ZEROS, _MOST_ZEROS = 0.5, 0.97
_WIDTHS = (0.25, 1.3)
_SIDES = tuple(range(64, 257, 16))
# The largest: one run takes about 10 ms, and its weights 32 MB.
_MOST_WEIGHTS, _MOST_MACS = 8_000_000, 600_000_000


def families(spaces: Sequence[Space]) -> dict[str, Family]:
    """Returns what random networks are drawn from: spaces, and reference networks of any width and size."""
    found: dict[str, Family] = {space.name: _of_space(space) for space in spaces}
    return found | {name: _of_reference(name) for name in REFERENCES}


def dense_parameters(layers: Sequence[Layer]) -> int:
    """Returns the weights of layers, with the zeros."""
    return sum(layer.dense().nonzeros for layer in layers)


def _of_space(space: Space) -> Family:
    def draw(rng: np.random.Generator) -> Network:
        layers = space.layers(space.sample(rng))
        return tuple(layer.dense() for layer in layers) if rng.random() < _DENSE_SHARE else layers

    return draw


def _of_reference(name: str) -> Family:
    def draw(rng: np.random.Generator) -> Network:
        while True:
            width = float(np.exp(rng.uniform(*np.log(_WIDTHS))))
            layers = REFERENCES[name].layers(
                width=round(width, 3), side=int(rng.choice(_SIDES)), rule=_random_rule(rng)
            )
            macs = sum(layer.dense().macs for layer in layers)
            if dense_parameters(layers) <= _MOST_WEIGHTS and macs <= _MOST_MACS:
                return layers

    return draw


def _random_rule(rng: np.random.Generator) -> Rule:
    """Returns zeros of one pattern, in every layer as many as in the others or each its own fraction."""
    pattern = _PATTERNS[rng.integers(len(_PATTERNS))]
    same = uniform(random_fraction(pattern, rng), pattern) if rng.random() < 0.5 else None

    def rule(layer: Layer) -> Sparse:
        if same is not None:
            return same(layer)
        if rng.random() < _DENSE_SHARE:
            return DENSE
        if layer.op == "fully_connected" and rng.random() < 0.25:
            return _HALF
        return uniform(random_fraction(pattern, rng), pattern)(layer)

    return rule


def random_fraction(pattern: Pattern, rng: np.random.Generator) -> float:
    """Draws a fraction of zeros, as many of few nonzeros as of many."""
    least = pattern.fraction(kernels=1) if isinstance(pattern, KernelPattern) else _LEAST_ZEROS
    kept = np.exp(rng.uniform(np.log(1 - _MOST_ZEROS), np.log(1 - least)))
    return max(round(1 - float(kept), 3), round(least + 5e-4, 3))


def with_zeros(layer: Layer, pattern: Pattern, fraction: float) -> Layer | None:
    """Returns the layer with zeros; None where it cannot have the pattern."""
    if misplaced(pattern, layer.op, layer.kernel):
        return None
    return replace(layer, pattern=pattern, sparsity=fraction)
