"""Times of one kind of kernel: counted work, and a Gaussian process for what the counts miss.

    log us(x) = log(cost . terms(x)) + g(x)

`cost` is fitted by non-negative least squares of relative errors, g is a Gaussian process with a Matern
kernel over where layers lie (Rasmussen and Williams, 2006, https://gaussianprocess.org/gpml), its length
scale and noise those of the least leave-one-out error (section 5.4.2 there).
"""

import contextlib
import itertools
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import nnls
from threadpoolctl import ThreadpoolController

_LENGTHS = (1.0, 1.8, 3.2, 6.0)
_NOISES = (0.02, 0.07, 0.25, 0.8)
# Layers that length and noise are chosen on: the work grows with the third power of their number.
_CHOSEN_ON = 120
# Nine times of ten.
_COVERED = 0.9


@dataclass(frozen=True, eq=False)
class Regression:
    """A fit to N layers.

    Attributes:
        cost: [T], microseconds of each term.
        places: [N, F] of the layers it was fitted to.
        weight: [N], the Gaussian process in dual form.
        inverse: [N, N], of the covariance of what was measured.
        length: how far layers are that are nearly unrelated.
        spread: standard deviation of g where nothing is known.
        band: how many standard deviations hold nine of ten layers that were left out.
        error: median absolute relative error of layers that were left out.
    """

    cost: np.ndarray
    places: np.ndarray
    weight: np.ndarray
    inverse: np.ndarray
    length: float
    noise: float
    spread: float
    band: float
    error: float

    def __call__(self, terms: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the logarithm [M] of microseconds, and half the width [M] of its interval."""
        near = _covariance(places, self.places, self.length)
        log_us = np.log(np.maximum(terms @ self.cost, 1e-6)) + near @ self.weight
        known = ((near @ self.inverse) * near).sum(1)
        sd = self.spread * np.sqrt(np.maximum(1 - known, 0) + self.noise)
        return log_us, self.band * sd


def fit(terms: np.ndarray, places: np.ndarray, us: np.ndarray, doubt: np.ndarray) -> Regression:
    """Fits N layers.

    Args:
        terms: [N, T].
        places: [N, F].
        us: [N].
        doubt: [N], relative spread of each measurement.
    """
    cost = nnls(terms / us[:, None], np.ones(len(us)))[0]
    off = np.log(us / np.maximum(terms @ cost, 1e-6))
    # A disturbed measurement counts less.
    extra = np.minimum((doubt / 0.05) ** 2, 100) * 0.05
    some = np.linspace(0, len(us) - 1, min(len(us), _CHOSEN_ON)).astype(int)
    scores = [
        (
            np.mean(
                np.minimum(np.abs(_left_out(places[some], off[some], length, noise + extra[some])[0]), 0.3)
            ),
            i,
        )
        for i, (length, noise) in enumerate(itertools.product(_LENGTHS, _NOISES))
    ]
    length, noise = list(itertools.product(_LENGTHS, _NOISES))[min(scores)[1]]
    left_out, variance, inverse = _left_out(places, off, length, noise + extra)
    spread = max(float(np.sqrt(np.mean(np.minimum(left_out**2, 0.1) / variance))), 1e-3)
    band = (
        float(np.quantile(np.abs(left_out) / (spread * np.sqrt(variance)), _COVERED)) if len(us) > 4 else 3.0
    )
    return Regression(
        cost=cost,
        places=places,
        weight=inverse @ off,
        inverse=inverse,
        length=length,
        noise=noise,
        spread=spread,
        band=max(band, 1.0),
        error=float(np.median(np.abs(np.expm1(left_out)))),
    )


def one_thread() -> contextlib.AbstractContextManager:
    """Keeps linear algebra on one thread: on matrices this small, threads wait longer than they work."""
    return _pools().limit(limits=1, user_api="blas")


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()


def _left_out(
    places: np.ndarray, off: np.ndarray, length: float, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the error [N] of each layer by the others, its variance [N], and the inverse covariance."""
    inverse = np.linalg.inv(_covariance(places, places, length) + np.diag(noise))
    return (inverse @ off) / np.diag(inverse), 1 / np.diag(inverse), inverse  # Equations 5.10 to 5.12.


def _covariance(x: np.ndarray, y: np.ndarray, length: float) -> np.ndarray:
    """Returns the Matern covariance [N, M] of smoothness 3/2 of places [N, F] and [M, F]."""
    squared = (x**2).sum(1)[:, None] + (y**2).sum(1)[None] - 2 * x @ y.T
    r = np.sqrt(3 * np.maximum(squared, 0)) / length
    return (1 + r) * np.exp(-r)
