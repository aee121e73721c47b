"""Magnitude pruning as an optax transformation that owns the masks.

A pruned weight is exactly 0 in the parameters, from the update that prunes it to the end: no loss, layer
or checkpoint need know of masks.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from sparsenas.sparsity.schedules import Schedule

PyTree = Any


class PruningState(NamedTuple):
    """State of `magnitude_pruning`.

    Attributes:
        step: scalar, updates so far.
        part: scalar, of the final sparsity that the masks have.
        masks: like the parameters; bool of a weight's shape, True where it is kept, or a scalar True where
            a weight is not pruned at all.
        inner: state of the wrapped optimizer.
    """

    step: jax.Array
    part: jax.Array
    masks: PyTree
    inner: optax.OptState


def magnitude_pruning(
    inner: optax.GradientTransformation, sparsity: PyTree, *, schedule: Schedule, every: int = 1
) -> optax.GradientTransformation:
    """Wraps an optimizer so that the smallest weights become 0 along a schedule, and stay 0.

    Pruned weights get no update, no momentum and no weight decay. When the schedule has reached 1, a
    weight has exactly `round(sparsity * size)` zeros.

    Args:
        inner: sees gradients that are 0 where weights are pruned.
        sparsity: like the parameters, floats: the final fraction of zeros of each array, 0 for none.
        schedule: traced step to the part of the final sparsity; must not fall.
        every: steps between two changes of the masks.
    """

    def init(params: PyTree) -> PruningState:
        masks = jax.tree.map(lambda s, w: np.ones(np.shape(w) if s else (), bool), sparsity, params)
        return PruningState(jnp.int32(0), jnp.float32(0), masks, inner.init(params))

    def update(gradients: PyTree, state: PruningState, params: PyTree) -> tuple[PyTree, PruningState]:
        part = jnp.float32(schedule(state.step))

        def prune(_, masks: PyTree, moments: optax.OptState) -> tuple:
            zeros = jax.tree.map(
                lambda s, w: jnp.int32(jnp.round(part * round(s * w.size))), sparsity, params
            )
            masks = _largest(params, zeros, masks)
            moments = optax.tree_utils.tree_map_params(inner, _masked, moments, masks)
            return part, masks, moments

        due = (part > state.part) & ((state.step % every == 0) | (part == 1))
        part, masks, moments = lax.cond(
            due, prune, lambda *unchanged: unchanged, state.part, state.masks, state.inner
        )
        gradients = apply_masks(gradients, masks)
        updates, moments = inner.update(gradients, moments, params)
        # Where pruned, from any value exactly to 0.
        updates = jax.tree.map(lambda u, mask, w: _masked(u, mask, -w), updates, masks, params)
        return updates, PruningState(state.step + 1, part, masks, moments)

    return optax.GradientTransformation(init, update)


def apply_masks(params: PyTree, masks: PyTree) -> PyTree:
    """Returns the parameters with 0 where a mask is False."""
    return jax.tree.map(_masked, params, masks)


def _masked(array: jax.Array, mask: jax.Array, otherwise: jax.Array | float = 0) -> jax.Array:
    return jnp.where(mask, array, otherwise) if mask.ndim else array


def _largest(params: PyTree, zeros: PyTree, masks: PyTree) -> PyTree:
    """Returns masks of all but the `zeros` smallest magnitudes, the first of equal ones pruned first.

    The threshold is found bit by bit: non-negative floats are ordered like the integers of their bits, so
    31 counts do, where sorting takes XLA on a CPU long to compile and to run. Arrays whose mask is a
    scalar are left alone.
    """
    pruned = [mask.ndim > 0 for mask in jax.tree.leaves(masks)]
    weights = [w for w, p in zip(jax.tree.leaves(params), pruned, strict=True) if p]
    counts = [k for k, p in zip(jax.tree.leaves(zeros), pruned, strict=True) if p]
    bits = [lax.bitcast_convert_type(jnp.abs(w).astype(jnp.float32), jnp.int32) for w in weights]

    # The largest threshold that has at most k magnitudes below it is the (k + 1)th smallest.
    def try_bit(i: int, thresholds: list[jax.Array]) -> list[jax.Array]:
        trials = [t | (jnp.int32(1) << (30 - i)) for t in thresholds]
        return [
            jnp.where((b < trial).sum() <= k, trial, t)
            for b, k, t, trial in zip(bits, counts, thresholds, trials, strict=True)
        ]

    thresholds = lax.fori_loop(0, 31, try_bit, [jnp.int32(0) for _ in weights])
    found = []
    for b, k, t in zip(bits, counts, thresholds, strict=True):
        equal = b == t
        place = jnp.cumsum(equal.ravel()).reshape(equal.shape)
        found.append((b > t) | (equal & (place > k - (b < t).sum())))
    found = iter(found)
    return jax.tree.map(lambda mask: next(found) if mask.ndim else mask, masks)
