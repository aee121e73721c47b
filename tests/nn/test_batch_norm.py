"""The hand-written batch normalisation against the formula in double precision."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsenas.nn.batch_norm import CLAMPS, EPSILON, batch_norm, library, normalize
from tests.nn.against import in_double, normal, one_after_the_other


def formula(x, scale, offset):
    mean, variance = x.mean((0, 1, 2), keepdims=True), x.var((0, 1, 2), keepdims=True)
    y = (x - mean) / jnp.sqrt(variance + EPSILON) * scale.reshape(mean.shape) + offset.reshape(mean.shape)
    return y, mean.ravel(), variance.ravel()


def arrays():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, size=(4, 5, 6, 7)).astype(np.float32)
    return x, rng.normal(size=7).astype(np.float32), rng.normal(size=7).astype(np.float32)


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


@pytest.mark.parametrize("activation", CLAMPS)
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 3, 17), (5, 9, 7, 64), (3, 40, 40, 4)])
def test_activations_and_their_gradients_are_those_of_the_library(activation, shape):
    c = shape[-1]
    args = normal(*shape) + 3, normal(c, seed=1), normal(c, seed=2), normal(*shape, seed=3)

    def run(fn, x, scale, offset, g):
        (y, mean, variance), pull = jax.vjp(fn, x, scale, offset)
        return y, mean, variance, pull((g, mean, variance))

    found = jax.jit(lambda *a: run(lambda *a: batch_norm(*a, activation=activation), *a))(*args)
    expected = in_double(lambda *a: run(lambda *a: library(*a, activation), *a), *args)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        # Sums of thousands of terms in single precision.
        np.testing.assert_allclose(a, b, atol=3e-5 * max(np.abs(b).max(), 1))


def test_activations_can_be_differentiated_twice():
    args = arrays()

    def penalty(fn, *args):
        g = jax.grad(lambda *a: jnp.sin(fn(*a)[0]).sum(), (0, 1, 2))(*args)
        return sum((one**2).sum() for one in g)

    def gradients(fn):
        return jax.grad(lambda *a: penalty(fn, *a), (0, 1, 2))

    found = jax.jit(gradients(lambda *a: batch_norm(*a, activation="relu6")))(*args)
    assert_close(found, in_double(gradients(lambda *a: library(*a, "relu6")), *args))


@pytest.mark.parametrize("mapped", [m for m in itertools.product([True, False], repeat=3) if any(m)])
def test_vmap_is_one_after_the_other(mapped):
    shapes = (2, 5, 5, 3), (3,), (3,)
    args = [normal(*((4,) if m else ()), *shape) for m, shape in zip(mapped, shapes, strict=True)]

    def run(x, scale, offset):
        results, pull = jax.vjp(lambda *a: batch_norm(*a, activation="relu"), x, scale, offset)
        return results, pull(results)

    found = jax.jit(jax.vmap(run, [0 if m else None for m in mapped]))(*args)
    assert_close(found, one_after_the_other(run, mapped, args))


@pytest.mark.parametrize("activation", CLAMPS)
def test_nan_spreads_over_its_channel_and_no_further(activation):
    x, scale, offset = arrays()
    x[1, 2, 3, 4] = np.nan
    y, mean, variance = batch_norm(x, scale, offset, activation=activation)
    for found in (y, mean, variance):
        bad = np.isnan(found)
        assert bad[..., 4].all()
        assert bad.sum() == bad[..., 4].size
