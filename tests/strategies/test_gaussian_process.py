import numpy as np
import pytest
from scipy.optimize import check_grad

from sparsenas.strategies.gaussian_process import Kept, Process

PROCESS = Process(np.array([0, 0, 1, 2]))
RNG = np.random.default_rng(0)
X, THETA = RNG.standard_normal((12, 4)), RNG.standard_normal(6) * 0.3
Y = RNG.standard_normal(12)


def covariance(a, b):
    """The formula, one pair at a time."""
    lengths = np.exp(THETA[3:])[[0, 0, 1, 2]]
    r = np.sqrt(5 * sum(((a - b) / lengths) ** 2))
    return np.exp(THETA[1]) / 3 * a @ b + np.exp(THETA[0]) * (1 + r + r**2 / 3) * np.exp(-r)


def test_covariance_is_the_formula():
    expected = [[covariance(a, b) for b in X] for a in X[:5]]
    np.testing.assert_allclose(PROCESS.covariance(X[:5], X, THETA), expected, rtol=1e-6)
    np.testing.assert_allclose(PROCESS.variance(X, THETA), [covariance(a, a) for a in X], rtol=1e-12)


def test_posterior_is_that_of_the_joint_normal_distribution():
    told, new = X[:9], X[9:]
    noisy = np.array([[covariance(a, b) for b in told] for a in told])
    noisy += (np.exp(THETA[2]) + 1e-4) * np.eye(9)
    cross = np.array([[covariance(a, b) for b in told] for a in new])
    posterior = PROCESS.condition(told, Y[:9], THETA)
    np.testing.assert_allclose(
        PROCESS.mean(posterior, new, THETA), cross @ np.linalg.inv(noisy) @ Y[:9], rtol=1e-6
    )
    variance = [covariance(a, a) - c @ np.linalg.inv(noisy) @ c for a, c in zip(new, cross, strict=True)]
    np.testing.assert_allclose(PROCESS.deviation(posterior, new, THETA), np.sqrt(variance), rtol=1e-6)


def test_gradient_is_that_of_the_loss():
    columns = [X[:, PROCESS.groups == group] for group in range(3)]
    apart = np.stack([((c[:, None] - c[None]) ** 2).sum(2).ravel() for c in columns])
    args = (apart, X @ X.T / 3, Y)
    off = check_grad(lambda t: PROCESS.loss(t, *args)[0], lambda t: PROCESS.loss(t, *args)[1], THETA)
    # Finite differences with steps of 1e-8 are good to about that.
    assert off < 1e-5


def test_fit_learns_which_group_matters_and_how_noisy_targets_are():
    x = RNG.standard_normal((80, 4))
    y = np.sin(2 * x[:, 2])
    start = PROCESS.prior()
    clean = PROCESS.fit(x, (y - y.mean()) / y.std(), start)
    assert clean[4] < min(clean[3], clean[5]) - 0.5
    noisy = y + RNG.standard_normal(80)
    found = PROCESS.fit(x, (noisy - noisy.mean()) / noisy.std(), start)
    # Of the variance 1 of the targets about two thirds are noise.
    assert np.exp(found[2]) == pytest.approx(0.66, abs=0.25)
    assert np.exp(clean[2]) < 0.01


def test_kept_covariances_are_those_computed_anew_whatever_was_asked_before():
    rng = np.random.default_rng(3)
    process = Process(np.array([0, 0, 1, 2]))
    x, others = rng.standard_normal((30, 4)), rng.standard_normal((9, 4))
    kept, thetas = Kept(process, x), [process.prior(), process.prior() + 0.3]
    # More of them, in another order, with other hyperparameters, and back.
    for theta, asked in ((0, range(4)), (0, range(9)), (0, [7, 2, 5]), (1, range(6)), (0, [8, 0])):
        names = list(asked)
        found = kept.covariance(names, others[names], thetas[theta])
        np.testing.assert_allclose(found, process.covariance(others[names], x, thetas[theta]), atol=1e-12)
        fresh = Kept(process, x).covariance(names, others[names], thetas[theta])
        np.testing.assert_array_equal(found, fresh)
