"""An exponential moving average of the weights, which is often better than the last ones.

    average = d * average + (1 - d) * weights,   d = min(decay, (1 + t) / (10 + t))

(Polyak and Juditsky, 1992, https://doi.org/10.1137/0330046). At first it forgets faster, so that the random
start does not stay in it. A weight that is 0 has the average 0: pruned weights stay pruned.
"""

from typing import Any

import jax
import jax.numpy as jnp

PyTree = Any


def averaged(average: PyTree, values: PyTree, step: jax.Array, *, decay: float) -> PyTree:
    """Returns the average after one more step.

    Args:
        average, values: trees of float arrays.
        step: scalar t, steps before this one.
    """
    t = jnp.float32(step)
    kept = jnp.minimum(decay, (1 + t) / (10 + t))
    return jax.tree.map(lambda a, v: jnp.where(v == 0, 0, kept * a + (1 - kept) * v), average, values)
