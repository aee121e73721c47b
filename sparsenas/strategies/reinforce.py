"""REINFORCE (Williams, 1992, https://doi.org/10.1007/BF00992696) on independent choices, as TuNAS has it
(Bender et al., 2020, https://arxiv.org/abs/2008.06120)."""

from typing import NamedTuple

import numpy as np

from sparsenas.space import Arch, Space
from sparsenas.strategies.base import Probabilities, Result, Strategy
from sparsenas.strategies.pools import sizes_of

_BETA2, _EPSILON = 0.999, 1e-8


class Controller(NamedTuple):
    """What was learned.

    Attributes:
        told: results so far.
        logits: [options of all choices], joined.
        square: [options], Adam's moving average of squared gradients.
        updates: steps that the logits took.
        baseline: moving average of rewards; None before the first.
    """

    told: int
    logits: np.ndarray
    square: np.ndarray
    updates: int
    baseline: float | None


def reinforce(
    space: Space,
    *,
    trials: int,
    learning_rate: float = 0.06,
    growth: float = 10.0,
    warmup: float = 0.25,
    momentum: float = 0.95,
) -> Strategy:
    """Draws each choice from its own softmax and makes the options of better architectures more likely.

        logits += rate * Adam((reward - baseline) * d log p(arch) / d logits)

    As in TuNAS: Adam without momentum (beta1 = 0), a rate that grows tenfold over the search, a moving
    average of the rewards as baseline, no bonus for entropy, and no step during the warm-up, when
    architectures are drawn uniformly with a probability that falls linearly to 0. With the reward `tunas` one
    search lands at its target. TuNAS' own rate of 3e-4 is for as many steps as a supernet trains; the usual
    one here is for a few hundred results.

    Args:
        trials: length of the search, which rate and warm-up are stretched over.
        learning_rate: of the first step.
        growth: of the rate, until the end.
        warmup: part of the trials.
        momentum: of the baseline.
    """
    if trials < 1:
        raise ValueError(f"`trials` ({trials}) must be at least 1.")
    if not (learning_rate > 0 and growth > 0):
        raise ValueError(f"`learning_rate` ({learning_rate}) and `growth` ({growth}) must be above 0.")
    if not (0 <= warmup < 1 and 0 <= momentum < 1):
        raise ValueError(f"`warmup` ({warmup}) and `momentum` ({momentum}) must be from 0 to below 1.")
    sizes = sizes_of(space)
    ends = np.cumsum(sizes)
    starts = ends - sizes

    def init() -> Controller:
        zeros = np.zeros(int(sizes.sum()))
        return Controller(0, zeros, zeros, 0, None)

    def ask(state: Controller, rng: np.random.Generator) -> Arch:
        if rng.random() < uniform_part(state.told, trials, warmup):
            return space.sample(rng)
        return space.canonical(tuple(int(rng.choice(len(p), p=p)) for p in probabilities(state)))

    def tell(state: Controller, arch: Arch, result: Result) -> Controller:
        reward, told = float(result.reward), state.told + 1
        baseline = reward if state.baseline is None else state.baseline
        moved = momentum * baseline + (1 - momentum) * reward
        if state.told < warmup * trials:
            return state._replace(told=told, baseline=moved)
        # Choices of absent layers had no part in the reward.
        gradient = np.zeros_like(state.logits)
        beliefs = probabilities(state)
        for choice in space.used_choices(arch):
            piece = gradient[starts[choice] : ends[choice]]
            piece -= beliefs[choice]
            piece[arch[choice]] += 1
        gradient *= reward - baseline
        updates = state.updates + 1
        square = _BETA2 * state.square + (1 - _BETA2) * gradient**2
        step = gradient / (np.sqrt(square / (1 - _BETA2**updates)) + _EPSILON)
        rate = learning_rate_at(state.told, trials, learning_rate, growth)
        return Controller(told, state.logits + rate * step, square, updates, moved)

    def probabilities(state: Controller) -> Probabilities:
        return tuple(_softmax(state.logits[a:b]) for a, b in zip(starts, ends, strict=True))

    return Strategy(init, ask, tell, probabilities=probabilities)


def uniform_part(told: int, trials: int, warmup: float) -> float:
    """Returns the probability that an architecture is drawn uniformly.

    >>> [uniform_part(told, 100, 0.25) for told in (0, 10, 25, 60)]
    [1.0, 0.6, 0.0, 0.0]
    """
    return max(0.0, 1 - told / (warmup * trials)) if warmup else 0.0


def learning_rate_at(told: int, trials: int, learning_rate: float, growth: float) -> float:
    """Returns the rate, which grows exponentially.

    >>> [round(learning_rate_at(told, 100, 0.1, 10.0), 3) for told in (0, 50, 100, 150)]
    [0.1, 0.316, 1.0, 1.0]
    """
    return learning_rate * growth ** min(1.0, told / trials)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()
