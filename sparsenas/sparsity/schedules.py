"""How the fraction of zeros grows during training."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Schedule = Callable[[jax.Array], jax.Array]
"""Step to the part of the final sparsity, 0 to 1."""


def polynomial(*, begin: int, end: int, power: float) -> Schedule:
    """Grows from 0 at one step to 1 at another; the higher the power, the more of it early.

        part(t) = 1 - (1 - (t - begin) / (end - begin)) ** power,   0 before `begin`, 1 from `end` on

    >>> [float(polynomial(begin=0, end=10, power=1)(step)) for step in (0, 5, 10, 20)]
    [0.0, 0.5, 1.0, 1.0]
    """
    if not 0 <= begin < end:
        raise ValueError(f"`begin` ({begin}) must be at least 0 and below `end` ({end}).")
    if not power > 0:
        raise ValueError(f"`power` must be above 0, found {power}.")

    def part(step: jax.Array) -> jax.Array:
        done = jnp.clip((jnp.float32(step) - begin) / (end - begin), 0, 1)
        return 1 - (1 - done) ** power

    return part


def cubic(*, begin: int, end: int) -> Schedule:
    """Prunes fast at first, while there is much to spare, and slowly at the end.

    The polynomial of power 3 (Zhu and Gupta, 2017, https://arxiv.org/abs/1710.01878).

    >>> [round(float(cubic(begin=0, end=10)(step)), 3) for step in (0, 5, 10, 20)]
    [0.0, 0.875, 1.0, 1.0]
    """
    return polynomial(begin=begin, end=end, power=3)


def one_shot(*, at: int) -> Schedule:
    """Prunes everything at one step; from the first on it is a constant sparsity.

    >>> [float(one_shot(at=3)(step)) for step in (2, 3)]
    [0.0, 1.0]
    """
    if at < 0:
        raise ValueError(f"`at` must be at least 0, found {at}.")
    return lambda step: jnp.float32(step >= at)
