"""Evolution over a supernet that was trained by progressive shrinking (Once-for-All, Cai et al., 2020,
https://arxiv.org/abs/1908.09791)."""

from typing import NamedTuple

import numpy as np

from sparsenas.space import Arch, Space
from sparsenas.strategies.base import Probabilities, Result, Strategy
from sparsenas.strategies.pools import frequencies

SHRINKING = {"kernels_from": 0.0, "depths_from": 0.25, "widths_from": 0.5, "sparsities_from": 0.75}
"""The parts of the supernet's training after which each kind of choice opens: kernel sizes, then depths, then
widths, in OFA's order, and zeros last. Settings of `train.SupernetSettings`."""


class Generations(NamedTuple):
    """What is kept.

    Attributes:
        parents: the best of all generations that are complete, the best first, with their rewards.
        growing: the results of this one.
    """

    parents: tuple[tuple[Arch, float], ...]
    growing: tuple[tuple[Arch, float], ...]


def progressive(
    space: Space,
    *,
    population: int = 32,
    parents: float = 0.25,
    mutations: float = 0.5,
    mutate: float = 0.1,
) -> Strategy:
    """Breeds generations from the best so far, as Once-for-All searches its supernet.

    A part of each generation is mutations of a parent, in which every choice is drawn anew with probability
    `mutate`; the others take each choice from either of two parents. OFA's own population is 100, for an
    accuracy predictor that costs nothing; it draws each offspring until one meets the constraint, which here
    `admitted` does for any strategy.

    Args:
        parents: part of a generation that the next one is bred from.
        mutations: part of a generation.
    """
    kept = round(parents * population)
    if population < 4 or not 2 <= kept <= population:
        raise ValueError(
            f"`parents` ({parents}) of `population` ({population}) must be from 2 to all of at least 4."
        )
    if not (0 <= mutations <= 1 and 0 < mutate <= 1):
        raise ValueError(f"`mutations` ({mutations}) and `mutate` ({mutate}) must be from 0 to 1.")

    def init() -> Generations:
        return Generations((), ())

    def tell(state: Generations, arch: Arch, result: Result) -> Generations:
        growing = (*state.growing, (arch, float(result.reward)))
        if len(growing) < population:
            return state._replace(growing=growing)
        # Stable: of equal rewards the older one stays.
        ranked = sorted((*state.parents, *growing), key=lambda member: -member[1])
        return Generations(tuple(ranked[:kept]), ())

    def ask(state: Generations, rng: np.random.Generator) -> Arch:
        if not state.parents:
            return space.sample(rng)
        one, other = (state.parents[int(i)][0] for i in rng.integers(len(state.parents), size=2))
        if rng.random() < mutations:
            drawn = tuple(int(rng.integers(len(choice.options))) for choice in space.choices)
            return _crossed(one, drawn, mutate, rng)
        return _crossed(one, other, 0.5, rng)

    def _crossed(one: Arch, other: Arch, part: float, rng: np.random.Generator) -> Arch:
        taken = rng.random(len(one)) < part
        return space.canonical(tuple(b if take else a for a, b, take in zip(one, other, taken, strict=True)))

    def probabilities(state: Generations) -> Probabilities:
        return frequencies(space, [arch for arch, _ in state.parents])

    return Strategy(init, ask, tell, probabilities=probabilities)
