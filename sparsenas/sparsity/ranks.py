"""Where each weight stands among its peers, so that the masks of all fractions of zeros nest.

The mask of a fraction of zeros is `rank >= fraction`, whatever the pattern: what a fraction keeps, every
lower one keeps as well. Peers are the weights between the same two neighbouring options of widths in and
out and of kernel sizes. So each narrower layer, and each with a smaller kernel, has the same fraction of
zeros, but for rounding in each of these shells.

Weights are arrays [D, C, T]: outputs, inputs, and taps of a window or pixels of an image.
"""

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from sparsenas.sparsity.patterns import Block, Dense, KernelPattern, NByM, Pattern, Sparsity, Unstructured


def sparse_patterns(options: Iterable[Sparsity]) -> tuple[Pattern, ...]:
    """Returns the patterns among some options that have zeros, each once, in their order."""
    return tuple(dict.fromkeys(option.pattern for option in options if option.fraction))


def ranks(
    weight: np.ndarray,
    pattern: Pattern,
    *,
    outputs: Sequence[int],
    inputs: Sequence[int],
    rings: np.ndarray,
) -> np.ndarray:
    """Returns the highest fraction of zeros at which each weight is kept: float32 [D, C, T], from 0 to 1.

    What is kept or pruned together has one rank, by the sum of its magnitudes.

    Args:
        weight: [D, C, T].
        outputs, inputs: the widths that a layer may have, ascending; the last ones are D and C.
        rings: int [T], the number of the smallest kernel size that has this tap.
    """
    score = np.abs(weight)
    d, c, t = score.shape
    column = _shells(c, inputs)[:, None] * (rings.max() + 1) + rings  # [C, T]
    match pattern:
        case Unstructured():
            row = _shells(d, outputs)
            return _standing(score, row[:, None, None] * (column.max() + 1) + column)
        case Block(rows=rows):
            # A width that cuts a block has its part of it as a lower block, counted apart.
            edges = {edge for width in outputs for edge in (width // rows, -(-width // rows))}
            blocks = np.add.reduceat(score, np.arange(0, d, rows), axis=0)
            row = _shells(len(blocks), sorted(edges - {0}))
            rank = _standing(blocks, row[:, None, None] * (column.max() + 1) + column)
            return np.repeat(rank, rows, axis=0)[:d]
        case NByM(m=m):
            # The largest of a group stands highest, also in a last group that is smaller.
            groups = np.pad(score.reshape(d, -1), ((0, 0), (0, -c * t % m)), constant_values=-1)
            order = np.argsort(groups.reshape(d, -1, m), axis=-1, kind="stable")
            place = np.argsort(order, axis=-1, kind="stable")
            return np.float32((place + 0.5) / m).reshape(d, -1)[:, : c * t].reshape(d, c, t)
        case KernelPattern(entries=entries, window=window):
            # Below this fraction nothing but the patterns makes zeros; above it whole kernels go.
            best = pattern.keep(score.reshape(d, c, 3, 3), pattern.fraction(kernels=1)).reshape(d, c, t)
            row = _shells(d, outputs)
            standing = _standing(
                (score * best).sum(-1), row[:, None] * (len(inputs) + 1) + _shells(c, inputs)
            )
            return best * np.float32(1 - (1 - standing) * (entries / window))[..., None]
        case Dense():
            raise ValueError("`pattern` must have zeros, found `Dense`.")


def _shells(size: int, widths: Sequence[int]) -> np.ndarray:
    """Returns for each position the number of the narrowest width that has it: int [size]."""
    edges = [0, *widths]
    return np.repeat(np.arange(len(widths)), [b - a for a, b in itertools.pairwise(edges)])[:size]


def _standing(score: np.ndarray, shell: np.ndarray) -> np.ndarray:
    """Returns the part of each entry's shell that is below it, (0, 1): float32 of the scores' shape."""
    shell = np.broadcast_to(shell, score.shape).ravel()
    order = np.argsort(score, axis=None, kind="stable")
    order = order[np.argsort(shell[order], kind="stable")]
    counts = np.bincount(shell)
    place = np.arange(score.size) - np.repeat(np.cumsum(counts) - counts, counts)
    standing = np.empty(score.size, np.float32)
    standing[order] = (place + 0.5) / np.repeat(counts, counts)
    return standing.reshape(score.shape)
