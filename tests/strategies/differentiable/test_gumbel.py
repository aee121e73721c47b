import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsenas.strategies.differentiable.base import keys
from sparsenas.strategies.differentiable.gumbel import gumbel

LOGITS = (np.array([0.5, -1.0, 0.2]), np.array([1.0, 0.0]))
KEY = jax.random.key(3)


def noise(logits):
    drawn = zip(keys(KEY, logits), logits, strict=True)
    return [np.asarray(jax.random.gumbel(key, one.shape, one.dtype)) for key, one in drawn]


def test_shares_are_the_formula_and_the_temperature_falls():
    with jax.enable_x64(True):
        logits = tuple(map(jnp.asarray, LOGITS))
        added = noise(logits)
        for progress, temperature in ((0.0, 5.0), (0.5, 5.0**0.5), (1.0, 1.0)):
            for found, one, g in zip(gumbel().draw(logits, KEY, progress), LOGITS, added, strict=True):
                expected = np.exp((one + g) / temperature)
                np.testing.assert_allclose(found, expected / expected.sum(), rtol=1e-9)


def test_low_temperatures_draw_options_by_their_probabilities():
    logits = (jnp.asarray(LOGITS[0], jnp.float32),)
    drawn = jax.vmap(lambda key: gumbel(temperature=0.01).draw(logits, key, 0.0)[0])(
        jax.random.split(KEY, 4000)
    )
    p = np.exp(LOGITS[0]) / np.exp(LOGITS[0]).sum()
    # Four standard deviations of 4,000 draws.
    np.testing.assert_allclose(jnp.mean(drawn, 0), p, atol=0.032)


def test_gradient_is_that_of_the_loss_times_a_power_of_log_latency():
    rng = np.random.default_rng(0)
    cost, ms = rng.uniform(1, 2, size=3), rng.uniform(0.05, 0.2, size=2)

    def value_of(logits):
        shares = []
        for one, g in zip(logits, added, strict=True):
            e = np.exp((one + g) / 5.0)
            shares.append(e / e.sum())
        return (cost @ shares[0]) * 0.2 * np.log(1e3 * (ms @ shares[1])) ** 0.6

    with jax.enable_x64(True):
        logits = tuple(map(jnp.asarray, LOGITS))
        added = noise(logits)
        value, found = gumbel().gradient(lambda m: m[0] @ cost, lambda m: m[1] @ ms, logits, KEY, 0.0)
        np.testing.assert_allclose(value, value_of(LOGITS), rtol=1e-9)
        for i, one in enumerate(LOGITS):
            for j in range(len(one)):
                ends = []
                for sign in (1, -1):
                    moved = [other.copy() for other in LOGITS]
                    moved[i][j] += sign * 1e-5
                    ends.append(value_of(moved))
                np.testing.assert_allclose(found[i][j], (ends[0] - ends[1]) / 2e-5, rtol=1e-5, atol=1e-9)


def test_a_latency_below_a_microsecond_is_a_number():
    value, found = gumbel().gradient(
        lambda m: m[0] @ jnp.ones(3), lambda m: 1e-9 * jnp.sum(m[0]), (jnp.zeros(3),), KEY, 0.0
    )
    assert np.isfinite(value)
    assert np.isfinite(found[0]).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": 0}, "`temperature` must be above 0, found 0"),
        ({"last": -1}, "`last` must be above 0, found -1"),
        ({"alpha": 0}, "`alpha` must be above 0, found 0"),
        ({"beta": -0.1}, "`beta` must be at least 0, found -0.1"),
    ],
)
def test_settings_are_checked(wrong, message):
    with pytest.raises(ValueError, match=message):
        gumbel(**wrong)
