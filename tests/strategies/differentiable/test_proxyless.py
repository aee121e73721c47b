import jax
import jax.numpy as jnp
import numpy as np

from sparsenas.strategies.differentiable.proxyless import by_logits, proxyless, sampled, settled

LOGITS = (jnp.array([0.5, -1.0, 0.2, 1.5]), jnp.array([1.0, 0.0]), jnp.array([0.3]))


def probabilities(logits):
    e = np.exp(np.asarray(logits, float))
    return e / e.sum()


def many(seed, count=4000):
    return jax.random.split(jax.random.key(seed), count)


def test_weights_train_single_networks_drawn_by_their_probabilities():
    drawn = jax.vmap(lambda key: proxyless().draw(LOGITS, key, 0.0))(many(0))
    for found, one in zip(drawn, LOGITS, strict=True):
        assert set(np.unique(found)) <= {0, 1}
        np.testing.assert_array_equal(found.sum(1), 1)
        # Four standard deviations of 4,000 draws.
        np.testing.assert_allclose(found.mean(0), probabilities(one), atol=0.032)


def test_pairs_are_drawn_one_after_the_other():
    pairs, two, one = jax.vmap(lambda key: sampled(LOGITS, key))(many(1))
    is_in = np.isfinite(pairs)
    np.testing.assert_array_equal(is_in.sum(1), 2)
    assert np.isfinite(two).all()
    assert np.isfinite(one).all()
    p = probabilities(LOGITS[0])
    first_or_second = [p[i] + sum(p[j] * p[i] / (1 - p[j]) for j in range(4) if j != i) for i in range(4)]
    np.testing.assert_allclose(is_in.mean(0), first_or_second, atol=0.032)


def test_gradient_is_equation_4_over_the_two():
    pair = jnp.array([-jnp.inf, 0.4, -jnp.inf, -0.3])
    by_gates = np.array([9.0, 0.7, -9.0, -0.2], np.float32)
    p = probabilities([0.4, -0.3])
    g = by_gates[[1, 3]]
    expected = [sum(g[j] * p[j] * ((i == j) - p[i]) for j in range(2)) for i in range(2)]
    found = by_logits(pair, jnp.asarray(by_gates))
    np.testing.assert_allclose(found, [0, expected[0], 0, expected[1]], rtol=1e-5)


def test_the_loss_is_that_of_one_network_and_moves_two_options():
    cost = (
        np.array([1.0, 2.0, 3.0, 4.0], np.float32),
        np.array([10.0, 20.0], np.float32),
        np.array([100.0], np.float32),
    )

    def loss(gates):
        return sum(g @ c for g, c in zip(gates, cost, strict=True))

    seen = set()
    for key in many(2, 60):
        value, gradients = proxyless().gradient(loss, None, LOGITS, key, 0.0)
        seen.add(round(float(value)))
        assert np.count_nonzero(gradients[0]) == 2
        # The cheaper option of two becomes more probable.
        moved = np.flatnonzero(gradients[0])
        assert gradients[0][moved[0]] < 0 < gradients[0][moved[1]]
        np.testing.assert_allclose(gradients[0].sum(), 0, atol=1e-6)
        np.testing.assert_array_equal(gradients[2], 0)
    assert seen <= {a + b + 100 for a in (1, 2, 3, 4) for b in (10, 20)}
    assert len(seen) > 3


def test_options_that_were_not_sampled_keep_their_probability():
    key = jax.random.key(5)
    pair = sampled(LOGITS, key)[0]
    step = jnp.array([0.3, -0.2, 0.9, -0.4])
    after = (jnp.where(jnp.isfinite(pair), LOGITS[0] + step, LOGITS[0]), *LOGITS[1:])
    found = settled(LOGITS, after, key)
    others = np.flatnonzero(~np.isfinite(pair))
    assert len(others) == 2
    np.testing.assert_allclose(probabilities(found[0])[others], probabilities(LOGITS[0])[others], rtol=1e-5)
    inside = np.flatnonzero(np.isfinite(pair))
    # Between the two the step counts in full.
    np.testing.assert_allclose(
        found[0][inside[0]] - found[0][inside[1]], after[0][inside[0]] - after[0][inside[1]], rtol=1e-5
    )
