"""The written-out depthwise convolution against the library's, in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsenas.nn.depthwise import library, depthwise

# Sums of up to 25 taps and 150 pixels in single precision, relative to the largest entry.
TOLERANCE = 1e-5


def arrays(h, w, k, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(3, h, w, 5)).astype(np.float32), rng.normal(size=(k, k, 5)).astype(np.float32)


def assert_close(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=TOLERANCE * np.abs(b).max())


def in_double(fn, *args):
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, jax.jit(fn)(*(jnp.asarray(arg, jnp.float64) for arg in args)))


SHAPES = [(8, 8, 3, 1), (8, 8, 3, 2), (7, 10, 3, 2), (1, 1, 3, 2), (6, 5, 5, 1), (9, 6, 5, 2), (7, 8, 5, 3)]


@pytest.mark.parametrize(("h", "w", "k", "stride"), SHAPES)
def test_output_and_gradients_are_thelibrarys(h, w, k, stride):
    x, kernel = arrays(h, w, k)

    def run(convolve, x, kernel, g):
        y, pull = jax.vjp(lambda x, kernel: convolve(x, kernel), x, kernel)
        return y, pull(g)

    g = np.random.default_rng(1).normal(size=(3, (h - 1) // stride + 1, (w - 1) // stride + 1, 5))
    found = jax.jit(lambda *args: run(lambda x, kernel: depthwise(x, kernel, stride=stride), *args))(
        x, kernel, np.float32(g)
    )
    expected = in_double(
        lambda x, kernel, g: run(lambda x, kernel: library(x, kernel, stride), x, kernel, g), x, kernel, g
    )
    assert_close(found, expected)


@pytest.mark.parametrize("stride", [1, 2])
def test_can_be_differentiated_twice(stride):
    x, kernel = arrays(6, 7, 3)

    def penalty(convolve, x, kernel):
        g = jax.grad(lambda x, kernel: jnp.sin(convolve(x, kernel, stride=stride)).sum(), (0, 1))(x, kernel)
        return (g[0] ** 2).sum() + (g[1] ** 3).sum()

    found = jax.jit(jax.grad(lambda *a: penalty(depthwise, *a), (0, 1)))(x, kernel)
    expected = in_double(
        jax.grad(lambda *a: penalty(lambda x, k, stride: library(x, k, stride), *a), (0, 1)), x, kernel
    )
    assert_close(found, expected)


def test_vmap_is_one_after_the_other():
    x, kernels = arrays(6, 7, 3)[0], np.stack([arrays(6, 7, 3, seed)[1] for seed in range(2)])

    @jax.jit
    def gradient(kernel):
        return jax.grad(lambda kernel: (depthwise(x, kernel, stride=2) ** 2).sum())(kernel)

    np.testing.assert_allclose(
        jax.jit(jax.vmap(gradient))(kernels),
        np.stack([gradient(kernel) for kernel in kernels]),
        rtol=1e-5,
        atol=1e-4,
    )
