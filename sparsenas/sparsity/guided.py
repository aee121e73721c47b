"""Zeros where a device makes them pay.

A layer's time over its zeros has a band: below it the sparse kernel is slower than the dense one, above it
more zeros gain next to nothing. Inside the bands of all layers the allocation takes the zeros that cost the
least magnitude for the time they buy. Others search for them (AMC, He et al., 2018,
https://arxiv.org/abs/1802.03494; NetAdapt, Yang et al., 2018, https://arxiv.org/abs/1804.03230); where a
network's time is a sum over its layers, or nearly, they can be computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparsenas.errors import UserError

# Parts that a budget of time is divided into; what a layer takes is rounded up to whole ones.
_PARTS = 20_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Options:
    """What a layer may be.

    Attributes:
        name: of the layer.
        fractions: [K] of zeros, ascending, 0 first where the layer may be dense.
        us: [K], what each takes on the device.
        lost: [K], the magnitude that each takes away, from 0 to 1 of all in the layer.
    """

    name: str
    fractions: np.ndarray
    us: np.ndarray
    lost: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Band:
    """Where zeros of a layer pay: from `first` on they do, above `last` more of them gain little."""

    first: float
    last: float


def band(options: Options, *, gain: float = 0.02) -> Band | None:
    """Returns the fractions of zeros that pay on the device; None where none does.

    Args:
        gain: part of the first option's time that must be saved, and that must be left to save.
    """
    usual, best = options.us[0], options.us.min()
    faster = options.us < usual * (1 - gain)
    faster[0] = False
    if not faster.any():
        return None
    first = int(np.argmax(faster))
    last = int(np.argmax(options.us <= best + gain * usual))
    return Band(first=float(options.fractions[first]), last=float(options.fractions[max(first, last)]))


def inside_band(options: Options, *, gain: float = 0.02) -> Options:
    """Returns the first option and those inside the band."""
    found = band(options, gain=gain)
    keep = np.zeros(len(options.fractions), bool)
    keep[0] = True
    if found is not None:
        keep |= (options.fractions >= found.first) & (options.fractions <= found.last)
    return Options(
        name=options.name, fractions=options.fractions[keep], us=options.us[keep], lost=options.lost[keep]
    )


def allocate(layers: Sequence[Options], *, budget_us: float) -> np.ndarray:
    """Returns each layer's option, int [L], that loses the least magnitude within a time.

    Dynamic programming over the time that is used up. Each layer's time is rounded up to 1/20,000 of the
    budget: the budget is kept, and what could be better uses less than L / 20,000 of it more.

    Raises:
        UserError: where even the fastest options take longer.
    """
    fastest = sum(layer.us.min() for layer in layers)
    if not fastest <= budget_us:
        raise UserError(
            f"These layers take at least {fastest / 1e3:.4f} ms, however many zeros they have; "
            f"found {budget_us / 1e3:.4f} ms to spend on them."
        )
    wished = np.array([int(layer.lost.argmin()) for layer in layers])
    if sum(layer.us[k] for layer, k in zip(layers, wished, strict=True)) <= budget_us:
        return wished
    parts = [_rounded(layer.us, budget_us) for layer in layers]
    # least[t]: the least that layers so far lose in exactly t parts of time or fewer.
    least = np.zeros(_PARTS + 1)
    choices = []
    for layer, taken in zip(layers, parts, strict=True):
        found = np.full((len(taken), _PARTS + 1), np.inf)
        for k, (t, lost) in enumerate(zip(taken, layer.lost, strict=True)):
            if t <= _PARTS:
                found[k, t:] = least[: _PARTS + 1 - t] + lost
        choices.append(found.argmin(0))
        least = found.min(0)
    if not np.isfinite(least[-1]):  # Only rounding keeps the fastest ones from fitting.
        return np.array([int(layer.us.argmin()) for layer in layers])
    left, chosen = _PARTS, []
    for choice, taken in zip(reversed(choices), reversed(parts), strict=True):
        chosen.append(int(choice[left]))
        left -= int(taken[chosen[-1]])
    return np.array(chosen[::-1])


def _rounded(us: np.ndarray, budget_us: float) -> np.ndarray:
    # A hair less, so that what fits exactly is not rounded out of the budget.
    return np.ceil(us / budget_us * _PARTS * (1 - 1e-12)).astype(np.int64)


def losses(magnitudes: np.ndarray, kept: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the part of all squared weights that masks take away, [K].

    It is what outputs lose in the mean, where inputs are independent of each other.

    Args:
        magnitudes: of a layer's weights.
        kept: K masks of their shape.
    """
    energy = np.square(magnitudes.astype(np.float64))
    total = energy.sum()
    if not total > 0:
        return np.zeros(len(kept))
    return np.array([1 - energy[mask].sum() / total for mask in kept])
