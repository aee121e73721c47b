"""Times of one kind of kernel: counted work, and a Gaussian process for what the counts miss.

    log us(x) = log(cost . terms(x)) + g(x)

`cost` is fitted by non-negative least squares of relative errors, g is a Gaussian process with a Matern
kernel over where layers lie (Rasmussen and Williams, 2006, https://gaussianprocess.org/gpml), its length
scale and noise those of the least leave-one-out error (section 5.4.2 there).
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import nnls

_LENGTHS = (1.0, 1.5, 2.2, 3.3, 5.0)
_NOISES = (0.02, 0.05, 0.12, 0.3, 0.8)
# Nine times of ten.
_COVERED = 0.9


@dataclass(frozen=True, eq=False)
class Regression:
    """A fit to N layers.

    Attributes:
        cost: [T], microseconds of each term.
        places: [N, F] of the layers it was fitted to.
        weight: [N], the Gaussian process in dual form.
        factor: Cholesky factor of its covariance.
        length: how far layers are that are nearly unrelated.
        spread: standard deviation of g where nothing is known.
        band: how many standard deviations hold nine of ten layers that were left out.
        error: median absolute relative error of layers that were left out.
    """

    cost: np.ndarray
    places: np.ndarray
    weight: np.ndarray
    factor: tuple[np.ndarray, bool]
    length: float
    noise: float
    spread: float
    band: float
    error: float

    def __call__(self, terms: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the logarithm [M] of microseconds, and half the width [M] of its interval."""
        near = _covariance(places, self.places, self.length)
        log_us = np.log(np.maximum(terms @ self.cost, 1e-6)) + near @ self.weight
        known = np.einsum("mn,nm->m", near, cho_solve(self.factor, near.T))
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
    best = None
    for length in _LENGTHS:
        near = _covariance(places, places, length)
        for noise in _NOISES:
            inverse = np.linalg.inv(near + np.diag(noise + extra))
            left_out = (inverse @ off) / np.diag(inverse)  # Rasmussen and Williams, equation 5.12.
            score = np.mean(np.minimum(np.abs(left_out), 0.3))
            if best is None or score < best[0]:
                best = score, length, noise, left_out, 1 / np.diag(inverse)
    _, length, noise, left_out, variance = best
    spread = max(float(np.sqrt(np.mean(np.minimum(left_out**2, 0.1) / variance))), 1e-3)
    band = (
        float(np.quantile(np.abs(left_out) / (spread * np.sqrt(variance)), _COVERED)) if len(us) > 4 else 3.0
    )
    factor = cho_factor(_covariance(places, places, length) + np.diag(noise + extra))
    return Regression(
        cost=cost,
        places=places,
        weight=cho_solve(factor, off),
        factor=factor,
        length=length,
        noise=noise,
        spread=spread,
        band=max(band, 1.0),
        error=float(np.median(np.abs(np.expm1(left_out)))),
    )


def _covariance(x: np.ndarray, y: np.ndarray, length: float) -> np.ndarray:
    """Returns the Matern covariance [N, M] of smoothness 3/2 of places [N, F] and [M, F]."""
    squared = (x**2).sum(1)[:, None] + (y**2).sum(1)[None] - 2 * x @ y.T
    r = np.sqrt(3 * np.maximum(squared, 0)) / length
    return (1 + r) * np.exp(-r)
