"""Gradual pruning: ever more of the least important weights become 0, along a schedule.

Zhu and Gupta, 2017 (https://arxiv.org/abs/1710.01878), for every pattern; with blocks, as Elsen et al.
(2020, https://arxiv.org/abs/1911.09723) train for sparse kernels.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from sparsenas.sparsity.masking import Masker, masked, only_kept
from sparsenas.sparsity.masks import check_targets, masks_of
from sparsenas.sparsity.schedules import Schedule
from sparsenas.sparsity.scores import Score, magnitude

PyTree = Any

# Below any score, and small enough that nine of them can be added up.
_GONE = -1e30


class GradualMemory(NamedTuple):
    """What `gradual` remembers.

    Attributes:
        part: scalar, of the final sparsity that the masks have.
        scores: memory of the score for each pruned array, () for others.
    """

    part: jax.Array
    scores: list


def gradual(targets: PyTree, *, schedule: Schedule, score: Score | None = None, every: int = 1) -> Masker:
    """Returns the masker that prunes along a schedule; a pruned weight stays pruned.

    When the schedule has reached 1, a weight has exactly the zeros that its pattern promises.

    Args:
        targets: like the parameters, a `Target` each.
        schedule: traced step to the part of the final sparsity; must not fall.
        score: of importance; `magnitude` where left out.
        every: steps between two changes of the masks.
    """
    if every < 1:
        raise ValueError(f"`every` must be at least 1, found {every}.")
    score = score or magnitude()
    pruned = [target.pruned for target in jax.tree.leaves(targets)]

    def init(params: PyTree) -> tuple[PyTree, GradualMemory]:
        check_targets(targets, params)
        masks = jax.tree.map(lambda t, w: np.ones(np.shape(w) if t.pruned else (), bool), targets, params)
        return masks, GradualMemory(jnp.float32(0), _map(score.init, pruned, params))

    def watch(memory: GradualMemory, gradients: PyTree, params: PyTree) -> GradualMemory:
        scores = [
            score.watch(seen, w, g) if p else ()
            for p, seen, w, g in zip(
                pruned, memory.scores, jax.tree.leaves(params), jax.tree.leaves(gradients), strict=True
            )
        ]
        return memory._replace(scores=scores)

    def due(memory: GradualMemory, step: jax.Array) -> jax.Array:
        part = jnp.float32(schedule(step))
        return (part > memory.part) & ((step % every == 0) | (part == 1))

    def change(
        memory: GradualMemory, step: jax.Array, masks: PyTree, gradients: PyTree, params: PyTree
    ) -> tuple[PyTree, GradualMemory]:
        part = jnp.float32(schedule(step))
        leaves, structure = jax.tree.flatten(params)
        values = [
            only_kept(score.value(seen, w), mask, _GONE) if p else w
            for p, seen, w, mask in zip(pruned, memory.scores, leaves, jax.tree.leaves(masks), strict=True)
        ]
        masks = masks_of(jax.tree.unflatten(structure, values), targets, part)
        return masks, memory._replace(part=part)

    return Masker(init, watch, due, change)


def magnitude_pruning(
    inner: optax.GradientTransformation, targets: PyTree, *, schedule: Schedule, every: int = 1
) -> optax.GradientTransformation:
    """Wraps an optimizer so that the smallest weights become 0 along a schedule, and stay 0."""
    return masked(inner, gradual(targets, schedule=schedule, every=every))


def _map(fn, pruned: list[bool], params: PyTree) -> list:
    return [fn(w) if p else () for p, w in zip(pruned, jax.tree.leaves(params), strict=True)]
