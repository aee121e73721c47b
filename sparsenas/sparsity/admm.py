"""Training is drawn towards a pattern before it is imposed: alternating directions (ADMM).

    minimise loss(W) + rho / 2 * |W - Z + U|^2,   then Z = P(W + U),   then U = U + W - Z

where P takes weights to the nearest ones that have the pattern (Zhang et al., 2018,
https://arxiv.org/abs/1804.03294). With kernel patterns and removed kernels it is how PCONV and PatDNN train
(Ma et al., 2020, https://arxiv.org/abs/1909.05073; Niu et al., 2020, https://arxiv.org/abs/2001.00138).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from sparsenas.errors import UserError
from sparsenas.sparsity.gradual import gradual
from sparsenas.sparsity.masking import apply_masks, masked
from sparsenas.sparsity.masks import check_targets, masks_of
from sparsenas.sparsity.schedules import one_shot
from sparsenas.sparsity.scores import energy

PyTree = Any

_GROWTH = 100.0


class AdmmState(NamedTuple):
    """State of `toward_pattern`.

    Attributes:
        step: scalar, updates so far.
        goal: Z, like the parameters; a scalar where an array is not pruned.
        dual: U, likewise.
    """

    step: jax.Array
    goal: PyTree
    dual: PyTree


def project(weights: PyTree, targets: PyTree) -> PyTree:
    """Returns the nearest weights (least squares) that have the patterns of their targets."""
    return apply_masks(weights, masks_of(jax.tree.map(jnp.square, weights), targets, jnp.float32(1)))


def admm(
    inner: optax.GradientTransformation,
    targets: PyTree,
    *,
    end: int,
    every: int = 50,
    rho: float = 1e-3,
) -> optax.GradientTransformation:
    """Wraps an optimizer so that weights approach their patterns, and have them from a step on.

    Args:
        targets: like the parameters, a `Target` each.
        end: step at which all else is set to 0.
        every: steps of training between two projections.
        rho: the penalty's factor at first; it grows a hundredfold until `end`, so that the loss decides
            first and the pattern last.
    """
    prune = masked(inner, gradual(targets, schedule=one_shot(at=end), score=energy()))
    return optax.chain(toward_pattern(targets, end=end, every=every, rho=rho), prune)


def toward_pattern(targets: PyTree, *, end: int, every: int, rho: float) -> optax.GradientTransformation:
    """Adds rho * (W - Z + U) to gradients, until a step."""
    if not rho > 0:
        raise UserError(f"`rho` must be above 0, found {rho}.")
    if every < 1:
        raise ValueError(f"`every` must be at least 1, found {every}.")

    def pruned(tree: PyTree) -> PyTree:
        return jax.tree.map(lambda t, w: jnp.asarray(w) if t.pruned else jnp.float32(0), targets, tree)

    def init(params: PyTree) -> AdmmState:
        check_targets(targets, params)
        goal = pruned(jax.jit(lambda weights: project(weights, targets))(params))
        return AdmmState(jnp.int32(0), goal, jax.tree.map(jnp.zeros_like, goal))

    def update(gradients: PyTree, state: AdmmState, params: PyTree) -> tuple[PyTree, AdmmState]:
        def turn(goal: PyTree, dual: PyTree) -> tuple[PyTree, PyTree]:
            weights = pruned(params)
            goal = project(jax.tree.map(jnp.add, weights, dual), targets)
            return goal, jax.tree.map(lambda u, w, z: u + w - z, dual, weights, goal)

        before = state.step < end
        goal, dual = lax.cond(
            before & (state.step > 0) & (state.step % every == 0),
            turn,
            lambda *unchanged: unchanged,
            state.goal,
            state.dual,
        )
        factor = jnp.where(before, rho * _GROWTH ** (jnp.float32(state.step) / max(end, 1)), 0)
        gradients = jax.tree.map(
            lambda t, g, w, z, u: g + factor * (w - z + u) if t.pruned else g,
            targets,
            gradients,
            params,
            goal,
            dual,
        )
        return gradients, AdmmState(state.step + 1, goal, dual)

    return optax.GradientTransformation(init, update)
