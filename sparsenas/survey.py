"""What a space holds: how many networks, and the least and the most of what adds up over layers."""

import math
from dataclasses import dataclass

import numpy as np

from sparsenas.latency.space_latency import SpaceLatency
from sparsenas.latency.tabulate import Tabulated, tabulate
from sparsenas.space import Arch, Layer, Space

Factor = tuple[tuple[int, ...], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Range:
    """The least and the most of a quantity in a space, and the architectures that have it."""

    least: float
    least_arch: Arch
    most: float
    most_arch: Arch


def range_of(space: Space, table: Tabulated | SpaceLatency) -> Range:
    """Returns the extremes of a space, however large it is; exact for what adds up over layers."""
    least_arch, least = table.least(len(space.choices))
    most_arch, most = table.most(len(space.choices))
    return Range(
        least=least,
        least_arch=space.canonical(least_arch),
        most=most,
        most_arch=space.canonical(most_arch),
    )


def macs(space: Space) -> Range:
    """Returns the range of multiply-accumulates of one image, zeros left out."""
    return range_of(space, tabulate(space, lambda layer: layer.macs))


def parameters(space: Space) -> Range:
    """Returns the range of weights that are not pruned, and biases."""
    return range_of(space, tabulate(space, lambda layer: layer.parameters))


def totals(layers: tuple[Layer, ...]) -> tuple[int, int]:
    """Returns multiply-accumulates and parameters of a network."""
    return sum(layer.macs for layer in layers), sum(layer.parameters for layer in layers)


def architectures(space: Space) -> int:
    """Returns how many different networks a space has: its canonical architectures, counted exactly.

    The sum over all combinations of options of a product with a factor for each choice: 0 where no layer
    that is there depends on it and its option is not the first, else 1. Choices are summed out one by one
    (sum-product variable elimination; Dechter, 1999, https://doi.org/10.1016/S0004-3702(99)00059-4).

    >>> from sparsenas.search_spaces.tiny import SPACE
    >>> SPACE.size, architectures(SPACE)
    (56623104, 10692864)
    """
    factors = [_canonical(space, choice) for choice in range(len(space.choices))]
    remaining = set(range(len(space.choices)))
    while remaining:
        choice = min(remaining, key=lambda c: len({x for scope, _ in factors if c in scope for x in scope}))
        touched = [factor for factor in factors if choice in factor[0]]
        factors = [factor for factor in factors if choice not in factor[0]]
        scope, product = _product(touched)
        axis = scope.index(choice)
        factors.append((scope[:axis] + scope[axis + 1 :], product.sum(axis)))
        remaining.remove(choice)
    return math.prod(int(array) for _, array in factors)


def _canonical(space: Space, choice: int) -> Factor:
    """Returns which options of a choice are canonical, over it and the choices that say what is there."""
    users = [template for template in space.templates if choice in template.choices]
    always = any(choice in t.present.choices or t.present.is_constant for t in users)
    scope = {choice} if always else {choice, *(c for t in users for c in t.present.choices)}
    ordered = tuple(sorted(scope))
    # Whole numbers of any size: there are more networks than a float can count.
    allowed = np.ones([len(space.choices[c].options) for c in ordered], object)
    if not always:
        for arch in space.joint_options(ordered):
            used = any(template.present.at(arch) for template in users)
            allowed[tuple(arch[c] for c in ordered)] = int(used or arch[choice] == 0)
    return ordered, allowed


def _product(factors: list[Factor]) -> Factor:
    scope = tuple(sorted({choice for choices, _ in factors for choice in choices}))
    product: np.ndarray | int = 1
    for choices, array in factors:
        product = product * array[tuple(slice(None) if c in choices else None for c in scope)]
    return scope, np.asarray(product, object)
