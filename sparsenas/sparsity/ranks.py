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
    score = np.abs(weight, dtype=np.float32)
    d, c, t = score.shape
    column = (_shells(c, inputs)[:, None] * (rings.max() + 1) + rings).ravel()  # [C * T]
    match pattern:
        case Unstructured():
            return _standing(score.reshape(d, -1), _shells(d, outputs), column).reshape(d, c, t)
        case Block(rows=rows):
            # A width that cuts a block has its part of it as a lower block, counted apart.
            edges = {edge for width in outputs for edge in (width // rows, -(-width // rows))}
            blocks = np.add.reduceat(score.reshape(d, -1), np.arange(0, d, rows), axis=0)
            rank = _standing(blocks, _shells(len(blocks), sorted(edges - {0})), column)
            return np.repeat(rank, rows, axis=0)[:d].reshape(d, c, t)
        case NByM(m=m):
            # The largest of a group stands highest, also in a last group that is smaller.
            groups = np.pad(score.reshape(d, -1), ((0, 0), (0, -c * t % m)), constant_values=-1)
            levels = np.float32((np.arange(m) + 0.5) / m)
            rank = levels[_places(groups.reshape(d, -1, m))]
            return rank.reshape(d, -1)[:, : c * t].reshape(d, c, t)
        case KernelPattern(entries=entries, window=window):
            # Below this fraction nothing but the patterns makes zeros; above it whole kernels go.
            best = pattern.keep(score.reshape(d, c, 3, 3), pattern.fraction(kernels=1)).reshape(d, c, t)
            standing = _standing((score * best).sum(-1), _shells(d, outputs), _shells(c, inputs))
            return best * np.float32(1 - (1 - standing) * (entries / window))[..., None]
        case Dense():
            raise ValueError("`pattern` must have zeros, found `Dense`.")


def _shells(size: int, widths: Sequence[int]) -> np.ndarray:
    """Returns for each position the number of the narrowest width that has it: int [size]."""
    edges = [0, *widths]
    return np.repeat(np.arange(len(widths)), [b - a for a, b in itertools.pairwise(edges)])[:size]


def _places(groups: np.ndarray) -> np.ndarray:
    """Returns how many of its group come before each entry, in ascending order: int8 [..., m].

    Of equals the first comes first. Groups are so small that comparing all pairs is faster than sorting.
    """
    # The first entries of all groups side by side, then the second ones: comparisons run through memory.
    entries = np.moveaxis(groups, -1, 0).copy()
    place = np.zeros(entries.shape, np.int8)
    for first, second in itertools.combinations(range(len(entries)), 2):
        later = entries[first] <= entries[second]
        place[second] += later
        place[first] += ~later
    return np.moveaxis(place, 0, -1)


def _standing(score: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Returns the part of each entry's shell that is below it, (0, 1): float32 [R, K].

    Args:
        score: float32 [R, K], none below 0.
        row, column: int [R] and [K]; entries are of one shell where both are the same.
    """
    standing = np.empty(score.shape, np.float32)
    for i, j in itertools.product(np.unique(row), np.unique(column)):
        shell = np.ix_(row == i, column == j)
        entries = score[shell]
        places = np.empty(entries.size, np.float32)
        places[_order(entries.ravel())] = (np.arange(entries.size) + 0.5) / entries.size
        standing[shell] = places.reshape(entries.shape)
    return standing


def _order(score: np.ndarray) -> np.ndarray:
    """Returns the positions of scores in ascending order, of equals the first first: int [N].

    Score and position are the upper and the lower half of one whole number, as floats from 0 up are ordered
    like their bits: numpy sorts numbers ten times as fast as it sorts positions.

    Args:
        score: float32 [N], none below 0, N below 2 ** 32.
    """
    keys = score.view(np.uint32).astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= np.arange(score.size, dtype=np.uint64)
    keys.sort()
    # The lower half, wherever this machine has it.
    return keys.astype(np.uint32)
