"""Weights live on behind their masks, and may come back.

The network computes with masked weights; the gradient that it finds for them moves all weights, straight
through the mask. Those behind it shrink as well, so that masks settle (SR-STE, Zhou et al., 2021,
https://arxiv.org/abs/2102.04010). Made for 2:4, and it works for every pattern.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from sparsenas.sparsity.masking import only_kept
from sparsenas.sparsity.masks import check_targets, masks_of
from sparsenas.sparsity.schedules import Schedule

PyTree = Any


class StraightThroughState(NamedTuple):
    """State of `straight_through`.

    Attributes:
        step: scalar, updates so far.
        masks: like the parameters; a scalar True where an array is not pruned.
        weights: like the parameters, also those behind masks; a scalar where an array is not pruned.
        inner: state of the wrapped optimizer.
    """

    step: jax.Array
    masks: PyTree
    weights: PyTree
    inner: optax.OptState


def straight_through(
    inner: optax.GradientTransformation,
    targets: PyTree,
    *,
    schedule: Schedule,
    decay: float = 2e-4,
    every: int = 1,
) -> optax.GradientTransformation:
    """Wraps an optimizer so that it moves weights which the network sees masked by their own magnitudes.

        weights -= inner(gradient + decay * (1 - mask) * weights);   parameters = mask(weights) * weights

    Args:
        targets: like the parameters, a `Target` each.
        schedule: traced step to the part of the final sparsity.
        decay: of the weights behind masks.
        every: steps between two looks at the masks.
    """
    if every < 1:
        raise ValueError(f"`every` must be at least 1, found {every}.")

    def init(params: PyTree) -> StraightThroughState:
        check_targets(targets, params)
        masks = jax.tree.map(lambda t, w: np.ones(np.shape(w) if t.pruned else (), bool), targets, params)
        weights = jax.tree.map(lambda t, w: w if t.pruned else np.float32(0), targets, params)
        return StraightThroughState(jnp.int32(0), masks, weights, inner.init(params))

    def update(
        gradients: PyTree, state: StraightThroughState, params: PyTree
    ) -> tuple[PyTree, StraightThroughState]:
        weights = jax.tree.map(lambda t, own, w: own if t.pruned else w, targets, state.weights, params)
        gradients = jax.tree.map(
            lambda g, mask, w: g + only_kept(jnp.zeros_like(w), mask, decay * w),
            gradients,
            state.masks,
            weights,
        )
        updates, moments = inner.update(gradients, state.inner, weights)
        weights = optax.apply_updates(weights, updates)
        part = jnp.float32(schedule(state.step))
        masks = lax.cond(
            (part > 0) & ((state.step % every == 0) | (part == 1)),
            lambda: masks_of(jax.tree.map(jnp.abs, weights), targets, part),
            lambda: state.masks,
        )
        updates = jax.tree.map(
            lambda t, u, mask, new, w: only_kept(new - w, mask, -w) if t.pruned else u,
            targets,
            updates,
            masks,
            weights,
            params,
        )
        hidden = jax.tree.map(lambda t, w: w if t.pruned else jnp.float32(0), targets, weights)
        return updates, StraightThroughState(state.step + 1, masks, hidden, moments)

    return optax.GradientTransformation(init, update)
