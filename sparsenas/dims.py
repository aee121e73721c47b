"""Numbers of a search space that its choices decide."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsenas.errors import UserError

MOST_JOINT = 1 << 16
"""Joint options of the choices that one number, or one layer, may depend on."""


@dataclass(frozen=True, eq=False)
class Dim:
    """A value that depends on some choices of a space.

    Attributes:
        choices: positions of the choices, ascending.
        values: one axis per choice, one entry per option.
    """

    choices: tuple[int, ...]
    values: np.ndarray

    def at(self, arch: Sequence[int]) -> Any:
        """Returns the value that an architecture picks."""
        value = self.values[tuple(arch[i] for i in self.choices)]
        return value.item() if isinstance(value, np.generic) else value

    @property
    def max(self) -> int:
        return int(self.values.max())

    @property
    def is_constant(self) -> bool:
        return not self.choices

    def equals(self, other: "Dim") -> bool:
        """Tells whether two values are the same in every architecture, and because of the same choices."""
        return self.choices == other.choices and np.array_equal(self.values, other.values)

    def map(self, fn: Callable[[Any], Any]) -> "Dim":
        """Applies `fn` to every value."""
        return combine(fn, self)

    def __mul__(self, factor: "int | float | Dim") -> "Dim":
        return combine(lambda a, b: a * b, self, factor)

    def __ge__(self, bound: int) -> "Dim":
        return self.map(lambda value: value >= bound)


def constant(value: Any) -> Dim:
    """Returns a `Dim` that no choice decides."""
    values = np.empty((), object)
    values[()] = value
    return Dim((), tight(values))


def combine(fn: Callable[..., Any], *dims: Any) -> Dim:
    """Applies `fn` to every joint value of several dims; anything else counts as a constant."""
    dims = tuple(dim if isinstance(dim, Dim) else constant(dim) for dim in dims)
    choices = tuple(sorted({choice for dim in dims for choice in dim.choices}))
    sizes = {c: n for dim in dims for c, n in zip(dim.choices, dim.values.shape, strict=True)}
    if math.prod(sizes.values()) > MOST_JOINT:
        raise UserError(
            f"A number depends on {len(sizes)} choices, {math.prod(sizes.values()):,} combinations that are "
            f"tabulated; at most {MOST_JOINT:,}, let layers share some."
        )
    values = np.empty([sizes[c] for c in choices], object)
    for index in np.ndindex(values.shape):
        option = dict(zip(choices, index, strict=True))
        values[index] = fn(*(dim.at(_Picks(option)) for dim in dims))
    return Dim(choices, tight(values))


class _Picks:
    """Looks like an architecture, but answers only the choices that are asked for."""

    def __init__(self, picks: dict[int, int]) -> None:
        self._picks = picks

    def __getitem__(self, choice: int) -> int:
        return self._picks[choice]


def tight(values: np.ndarray) -> np.ndarray:
    """Gives numbers a number's type; other values stay objects."""
    kinds = {type(value) for value in values.flat}
    if kinds <= {bool, np.bool_}:
        return values.astype(bool)
    if kinds <= {int, np.int64}:
        return values.astype(np.int64)
    if kinds <= {int, float, np.int64, np.float64}:
        return values.astype(np.float64)
    return values


def scaled(channels: int, width: float) -> int:
    """Returns channels times a width multiplier, a multiple of 8 that is at most a tenth too small.

    As MobileNet v2 and EfficientNet have it.

    >>> [scaled(32, width) for width in (1.0, 0.75, 0.25, 1.4)]
    [32, 24, 8, 48]
    """
    if width <= 0:
        raise UserError(f"`width` must be above 0, found {width:g}.")
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded
