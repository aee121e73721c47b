"""The hand-written batch normalisation against the formula in double precision."""

import jax
import jax.numpy as jnp
import numpy as np

from sparsenas.nn.batch_norm import EPSILON, batch_norm, normalize


def formula(x, scale, offset):
    mean, variance = x.mean((0, 1, 2), keepdims=True), x.var((0, 1, 2), keepdims=True)
    y = (x - mean) / jnp.sqrt(variance + EPSILON) * scale.reshape(mean.shape) + offset.reshape(mean.shape)
    return y, mean.ravel(), variance.ravel()


def arrays():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, size=(4, 5, 6, 7)).astype(np.float32)
    return x, rng.normal(size=7).astype(np.float32), rng.normal(size=7).astype(np.float32)


def in_double(fn, *args):
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, jax.jit(fn)(*(jnp.asarray(arg, jnp.float64) for arg in args)))


def assert_close(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        # Sums of 120 terms in single precision.
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b).max())


def test_output_and_statistics_are_the_formula():
    assert_close(batch_norm(*arrays()), in_double(formula, *arrays()))


def test_gradients_are_the_formulas():
    # Through all three outputs.
    def loss(fn, x, scale, offset):
        y, mean, variance = fn(x, scale, offset)
        return jnp.sin(y).sum() + (mean**2).sum() + (variance**3).sum()

    found = jax.jit(jax.grad(lambda *a: loss(batch_norm, *a), (0, 1, 2)))(*arrays())
    assert_close(found, in_double(jax.grad(lambda *a: loss(formula, *a), (0, 1, 2)), *arrays()))


def test_can_be_differentiated_twice():
    def penalty(fn, *args):
        g = jax.grad(lambda *a: jnp.sin(fn(*a)[0]).sum(), (0, 1))(*args)
        return (g[0] ** 2).sum() + (g[1] ** 2).sum()

    found = jax.jit(jax.grad(lambda *a: penalty(batch_norm, *a), (0, 1, 2)))(*arrays())
    assert_close(found, in_double(jax.grad(lambda *a: penalty(formula, *a), (0, 1, 2)), *arrays()))


def test_variance_survives_a_large_mean():
    x = arrays()[0] + np.float32(1000)
    _, _, variance = batch_norm(x, np.ones(7, np.float32), np.zeros(7, np.float32))
    # An input near 1000 is itself only known to 6e-5.
    np.testing.assert_allclose(variance, x.astype(np.float64).var((0, 1, 2)), rtol=1e-4)


def test_a_channel_of_zeros_gives_the_offset():
    x, scale, offset = arrays()
    x[..., 2] = 0
    y, mean, variance = batch_norm(x, scale, offset)
    np.testing.assert_array_equal(y[..., 2], np.broadcast_to(offset[2], y.shape[:3]))
    assert mean[2] == variance[2] == 0


def test_normalize_with_the_batchs_statistics_is_batch_norm():
    x, scale, offset = arrays()
    y, mean, variance = batch_norm(x, scale, offset)
    np.testing.assert_allclose(normalize(x, scale, offset, mean, variance), y, atol=1e-5)
