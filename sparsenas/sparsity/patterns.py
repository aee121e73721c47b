"""Patterns of zeros: which weights may be pruned independently of each other.

Weights are arrays [D, ...], output channels first, as `Layer.weight_shape` says. A pattern knows how many
of them it keeps at a fraction of zeros, which ones those are by a score, and which ones a model file
holds.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Dense:
    """Every weight is kept."""

    name = "dense"

    def check(self, fraction: float) -> None:
        """Raises `ValueError` where the pattern cannot have this fraction of zeros."""
        raise ValueError(f"`Dense` keeps every weight, found a fraction of zeros of {fraction}.")

    def nonzeros(self, shape: Sequence[int], fraction: float) -> int:
        """Returns how many weights of an array are kept."""
        return math.prod(shape)

    def keep(self, score: np.ndarray, fraction: float) -> np.ndarray:
        """Returns which weights are kept, those of the highest scores: bool of the scores' shape."""
        return np.ones(score.shape, bool)

    def stored(self, weight: np.ndarray) -> np.ndarray:
        """Returns which weights a model file holds: bool of their shape, True wherever one is not 0.

        Raises:
            ValueError: where the weights do not fit the pattern.
        """
        return np.ones(weight.shape, bool)


@dataclass(frozen=True)
class Unstructured:
    """Every weight stands for itself (Elsen et al., 2020, https://arxiv.org/abs/1911.09723).

    Any layer can have it that mixes channels; a convolution of more than one pixel runs as direct sparse
    convolution (Park et al., 2017, https://arxiv.org/abs/1608.01409).
    """

    name = "unstructured"

    def check(self, fraction: float) -> None:
        """Any fraction will do."""

    def nonzeros(self, shape: Sequence[int], fraction: float) -> int:
        """All but `round(fraction * size)`."""
        return _kept(math.prod(shape), fraction)

    def keep(self, score: np.ndarray, fraction: float) -> np.ndarray:
        """The highest scores."""
        return _highest(score.ravel(), _kept(score.size, fraction)).reshape(score.shape)

    def stored(self, weight: np.ndarray) -> np.ndarray:
        """Those that are not 0."""
        return weight != 0


@dataclass(frozen=True)
class Block:
    """Weights of `rows` neighbouring output channels at one input are kept or pruned together.

    They share the load of that input (Elsen et al., 2020). Where the output channels are no multiple of
    `rows`, the last ones form lower blocks; these and the full ones are counted and rounded apart.
    """

    rows: int = 4

    def __post_init__(self) -> None:
        if self.rows not in (2, 4):
            raise ValueError(f"`rows` of a block must be 2 or 4, found {self.rows}.")

    @property
    def name(self) -> str:
        return f"block{self.rows}"

    def check(self, fraction: float) -> None:
        """Any fraction will do."""

    def nonzeros(self, shape: Sequence[int], fraction: float) -> int:
        """The weights of all but `round(fraction * blocks)` blocks, for full and lower blocks apart."""
        d, columns = shape[0], math.prod(shape[1:])
        full, lower = d // self.rows * columns, columns
        return self.rows * _kept(full, fraction) + d % self.rows * _kept(lower, fraction)

    def keep(self, score: np.ndarray, fraction: float) -> np.ndarray:
        """The blocks whose scores add up to most."""
        bands = []
        for band in self._bands(score):
            total = band.sum(1)  # [B, columns]
            kept = _highest(total.ravel(), _kept(total.size, fraction)).reshape(total.shape)
            bands.append(np.repeat(kept, band.shape[1], axis=0))
        return np.concatenate(bands).reshape(score.shape)

    def stored(self, weight: np.ndarray) -> np.ndarray:
        """Every block that is not all 0."""
        bands = [np.repeat(band.any(1), band.shape[1], axis=0) for band in self._bands(weight)]
        return np.concatenate(bands).reshape(weight.shape)

    def _bands(self, weight: np.ndarray) -> list[np.ndarray]:
        """Returns the full blocks and, where there are any, the lower ones: each [B, rows, columns]."""
        matrix = weight.reshape(weight.shape[0], -1)
        full = len(matrix) // self.rows * self.rows
        bands = [matrix[:full].reshape(-1, self.rows, matrix.shape[1])]
        return bands if full == len(matrix) else [*bands, matrix[None, full:]]


