"""An optax transformation that owns the masks.

A pruned weight is exactly 0 in the parameters, from the update that prunes it to the end: no loss, layer
or checkpoint need know of masks. Which weights that are, a `Masker` decides.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

PyTree = Any


class Masker(NamedTuple):
    """An algorithm that decides which weights are 0.

    Masks are like the parameters: bool of a weight's shape, True where it is kept, or a scalar True where
    an array is not pruned at all.

    Attributes:
        init: `params -> (masks, memory)`.
        watch: `(memory, gradients, params) -> memory`, at every step. Gradients are those of the loss, also
            where weights are 0.
        due: `(memory, step) -> bool`, whether this step changes the masks.
        change: `(memory, step, masks, gradients, params) -> (masks, memory)`.
    """

    init: Callable[[PyTree], tuple[PyTree, PyTree]]
    watch: Callable[[PyTree, PyTree, PyTree], PyTree]
    due: Callable[[PyTree, jax.Array], jax.Array]
    change: Callable[[PyTree, jax.Array, PyTree, PyTree, PyTree], tuple[PyTree, PyTree]]


class MaskingState(NamedTuple):
    """State of `masked`.

    Attributes:
        step: scalar, updates so far.
        masks: see `Masker`.
        memory: of the masker.
        inner: state of the wrapped optimizer.
    """

    step: jax.Array
    masks: PyTree
    memory: PyTree
    inner: optax.OptState


def masked(inner: optax.GradientTransformation, masker: Masker) -> optax.GradientTransformation:
    """Wraps an optimizer so that masked weights become 0, and stay 0 until the masker lets them grow again.

    Masked weights get no update, no momentum and no weight decay.

    Args:
        inner: sees gradients that are 0 where weights are masked.
    """

    def init(params: PyTree) -> MaskingState:
        masks, memory = masker.init(params)
        return MaskingState(jnp.int32(0), masks, memory, inner.init(params))

    def update(gradients: PyTree, state: MaskingState, params: PyTree) -> tuple[PyTree, MaskingState]:
        def change(masks: PyTree, memory: PyTree, moments: optax.OptState) -> tuple:
            masks, memory = masker.change(memory, state.step, masks, gradients, params)
            return masks, memory, optax.tree_utils.tree_map_params(inner, only_kept, moments, masks)

        memory = masker.watch(state.memory, gradients, params)
        masks, memory, moments = lax.cond(
            masker.due(memory, state.step),
            change,
            lambda *unchanged: unchanged,
            state.masks,
            memory,
            state.inner,
        )
        updates, moments = inner.update(apply_masks(gradients, masks), moments, params)
        updates = to_zero(updates, masks, params)
        return updates, MaskingState(state.step + 1, masks, memory, moments)

    return optax.GradientTransformation(init, update)


def apply_masks(params: PyTree, masks: PyTree) -> PyTree:
    """Returns the parameters with 0 where a mask is False."""
    return jax.tree.map(only_kept, params, masks)


def only_kept(array: jax.Array, mask: jax.Array, otherwise: jax.Array | float = 0) -> jax.Array:
    """Returns an array with another value where its mask is False."""
    return jnp.where(mask, array, otherwise) if jnp.ndim(mask) else array


def to_zero(updates: PyTree, masks: PyTree, params: PyTree) -> PyTree:
    """Returns updates that take masked weights from any value exactly to 0."""
    return jax.tree.map(lambda u, mask, w: only_kept(u, mask, -w), updates, masks, params)
