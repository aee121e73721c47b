import jax.numpy as jnp
import numpy as np

from sparsenas.strategies.differentiable.multiplier import excess, pull

MS = np.array([1.0, 2.0, 4.0], np.float32)


def latency(mixture):
    return mixture[0] @ MS


def expected_excess(logits, temperature):
    e = np.exp(logits / temperature)
    return np.log((e / e.sum()) @ MS / 2.0)


def test_excess_is_of_ever_sharper_mixtures():
    logits = np.array([0.3, -0.2, 0.1])
    for progress, temperature in ((0.0, 1.0), (0.5, 0.625), (1.0, 0.25)):
        found = excess(latency, (jnp.asarray(logits, jnp.float32),), 2.0, progress)
        np.testing.assert_allclose(found, expected_excess(logits, temperature), rtol=1e-4)


def test_pull_is_the_gradient_of_the_lagrangian_with_damping():
    logits = np.array([0.3, -0.2, 0.6])
    multiplier, damping = 0.7, 1.3

    def lagrangian(logits):
        g = expected_excess(logits, 1.0)
        return multiplier * g + damping / 2 * g**2

    value, (found,) = pull(
        latency,
        (jnp.asarray(logits, jnp.float32),),
        jnp.float32(multiplier),
        target_ms=2.0,
        damping=damping,
        progress=0.0,
    )
    np.testing.assert_allclose(value, expected_excess(logits, 1.0), rtol=1e-4)
    for i in range(3):
        h = 1e-6 * np.eye(3)[i]
        by_difference = (lagrangian(logits + h) - lagrangian(logits - h)) / 2e-6
        np.testing.assert_allclose(found[i], by_difference, rtol=1e-3, atol=1e-5)
