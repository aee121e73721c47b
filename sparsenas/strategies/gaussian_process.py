"""Gaussian process regression (Rasmussen and Williams, 2006, https://gaussianprocess.org/gpml).

The covariance of two rows of features is

    linear * <a, b> / G + signal * (1 + r + r ** 2 / 3) * exp(-r)
    r ** 2 = 5 * sum_g |a_g - b_g| ** 2 / length_g ** 2

a Bayesian linear regression plus Matern 5/2 with one length for each of G groups of features (automatic
relevance determination). All hyperparameters are logarithms in one vector `theta`: signal, linear, noise,
then the lengths.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

# Keeps the Cholesky decomposition possible where two rows are equal and nothing is noisy.
_JITTER = 1e-4
# What is believed before data about `theta`, of targets with mean 0 and deviation 1: normal distributions.
# Without it the likelihood of ten points would fit the lengths to chance.
_PRIOR_NOISE, _PRIOR_LENGTH = np.log(1e-2), np.log(1.5)
_DEVIATIONS = (1.0, 1.0, 2.0, 0.7)
# From little noise the search for hyperparameters does not find that most of the differences are noise.
_MUCH_NOISE = np.log(0.3)


class Posterior(NamedTuple):
    """A process that was told N rows.

    Attributes:
        x: [N, F] features.
        factor: [N, N] lower Cholesky factor of their covariance with noise.
        weights: [N], the covariance's inverse times the targets.
    """

    x: np.ndarray
    factor: np.ndarray
    weights: np.ndarray


class Process(NamedTuple):
    """The kind of process: which features belong together.

    Attributes:
        groups: [F] the group of each feature, ascending from 0.
    """

    groups: np.ndarray

    @property
    def count(self) -> int:
        return int(self.groups.max()) + 1

    def prior(self) -> np.ndarray:
        """Returns the most likely `theta` before any data: [3 + groups]."""
        return np.concatenate([[0.0, 0.0, _PRIOR_NOISE], np.full(self.count, _PRIOR_LENGTH)])

    def covariance(self, a: np.ndarray, b: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """Returns the covariance of rows: [N, F] and [M, F] to [N, M]."""
        stretch = np.exp(-theta[3:])[self.groups]
        u, v = a * stretch, b * stretch
        squared = (u * u).sum(1)[:, None] + (v * v).sum(1) - 2 * (u @ v.T)
        return np.exp(theta[0]) * _matern(squared) + np.exp(theta[1]) / self.count * (a @ b.T)

    def variance(self, a: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """Returns the variance of rows before any data: [N]."""
        return np.exp(theta[0]) + np.exp(theta[1]) / self.count * (a * a).sum(1)

    def condition(self, x: np.ndarray, y: np.ndarray, theta: np.ndarray) -> Posterior:
        """Tells the process rows [N, F] and their targets [N]."""
        covariance = self.covariance(x, x, theta)
        covariance[np.diag_indices(len(x))] += np.exp(theta[2]) + _JITTER
        factor = cholesky(covariance, lower=True, check_finite=False)
        return Posterior(x, factor, cho_solve((factor, True), y, check_finite=False))

    def mean(self, told: Posterior, x: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """Returns what is expected of rows: [N]."""
        return told.weights @ self.covariance(told.x, x, theta)

    def deviation(self, told: Posterior, x: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """Returns how far rows are expected to be from their mean, noise aside: [N]."""
        return self.deviation_by(told, self.covariance(told.x, x, theta), x, theta)

    def deviation_by(
        self, told: Posterior, covariance: np.ndarray, x: np.ndarray, theta: np.ndarray
    ) -> np.ndarray:
        """Returns the same, where the covariance [told, N] is known."""
        known = solve_triangular(told.factor, covariance, lower=True, check_finite=False)
        return np.sqrt(np.maximum(self.variance(x, theta) - (known * known).sum(0), 1e-12))

    def fit(self, x: np.ndarray, y: np.ndarray, theta: np.ndarray, *, iterations: int = 20) -> np.ndarray:
        """Returns the `theta` of the largest posterior density that L-BFGS finds.

        It starts from another one, and from the same one with much noise.
        """
        # [groups, N * N]
        apart = np.stack([_squared(x[:, self.groups == group]).ravel() for group in range(self.count)])
        args = (apart, x @ x.T / self.count, y)
        noisy = theta.copy()
        noisy[2] = _MUCH_NOISE
        found = [
            minimize(self.loss, start, args, jac=True, method="L-BFGS-B", options={"maxiter": iterations})
            for start in (theta, noisy)
        ]
        return min(found, key=lambda one: one.fun).x

    def loss(
        self, theta: np.ndarray, apart: np.ndarray, linear: np.ndarray, y: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Returns the negative logarithm of `theta`'s density given data, up to a constant, and its gradient.

        Args:
            apart: [groups, N * N] squared distances of all pairs of rows.
            linear: [N, N] covariance of the linear part where its variance is 1.
        """
        n = len(y)
        signal, slope, noise = np.exp(theta[:3])
        weights = np.exp(-2 * theta[3:])
        squared = (weights @ apart).reshape(n, n)
        matern = _matern(squared)
        covariance = signal * matern + slope * linear
        covariance[np.diag_indices(n)] += noise + _JITTER
        try:
            factor = cholesky(covariance, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(theta)
        solved = cho_solve((factor, True), y, check_finite=False)
        inverse = cho_solve((factor, True), np.eye(n), check_finite=False)
        # d loss / d covariance.
        slopes = (inverse - np.outer(solved, solved)) / 2
        gradient = np.empty_like(theta)
        gradient[0] = signal * (slopes * matern).sum()
        gradient[1] = slope * (slopes * linear).sum()
        gradient[2] = noise * np.trace(slopes)
        gradient[3:] = -2 * weights * (apart @ (slopes * signal * _matern_slope(squared)).ravel())
        prior, deviations = self.prior(), np.repeat(_DEVIATIONS, (1, 1, 1, self.count))
        off = (theta - prior) / deviations
        loss = y @ solved / 2 + np.log(np.diag(factor)).sum() + off @ off / 2
        return loss, gradient + off / deviations


class Kept:
    """Covariances of the same M rows with others, kept while the hyperparameters stay.

    What it gives does not depend on what it was asked before: every other row is computed by itself.
    """

    def __init__(self, process: Process, x: np.ndarray) -> None:
        self._process, self._x = process, x
        self._theta = np.empty(0)
        self._places: dict[Hashable, int] = {}

    def covariance(self, names: Sequence[Hashable], rows: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """Returns the covariance of N other rows [N, F], each with a name, with these: [N, M]."""
        if not np.array_equal(theta, self._theta):
            stretch = np.exp(-theta[3:])[self._process.groups]
            self._theta, self._places, self._stretch = theta.copy(), {}, stretch
            self._stretched = self._x * stretch
            self._squares = (self._stretched * self._stretched).sum(1)
            self._found = np.empty((2 * len(rows), len(self._x)))
        signal, slope = np.exp(theta[:2])
        for name, row in zip(names, rows, strict=True):
            if name in self._places:
                continue
            place = self._places[name] = len(self._places)
            if place == len(self._found):
                self._found = np.concatenate([self._found, np.empty_like(self._found)])
            u = row * self._stretch
            squared = (u * u).sum() + self._squares - 2 * (self._stretched @ u)
            linear = self._x @ row
            self._found[place] = signal * _matern(squared) + slope / self._process.count * linear
        places = [self._places[name] for name in names]
        # Without a copy in the usual order.
        return self._found[: len(places)] if places == list(range(len(places))) else self._found[places]


def _matern(squared: np.ndarray) -> np.ndarray:
    r = np.sqrt(5 * np.maximum(squared, 0))
    return (1 + r + r * r / 3) * np.exp(-r)


def _matern_slope(squared: np.ndarray) -> np.ndarray:
    """The derivative with respect to the squared distance."""
    r = np.sqrt(5 * np.maximum(squared, 0))
    return -(5 / 6) * (1 + r) * np.exp(-r)


def _squared(x: np.ndarray) -> np.ndarray:
    norms = (x * x).sum(1)
    return np.maximum(norms[:, None] + norms - 2 * (x @ x.T), 0)