@dataclass(frozen=True)
class NByM:
    """Of every `m` neighbouring inputs, `n` are kept (Mishra et al., 2021, https://arxiv.org/abs/2104.08378).

    Where the inputs are no multiple of `m`, the last group is smaller and keeps at most `n` as well.
    """

    n: int = 2
    m: int = 4

    def __post_init__(self) -> None:
        if (self.n, self.m) != (2, 4):
            raise ValueError(f"There are kernels for 2 of 4 only, found {self.n} of {self.m}.")

    @property
    def name(self) -> str:
        return f"{self.n}:{self.m}"

    def check(self, fraction: float) -> None:
        """Raises `ValueError` for any fraction but that of the pattern."""
        if not math.isclose(fraction, 1 - self.n / self.m):
            raise ValueError(
                f"{self.n} of {self.m} leaves a fraction of zeros of {1 - self.n / self.m:g}, "
                f"found {fraction}."
            )

    def nonzeros(self, shape: Sequence[int], fraction: float) -> int:
        """`n` for every group of every row, fewer for a last group that is smaller than `n`."""
        d, columns = shape[0], math.prod(shape[1:])
        return d * (columns // self.m * self.n + min(self.n, columns % self.m))

    def keep(self, score: np.ndarray, fraction: float) -> np.ndarray:
        """The highest scores of every group."""
        groups = self._groups(score, -np.inf)
        order = np.argsort(-groups, axis=-1, kind="stable")
        kept = np.zeros(groups.shape, bool)
        np.put_along_axis(kept, order[..., : self.n], True, axis=-1)
        return self._ungroup(kept, score.shape)

    def stored(self, weight: np.ndarray) -> np.ndarray:
        """Those that are not 0."""
        most = np.count_nonzero(self._groups(weight, 0), axis=-1).max(initial=0)
        if most > self.n:
            raise ValueError(f"at most {self.n} of every {self.m} inputs, found {most}")
        return weight != 0

    def _groups(self, weight: np.ndarray, fill: float) -> np.ndarray:
        """Returns [D, groups, m]."""
        matrix = weight.reshape(weight.shape[0], -1)
        short = -matrix.shape[1] % self.m
        return np.pad(matrix, ((0, 0), (0, short)), constant_values=fill).reshape(len(matrix), -1, self.m)

    def _ungroup(self, groups: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        return groups.reshape(shape[0], -1)[:, : math.prod(shape[1:])].reshape(shape)


# Entries of a 3x3 kernel, row by row: the centre is 4.
TEES = ((1, 3, 4, 5), (1, 3, 4, 7), (1, 4, 5, 7), (3, 4, 5, 7))
SQUARES = ((0, 1, 3, 4), (1, 2, 4, 5), (3, 4, 6, 7), (4, 5, 7, 8))


@dataclass(frozen=True)
class KernelPattern:
    """Every 3x3 kernel keeps four entries, the centre and three of one pattern, or none.

    Patterns and pruned kernels together are PCONV (Ma et al., 2020, https://arxiv.org/abs/1909.05073). The
    patterns are those near its filters, a smoothed Laplacian: the centre with three of the entries that
    touch it by a side, or with two of these and the corner between them.

    Attributes:
        patterns: at most 56 of them, the positions r * 3 + s of four entries each.
    """

    patterns: tuple[tuple[int, int, int, int], ...] = TEES + SQUARES

    name = "pattern"
    entries = 4
    window = 9

    def __post_init__(self) -> None:
        candidates = set(itertools.combinations(range(self.window), self.entries))
        for pattern in self.patterns:
            if pattern not in candidates or self.window // 2 not in pattern:
                raise ValueError(
                    "A pattern is four ascending positions from 0 to 8, 4 (the centre) among them, "
                    f"found {pattern}."
                )
        if not self.patterns or len(set(self.patterns)) != len(self.patterns):
            raise ValueError(f"`patterns` must be at least one, all different, found {self.patterns}.")

    def __repr__(self) -> str:
        default = self.patterns == TEES + SQUARES
        return "KernelPattern()" if default else f"KernelPattern(patterns={self.patterns})"

    def fraction(self, kernels: float) -> float:
        """Returns the fraction of zeros where this fraction of the kernels is kept.

        >>> round(KernelPattern().fraction(kernels=0.28), 3)
        0.876
        """
        return 1 - kernels * self.entries / self.window

    def check(self, fraction: float) -> None:
        """Raises `ValueError` where the patterns alone leave more zeros."""
        if fraction < self.fraction(kernels=1) - 1e-9:
            raise ValueError(
                "Four of nine entries leave a fraction of zeros of at least "
                f"{self.fraction(kernels=1):.4f} (5/9), found {fraction}."
            )

    def nonzeros(self, shape: Sequence[int], fraction: float) -> int:
        """Four for every kernel that is kept, as many kernels as come closest to the fraction."""
        return self.entries * self.kernels(math.prod(shape[:2]), fraction)

    def keep(self, score: np.ndarray, fraction: float) -> np.ndarray:
        """Each kernel's best pattern, and the kernels whose patterns have most."""
        members = self.members()
        totals = score.reshape(-1, self.window) @ members.T  # [D * C, patterns]
        kernels = _highest(totals.max(1), self.kernels(len(totals), fraction))
        return (members[totals.argmax(1)] & kernels[:, None]).reshape(score.shape)

    def stored(self, weight: np.ndarray) -> np.ndarray:
        """All entries of the first pattern that fits, for every kernel that is not all 0."""
        members = self.members()
        kernels = weight.reshape(-1, self.window) != 0
        fits = ~(kernels[:, None] & ~members).any(-1)  # [D * C, patterns]
        if not fits.any(1).all():
            lost = int(np.argmin(fits.any(1)))
            raise ValueError(
                f"kernels within one of {len(members)} patterns of four entries, found "
                f"{np.flatnonzero(kernels[lost]).tolist()} in kernel {list(divmod(lost, weight.shape[1]))}"
            )
        return (members[fits.argmax(1)] & kernels.any(1)[:, None]).reshape(weight.shape)

    def kernels(self, kernels: int, fraction: float) -> int:
        """Returns how many of some kernels are kept."""
        return min(kernels, round((1 - fraction) * kernels * self.window / self.entries))

    def members(self) -> np.ndarray:
        """Returns which entries each pattern has: bool [patterns, 9]."""
        return np.array([[i in pattern for i in range(self.window)] for pattern in self.patterns])


def _kept(size: int, fraction: float) -> int:
    return size - round(fraction * size)


def _highest(scores: np.ndarray, count: int) -> np.ndarray:
    """Returns where the `count` highest of scores [N] are: bool [N]."""
    kept = np.zeros(scores.size, bool)
    if count > 0:
        kept[np.argpartition(scores, scores.size - count)[scores.size - count :]] = True
    return kept


Pattern = Dense | Unstructured | Block | NByM | KernelPattern

PATTERNS: dict[str, Pattern] = {
    pattern.name: pattern
    for pattern in (Dense(), Unstructured(), Block(2), Block(4), NByM(2, 4), KernelPattern())
}


@dataclass(frozen=True)
class Sparse:
    """One option of a sparsity choice: a fraction of zeros, laid out in a pattern.

    >>> Sparse(0.9)
    Sparse(fraction=0.9, pattern=Unstructured())
    >>> Sparse(0.9, Block(4)).pattern.name
    'block4'
    """

    fraction: float
    pattern: Pattern = Unstructured()

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 1:
            raise ValueError(
                f"`fraction` of zeros must be above 0 and below 1, found {self.fraction}; "
                "write `DENSE` for a layer without zeros."
            )
        self.pattern.check(self.fraction)


@dataclass(frozen=True)
class _NoZeros:
    """The option of a sparsity choice that keeps every weight."""

    fraction: float = 0.0
    pattern: Pattern = Dense()


DENSE = _NoZeros()

Sparsity = Sparse | _NoZeros
