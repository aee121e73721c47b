"""What every differentiable search is: pure functions on logits.

An architecture is relaxed to one vector of logits per choice. The search says which mixture of networks a
step of the weights trains, and how a loss of such mixtures changes the logits; whoever trains the weights
steps both (`sparsenas.train.architecture`).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sparsenas.space import Space

Logits = tuple[jax.Array, ...]
"""One vector per choice of a space: float [options]."""

Mixture = tuple[jax.Array, ...]
"""One vector of shares per choice that add up to 1: float [options]."""

Of = Callable[[Mixture], jax.Array]
"""A scalar of a mixture, differentiable in its shares: its loss, or its latency in milliseconds."""


class Differentiable(NamedTuple):
    """A differentiable search.

    Randomness comes in as `key`; `progress` is the part of the search that is done, a scalar in [0, 1].

    Attributes:
        draw: `(logits, key, progress) -> mixture`, the network or networks that a step of the weights trains.
        gradient: `(loss, latency, logits, key, progress) -> (value, gradients)`, by the logits, of what is
            to be small.
        settle: `(before, after, key) -> logits`, what becomes of logits that a step of `gradient` with the
            same key has moved.
        hard: whether drawn mixtures are one-hot.
        unrolled: whether `loss` should look one step of the weights ahead.
        betas, decay: of Adam on the logits.
        multiplier: of the latency, to begin with.
    """

    draw: Callable[[Logits, jax.Array, jax.Array], Mixture]
    gradient: Callable[[Of, Of, Logits, jax.Array, jax.Array], tuple[jax.Array, Logits]]
    settle: Callable[[Logits, Logits, jax.Array], Logits] = lambda before, after, key: after
    hard: bool = False
    unrolled: bool = False
    betas: tuple[float, float] = (0.5, 0.999)
    decay: float = 0.0
    multiplier: float = 0.0


def even(space: Space) -> Logits:
    """Returns the logits to begin with: all options alike."""
    return tuple(jnp.zeros(len(choice.options), jnp.float32) for choice in space.choices)


def softmax(logits: Logits, temperature: jax.Array | float = 1.0) -> Mixture:
    """Returns exp(logit / temperature) over their sum, for each choice."""
    return tuple(jax.nn.softmax(one / temperature) for one in logits)


def keys(key: jax.Array, logits: Logits) -> list[jax.Array]:
    """Returns a key for each choice."""
    return [jax.random.fold_in(key, i) for i in range(len(logits))]
