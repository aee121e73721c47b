"""Sparse from the first step: small weights are dropped, and others grow where the gradient is large.

RigL (Evci et al., 2020, https://arxiv.org/abs/1911.11134). The number of zeros never changes.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from sparsenas.errors import UserError
from sparsenas.sparsity.layout import outputs_first, outputs_last
from sparsenas.sparsity.masking import Masker
from sparsenas.sparsity.masks import Target, check_targets, masks_of, of_units, unit_sums
from sparsenas.sparsity.patterns import Block, Unstructured
from sparsenas.sparsity.selection import largest

PyTree = Any


def rigl(targets: PyTree, *, end: int, every: int = 100, fraction: float = 0.3) -> Masker:
    """Returns the masker that moves the zeros about.

        moved(t) = fraction / 2 * (1 + cos(pi * t / end)) * kept

    weights, or blocks of weights, are dropped by magnitude, and as many grow by the magnitude of the
    gradient, from 0 unless this very step dropped them. It starts from the largest initial weights, which are
    as random as weights are then.

    Args:
        targets: like the parameters, a `Target` each, unstructured or of blocks.
        end: step from which the masks stay.
        every: steps between two changes of the masks.
        fraction: of the kept ones that the first change moves.

    Raises:
        UserError: for another pattern.
    """
    if not 0 < fraction <= 1:
        raise UserError(f"`fraction` of RigL must be above 0 and at most 1, found {fraction}.")
    if every < 1:
        raise ValueError(f"`every` must be at least 1, found {every}.")
    for target in jax.tree.leaves(targets):
        if target.pruned and not isinstance(target.sparsity.pattern, Unstructured | Block):
            raise UserError(
                f"RigL moves single weights or blocks, so that it trains unstructured, block2 and block4, "
                f"found {target.sparsity.pattern.name}; train that by magnitude."
            )

    def init(params: PyTree) -> tuple[PyTree, tuple]:
        check_targets(targets, params)
        return jax.jit(lambda scores: masks_of(scores, targets, jnp.float32(1)))(_magnitudes(params)), ()

    def due(memory: tuple, step: jax.Array) -> jax.Array:
        return (step > 0) & (step % every == 0) & (step < end)

    def change(
        memory: tuple, step: jax.Array, masks: PyTree, gradients: PyTree, params: PyTree
    ) -> tuple[PyTree, tuple]:
        share = fraction / 2 * (1 + jnp.cos(jnp.pi * jnp.float32(step) / end))
        wanted, structure = jax.tree.flatten(targets)
        kept, sizes, slopes = (
            _units(wanted, tree)
            for tree in (jax.tree.map(jnp.float32, masks), _magnitudes(params), _magnitudes(gradients))
        )
        kept = [units > 0 for units in kept]
        moved = [jnp.int32(jnp.round(share * units.sum())) for units in kept]
        stay = largest(
            [jnp.where(k, size, -1) for k, size in zip(kept, sizes, strict=True)],
            [k.size - (k.sum() - m) for k, m in zip(kept, moved, strict=True)],
        )
        grow = largest(
            [jnp.where(s, -1, slope) for s, slope in zip(stay, slopes, strict=True)],
            [k.size - m for k, m in zip(kept, moved, strict=True)],
        )
        now = iter([s | g for s, g in zip(stay, grow, strict=True)])
        leaves = [
            _weights_of(now, target, mask) if target.pruned else mask
            for target, mask in zip(wanted, jax.tree.leaves(masks), strict=True)
        ]
        return jax.tree.unflatten(structure, leaves), ()

    return Masker(init, lambda memory, gradients, params: memory, due, change)


def _magnitudes(tree: PyTree) -> PyTree:
    return jax.tree.map(jnp.abs, tree)


def _units(targets: list[Target], tree: PyTree) -> list[jax.Array]:
    """Returns the sums over units of all pruned arrays, one after the other."""
    return [
        units
        for target, array in zip(targets, jax.tree.leaves(tree), strict=True)
        if target.pruned
        for units in unit_sums(target.sparsity.pattern, outputs_first(array, target.op))
    ]


def _weights_of(units: Iterator[jax.Array], target: Target, mask: jax.Array) -> jax.Array:
    """Returns the mask of the next units."""
    shape = outputs_first(mask, target.op).shape
    pattern = target.sparsity.pattern
    count = len(jax.eval_shape(lambda: unit_sums(pattern, jnp.zeros(shape))))
    return outputs_last(of_units(pattern, [next(units) for _ in range(count)], shape), target.op)
