"""Depthwise convolution against the library's, in double precision."""

import itertools

import jax
import numpy as np
import pytest

from sparsenas.nn.depthwise import depthwise, library
from sparsenas.nn.foreign import MOST_TAPS
from tests.nn.against import (
    assert_close,
    gradients_of_gradients,
    in_double,
    normal,
    one_after_the_other,
    value_and_gradients,
)

# n, h, w, c, k, stride: odd sides, one pixel, channels on both sides of a vector.
SHAPES = [
    (3, 8, 8, 5, 3, 1), (3, 8, 8, 5, 3, 2), (1, 7, 10, 16, 3, 2), (2, 1, 1, 5, 3, 2), (2, 6, 5, 33, 5, 1),
    (2, 9, 6, 5, 5, 2), (2, 7, 8, 5, 5, 3), (1, 4, 3, 1, 7, 1), (2, 5, 5, 24, 1, 2), (40, 4, 4, 8, 3, 1),
    (1, 3, 3, 2, MOST_TAPS + 2, 1),
]  # fmt: skip


@pytest.mark.parametrize(("n", "h", "w", "c", "k", "stride"), SHAPES)
def test_output_and_gradients_are_the_librarys(n, h, w, c, k, stride):
    g = normal(n, (h - 1) // stride + 1, (w - 1) // stride + 1, c, seed=1)
    args = normal(n, h, w, c), normal(k, k, c), g
    found = jax.jit(value_and_gradients(lambda x, kernel: depthwise(x, kernel, stride=stride)))(*args)
    assert_close(found, in_double(value_and_gradients(lambda x, k: library(x, k, stride)), *args))


@pytest.mark.parametrize("stride", [1, 2])
def test_can_be_differentiated_twice(stride):
    args = normal(3, 6, 7, 5), normal(3, 3, 5)
    found = jax.jit(gradients_of_gradients(lambda x, k: depthwise(x, k, stride=stride)))(*args)
    expected = in_double(gradients_of_gradients(lambda x, k: library(x, k, stride)), *args)
    assert_close(found, expected, tolerance=5e-5)


@pytest.mark.parametrize("mapped", [m for m in itertools.product([True, False], repeat=3) if any(m)])
def test_vmap_is_one_after_the_other(mapped):
    shapes = (2, 6, 7, 5), (3, 3, 5), (2, 3, 4, 5)
    args = [normal(*((3,) if m else ()), *shape) for m, shape in zip(mapped, shapes, strict=True)]
    run = value_and_gradients(lambda x, kernel: depthwise(x, kernel, stride=2))
    found = jax.jit(jax.vmap(run, [0 if m else None for m in mapped]))(*args)
    assert_close(found, one_after_the_other(run, mapped, args))


def test_vmap_inside_vmap():
    x, kernels = normal(2, 2, 5, 5, 3), normal(4, 3, 3, 3)
    found = jax.vmap(lambda x: jax.vmap(lambda kernel: depthwise(x, kernel))(kernels))(x)
    for i, j in np.ndindex(2, 4):
        np.testing.assert_array_equal(found[i, j], depthwise(x[i], kernels[j]))


def test_loops_run_it():
    x, kernel = normal(4, 2, 5, 5, 3), normal(3, 3, 3)
    found = jax.jit(lambda x: jax.lax.map(lambda x: depthwise(x, kernel), x))(x)
    np.testing.assert_array_equal(found, np.stack([depthwise(one, kernel) for one in x]))
    found = jax.jit(lambda x: jax.lax.fori_loop(0, 3, lambda i, x: depthwise(x, kernel), x))(x[0])
    again = depthwise(depthwise(depthwise(x[0], kernel), kernel), kernel)
    np.testing.assert_array_equal(found, again)


def test_nan_spreads_to_what_sees_it_and_no_further():
    x = normal(2, 8, 8, 3)
    x[1, 2, 2, 1] = np.nan
    y = np.asarray(depthwise(x, normal(3, 3, 3)))
    expected = np.zeros(y.shape, bool)
    expected[1, 1:4, 1:4, 1] = True
    np.testing.assert_array_equal(np.isnan(y), expected)


def test_an_empty_batch_gives_an_empty_one():
    y, (gx, g_kernel) = value_and_gradients(depthwise)(
        normal(0, 4, 4, 3), normal(3, 3, 3), normal(0, 4, 4, 3)
    )
    assert y.shape == gx.shape == (0, 4, 4, 3)
    np.testing.assert_array_equal(g_kernel, 0)
