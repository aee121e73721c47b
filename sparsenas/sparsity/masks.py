"""Which weights patterns keep, on the device and on the way to the final fraction of zeros.

At the end of a schedule it is what `Pattern.keep` says. Before, a pattern is imposed on a part of its
units: of 2:4 and kernel patterns, first on groups and kernels that lose the least by it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sparsenas.errors import UserError
from sparsenas.sparsity.layout import outputs_first, outputs_last
from sparsenas.sparsity.patterns import DENSE, Block, KernelPattern, NByM, Pattern, Sparsity, Unstructured
from sparsenas.sparsity.selection import largest

PyTree = Any


@dataclass(frozen=True)
class Target:
    """How sparse one array of the parameters is to be in the end.

    Attributes:
        sparsity: its zeros; `DENSE` for none.
        op: operator of its layer, which says how it lies in memory (`sparsenas.sparsity.layout`).
    """

    sparsity: Sparsity = DENSE
    op: str = "conv1x1"

    @property
    def pruned(self) -> bool:
        """Whether it has any zeros."""
        return self.sparsity.fraction > 0


class _Plan(NamedTuple):
    """How a mask follows from comparisons.

    Attributes:
        questions: scores of units, and how many of the lowest go.
        answer: which units of each question stay -> mask [D, ...].
    """

    questions: list[tuple[jax.Array, jax.Array]]
    answer: Callable[[list[jax.Array]], jax.Array]


def masks_of(scores: PyTree, targets: PyTree, part: jax.Array) -> PyTree:
    """Returns which weights are kept, bool of each array's shape; a scalar True where none is pruned.

    Args:
        scores: like the parameters, higher for more important ones; not read where the target is dense.
        targets: like the parameters, a `Target` each.
        part: scalar from 0 to 1, of the final fractions of zeros. At 1 exactly `Pattern.nonzeros` stay.
    """
    wanted, structure = jax.tree.flatten(targets)
    plans = [
        _plan(target.sparsity, outputs_first(score, target.op), part) if target.pruned else None
        for target, score in zip(wanted, structure.flatten_up_to(scores), strict=True)
    ]
    questions = [question for plan in plans if plan is not None for question in plan.questions]
    answers = iter(largest([score for score, _ in questions], [count for _, count in questions]))
    masks = []
    for target, plan in zip(wanted, plans, strict=True):
        if plan is None:
            masks.append(jnp.array(True))
        else:
            masks.append(outputs_last(plan.answer([next(answers) for _ in plan.questions]), target.op))
    return jax.tree.unflatten(structure, masks)


def check_targets(targets: PyTree, params: PyTree) -> None:
    """Raises `UserError` where an array cannot have its pattern, with the array's name."""
    for (path, target), weight in zip(
        jax.tree.leaves_with_path(targets), jax.tree.leaves(params), strict=True
    ):
        if target.pruned and isinstance(target.sparsity.pattern, KernelPattern):
            shape = outputs_first(weight, target.op).shape
            if shape[2:] != (3, 3):
                name = jax.tree_util.keystr(path, simple=True, separator="/")
                raise UserError(
                    f"Kernel patterns are for convolutions with 3x3 kernels, weights [D, C, 3, 3]; "
                    f"{name!r} ({target.op}) has {list(shape)}: give it another pattern."
                )


def unit_sums(pattern: Pattern, array: jax.Array) -> list[jax.Array]:
    """Adds up what is kept or pruned together, for each kind of unit apart.

    Args:
        pattern: `Unstructured` or `Block`.
        array: [D, ...].
    """
    return [band.sum(1) for band in _bands(pattern, array)]


def of_units(pattern: Pattern, kept: list[jax.Array], shape: tuple[int, ...]) -> jax.Array:
    """Returns the mask [D, ...] of units that are kept, in the order of `unit_sums`."""
    rows = getattr(pattern, "rows", 1)
    heights = [rows, shape[0] % rows]
    bands = [jnp.repeat(band, height, axis=0) for band, height in zip(kept, heights, strict=False)]
    return jnp.concatenate(bands).reshape(shape)


def _bands(pattern: Pattern, array: jax.Array) -> list[jax.Array]:
    """Returns the full blocks and, where there are any, the lower ones: each [B, rows, columns]."""
    rows = getattr(pattern, "rows", 1)
    matrix = array.reshape(array.shape[0], -1)
    full = len(matrix) // rows * rows
    bands = [matrix[:full].reshape(-1, rows, matrix.shape[1])]
    return bands if full == len(matrix) else [*bands, matrix[None, full:]]


def _plan(sparsity: Sparsity, score: jax.Array, part: jax.Array) -> _Plan:
    match sparsity.pattern:
        case Unstructured() | Block() as pattern:
            return _plan_units(pattern, sparsity.fraction, score, part)
        case NByM() as pattern:
            return _plan_groups(pattern, score, part)
        case KernelPattern() as pattern:
            return _plan_kernels(pattern, sparsity.fraction, score, part)
        case pattern:
            raise ValueError(f"Nothing prunes to the pattern {pattern.name}.")


def _plan_units(pattern: Pattern, fraction: float, score: jax.Array, part: jax.Array) -> _Plan:
    sums = unit_sums(pattern, score)
    questions = [(units, _so_far(part, round(fraction * units.size))) for units in sums]
    return _Plan(questions, lambda kept: of_units(pattern, kept, score.shape))


def _plan_groups(pattern: NByM, score: jax.Array, part: jax.Array) -> _Plan:
    d = score.shape[0]
    matrix = score.reshape(d, -1)
    columns = matrix.shape[1]
    padding = ((0, 0), (0, -columns % pattern.m))
    groups = jnp.pad(matrix, padding, constant_values=-jnp.inf).reshape(d, -1, pattern.m)
    is_real = jnp.pad(jnp.ones(matrix.shape, bool), padding).reshape(groups.shape)
    # How many of a group come before each member: higher ones, and the earlier of equal ones.
    ours, theirs = groups[..., :, None], groups[..., None, :]
    earlier = jnp.tri(pattern.m, k=-1, dtype=bool)[None, None]
    place = ((theirs > ours) | ((theirs == ours) & earlier)).sum(-1)
    stays = place < pattern.n
    lost = jnp.where(stays | ~is_real, 0, groups).sum(-1)  # [D, groups]

    def answer(kept: list[jax.Array]) -> jax.Array:
        mask = (stays | kept[0][..., None]).reshape(d, -1)
        return mask[:, :columns].reshape(score.shape)

    return _Plan([(lost, _so_far(part, lost.size))], answer)


def _plan_kernels(pattern: KernelPattern, fraction: float, score: jax.Array, part: jax.Array) -> _Plan:
    members = jnp.asarray(pattern.members())
    kernels = score.reshape(-1, pattern.window)
    totals = jnp.matmul(kernels, members.T.astype(kernels.dtype), precision="highest")  # [K, patterns]
    best = totals.max(1)
    removed = len(kernels) - pattern.kernels(len(kernels), fraction)

    def answer(kept: list[jax.Array]) -> jax.Array:
        stays, whole = kept
        return ((members[totals.argmax(1)] | whole[:, None]) & stays[:, None]).reshape(score.shape)

    lost = kernels.sum(1) - best
    return _Plan([(best, _so_far(part, removed)), (lost, _so_far(part, len(kernels)))], answer)


def _so_far(part: jax.Array, count: int) -> jax.Array:
    # The end is exact, also where the count has more digits than a float32.
    return jnp.where(part >= 1, count, jnp.int32(jnp.round(part * count)))
