import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sparsenas.strategies.differentiable.base import softmax
from sparsenas.strategies.differentiable.darts import darts, unrolled

RATE, MOMENTUM, DECAY = 0.3, 0.9, 0.05
KEY = jax.random.key(0)


def problem():
    """Weights [4] that both losses draw to a place that depends on shares [3]."""
    rng = np.random.default_rng(0)
    c, d, e = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.normal(size=3)
    w, m, a = rng.normal(size=4), rng.normal(size=4), rng.normal(size=3)
    return c, d, e, w, m, a


def optimizer():
    return optax.chain(optax.add_decayed_weights(DECAY), optax.sgd(RATE, momentum=MOMENTUM))


def second_order(c, d, e, w, m, chain):
    """Returns the unrolled validation loss of a mixture."""
    state = jax.tree.map(lambda one: jnp.asarray(m) if one.shape == (4,) else one, chain.init(jnp.asarray(w)))

    def step(params, gradients):
        updates, _ = chain.update(gradients, state, params)
        return optax.apply_updates(params, updates)

    return unrolled(
        lambda w, p: 0.5 * jnp.sum((w - c @ p[0]) ** 2),
        lambda w, p: 0.5 * jnp.sum((w - d @ p[0]) ** 2) + e @ p[0],
        jnp.asarray(w),
        step,
    )


def test_second_order_is_the_gradient_unrolled_by_hand():
    c, d, e, w, m, a = problem()
    with jax.enable_x64(True):
        loss = second_order(c, d, e, w, m, optimizer())
        value, (found,) = darts(order=2).gradient(loss, None, (jnp.asarray(a),), KEY, 0.0)
    found, p = np.asarray(found), np.exp(a) / np.exp(a).sum()
    after = w - RATE * (MOMENTUM * m + (w - c @ p) + DECAY * w)
    off = after - d @ p
    # By p itself, and through the step: the weights' gradient changes by -c with p.
    by_shares = e - d.T @ off + RATE * c.T @ off
    expected = p * (by_shares - p @ by_shares)
    np.testing.assert_allclose(float(value), 0.5 * off @ off + e @ p, rtol=1e-12)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    # Without the second term it would be another one.
    by_shares = e - d.T @ off
    assert np.abs(found - p * (by_shares - p @ by_shares)).max() > 0.01


def test_second_order_goes_through_clipped_gradients():
    c, d, e, w, m, a = problem()
    with jax.enable_x64(True):
        clipped = optax.chain(optax.clip_by_global_norm(0.1), optimizer())
        loss = second_order(c, d, e, w, m, clipped)
        _, (found,) = darts(order=2).gradient(loss, None, (jnp.asarray(a),), KEY, 0.0)
        for i in range(3):
            h = 1e-5 * np.eye(3)[i]
            ends = [float(loss(softmax((jnp.asarray(a + sign * h),)))) for sign in (1, -1)]
            # Central differences: the error is of second order in h.
            np.testing.assert_allclose(found[i], (ends[0] - ends[1]) / 2e-5, rtol=1e-6)


def test_first_order_is_the_gradient_of_the_mixture():
    rng = np.random.default_rng(1)
    a, cost = rng.normal(size=4).astype(np.float32), rng.normal(size=4).astype(np.float32)
    value, (found,) = darts().gradient(lambda p: p[0] @ cost, None, (jnp.asarray(a),), KEY, 0.0)
    p = np.exp(a) / np.exp(a).sum()
    np.testing.assert_allclose(value, p @ cost, rtol=1e-5)
    np.testing.assert_allclose(found, p * (cost - p @ cost), rtol=1e-4, atol=1e-6)


def test_orders_are_checked():
    assert darts(order=2).unrolled
    assert not darts().unrolled
    with pytest.raises(ValueError, match="`order` must be 1 or 2, found 3"):
        darts(order=3)
