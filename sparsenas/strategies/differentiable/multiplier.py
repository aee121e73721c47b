"""Holds a search at its latency target (Platt and Barr, 1987, Constrained Differential Optimization).

https://papers.neurips.cc/paper/1987/hash/a87ff679a2f3e71d9181a67b7542122c-Abstract.html

The trade-off between loss and latency is no setting but found during the search, so that one search is
enough: with the excess g = log(latency / target), the logits descend and the multiplier ascends on

    loss + multiplier * g + damping / 2 * g ** 2.

The multiplier grows as long as networks are too slow and falls, below 0 if need be, while they are too fast.
"""

import jax
import jax.numpy as jnp

from sparsenas.strategies.differentiable.base import Logits, Of, softmax

# Mixtures get sharper for the target than for the loss: what is to meet it is no mixture in the end.
_SHARPEST = 0.25


def excess(latency: Of, logits: Logits, target_ms: float | jax.Array, progress: jax.Array) -> jax.Array:
    """Returns log(expected latency / target) of softmax(logits / T), where T falls from 1 to a quarter."""
    temperature = 1 - (1 - _SHARPEST) * progress
    return jnp.log(latency(softmax(logits, temperature)) / target_ms)


def pull(
    latency: Of,
    logits: Logits,
    multiplier: jax.Array,
    *,
    target_ms: float | jax.Array,
    damping: float,
    progress: jax.Array,
) -> tuple[jax.Array, Logits]:
    """Returns the excess, and the gradient by the logits of what holds them at the target."""
    value, by_logits = jax.value_and_grad(lambda logits: excess(latency, logits, target_ms, progress))(logits)
    strength = multiplier + damping * value
    return value, tuple(strength * one for one in by_logits)
