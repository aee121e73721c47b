"""How much a weight matters, to choose those that become zeros.

A score may remember what it saw of weights and gradients. Where a weight is 0 already its score says
nothing, and nobody asks.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Memory = Any


class Score(NamedTuple):
    """A score of the entries of one array.

    Attributes:
        init: weight -> what is remembered.
        watch: `(memory, weight, gradient) -> memory`, at every step.
        value: `(memory, weight) -> score`, of the weight's shape, higher for what is kept.
    """

    init: Callable[[jax.Array], Memory]
    watch: Callable[[Memory, jax.Array, jax.Array], Memory]
    value: Callable[[Memory, jax.Array], jax.Array]


def magnitude() -> Score:
    """|w| (Zhu and Gupta, 2017, https://arxiv.org/abs/1710.01878)."""
    return Score(lambda w: (), lambda memory, w, g: memory, lambda memory, w: jnp.abs(w))


def energy() -> Score:
    """w ** 2: what a zero adds to the squared distance from the weights as they were."""
    return Score(lambda w: (), lambda memory, w, g: memory, lambda memory, w: jnp.square(w))


def movement() -> Score:
    """-sum_t w_t * g_t: weights that training moves away from 0 (Sanh et al., 2020, https://arxiv.org/abs/2005.07683)."""
    return Score(jnp.zeros_like, lambda memory, w, g: memory - w * g, lambda memory, w: memory)


def first_order(*, decay: float = 0.95) -> Score:
    """The mean of |w * g|, by which the loss rises without the weight.

    To first order (Molchanov et al., 2019, https://arxiv.org/abs/1906.10771).

    Args:
        decay: what a step leaves of the running mean.
    """
    if not 0 <= decay < 1:
        raise ValueError(f"`decay` must be at least 0 and below 1, found {decay}.")

    def watch(memory: jax.Array, w: jax.Array, g: jax.Array) -> jax.Array:
        return decay * memory + (1 - decay) * jnp.abs(w * g)

    return Score(jnp.zeros_like, watch, lambda memory, w: memory)
