"""Pooling against the plain loop, and its gradients against difference quotients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsenas.nn.pooling import average_pool, max_pool

# Kernel, stride, and a pad where it is not the usual one.
WINDOWS = [(2, 2, None), (3, 1, None), (3, 2, None), (4, 4, None), (5, 2, None), (3, 2, 0), (5, 1, 1)]
PLAIN = {max_pool: np.max, average_pool: np.mean}


def plain(x, of, kernel, stride, pad):
    n, h, w, c = x.shape
    if pad is None:
        pad = kernel // 2 if kernel % 2 else 0
    rows, columns = ((side + 2 * pad - kernel) // stride + 1 for side in (h, w))
    y = np.zeros((n, rows, columns, c))
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride - pad, j * stride - pad
            window = x[:, max(top, 0) : top + kernel, max(left, 0) : left + kernel]
            y[:, i, j] = of(window, axis=(1, 2))
    return y


@pytest.mark.parametrize(("kernel", "stride", "pad"), WINDOWS)
@pytest.mark.parametrize("pool", PLAIN)
def test_only_pixels_inside_the_image_count(pool, kernel, stride, pad):
    # Negative numbers, which a padding of zeros would exceed.
    x = np.random.default_rng(0).normal(-3, 1, (2, 9, 8, 3)).astype(np.float32)
    found = jax.jit(lambda: pool(x, kernel=kernel, stride=stride, pad=pad))()
    np.testing.assert_allclose(found, plain(x, PLAIN[pool], kernel, stride, pad), rtol=1e-6)


@pytest.mark.parametrize("pool", PLAIN)
def test_gradients_are_slopes(pool):
    rng = np.random.default_rng(0)
    x, direction = (rng.normal(size=(2, 7, 6, 2)).astype(np.float32) for _ in range(2))

    @jax.jit
    def total(x):
        return jnp.square(pool(x, kernel=3, stride=2)).sum()

    step = np.float32(1e-3)
    slope = (total(x + step * direction) - total(x - step * direction)) / (2 * step)
    np.testing.assert_allclose((jax.jit(jax.grad(total))(x) * direction).sum(), slope, rtol=1e-2)


def test_equal_pixels_share_the_gradient():
    found = jax.grad(lambda x: max_pool(x, kernel=2, stride=2).sum())(jnp.ones((1, 2, 2, 1)))
    np.testing.assert_allclose(found.sum(), 1)
    assert (found > 0).all()
