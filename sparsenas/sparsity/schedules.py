"""How the fraction of zeros grows during training."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Schedule = Callable[[jax.Array], jax.Array]
"""Step to the part of the final sparsity, 0 to 1."""


def cubic(*, begin: int, end: int) -> Schedule:
    """Prunes fast at first, while there is much to spare, and slowly at the end.

        part(t) = 1 - (1 - (t - begin) / (end - begin)) ** 3,   0 before `begin`, 1 from `end` on

    (Zhu and Gupta, 2017, https://arxiv.org/abs/1710.01878).

    >>> [round(float(cubic(begin=0, end=10)(step)), 3) for step in (0, 5, 10, 20)]
    [0.0, 0.875, 1.0, 1.0]
    """
    if not 0 <= begin < end:
        raise ValueError(f"`begin` ({begin}) must be at least 0 and below `end` ({end}).")

    def part(step: jax.Array) -> jax.Array:
        done = jnp.clip((jnp.float32(step) - begin) / (end - begin), 0, 1)
        return 1 - (1 - done) ** 3

    return part
