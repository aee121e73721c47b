"""The largest of many scores, found without sorting.

XLA on a CPU takes long to compile a sort and longer to run it. Floats are ordered like integers made of
their bits, so that 32 counts find the score that separates the two parts, in all arrays at once.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

_LOWEST = jnp.iinfo(jnp.int32).min
_ALL_BUT_SIGN = jnp.iinfo(jnp.int32).max


def largest(scores: Sequence[jax.Array], pruned: Sequence[jax.Array]) -> list[jax.Array]:
    """Returns where all but some of the smallest scores are, bool of each array's shape.

    Args:
        scores: of any shape and sign, as float32.
        pruned: how many of each array are not returned; of equal scores the first go first.
    """
    keys = [_ordered(score) for score in scores]

    # The largest threshold that has at most k keys below it is the (k + 1)th smallest key.
    def try_bit(i: int, thresholds: list[jax.Array]) -> list[jax.Array]:
        trials = [t | (jnp.int32(1) << (30 - i)) for t in thresholds]
        return [
            jnp.where((key < trial).sum() <= k, trial, t)
            for key, k, t, trial in zip(keys, pruned, thresholds, trials, strict=True)
        ]

    signs = [
        jnp.where((key < 0).sum() <= k, jnp.int32(0), jnp.int32(_LOWEST))
        for key, k in zip(keys, pruned, strict=True)
    ]
    thresholds = lax.fori_loop(0, 31, try_bit, signs)
    found = []
    for key, k, t in zip(keys, pruned, thresholds, strict=True):
        equal = key == t
        place = jnp.cumsum(equal.ravel()).reshape(equal.shape)
        found.append((key > t) | (equal & (place > k - (key < t).sum())))
    return found


def _ordered(score: jax.Array) -> jax.Array:
    """Returns integers in the order of the scores; both zeros are one."""
    score = jnp.where(score == 0, 0, score).astype(jnp.float32)
    bits = lax.bitcast_convert_type(score, jnp.int32)
    return jnp.where(bits < 0, bits ^ _ALL_BUT_SIGN, bits)
