"""The full convolution against its formula."""

import itertools

import jax
import numpy as np
import pytest

from sparsenas.nn.convolution import convolution, library
from tests.nn.against import (
    assert_close,
    gradients_of_gradients,
    in_double,
    normal,
    one_after_the_other,
    value_and_gradients,
)


def formula(x, kernel, stride):
    n, h, w, _ = x.shape
    k, _, _, d = kernel.shape
    y = np.zeros((n, (h - 1) // stride + 1, (w - 1) // stride + 1, d))
    for i, j in np.ndindex(*y.shape[1:3]):
        for r, s in np.ndindex(k, k):
            a, b = stride * i + r - k // 2, stride * j + s - k // 2
            if 0 <= a < h and 0 <= b < w:
                y[:, i, j] += x[:, a, b] @ kernel[r, s]
    return y


@pytest.mark.parametrize(("h", "w", "k", "stride"), [(6, 6, 3, 1), (8, 8, 3, 2), (7, 5, 3, 2), (6, 9, 5, 2)])
def test_output_is_the_formula(h, w, k, stride):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, h, w, 3)), rng.normal(size=(k, k, 3, 4))
    y = convolution(np.float32(x), np.float32(kernel), stride=stride)
    # 75 products in single precision.
    np.testing.assert_allclose(y, formula(x, kernel, stride), atol=1e-4)


def test_kernel_gradient_is_the_derivative_of_the_formula():
    rng = np.random.default_rng(0)
    x, kernel, g = rng.normal(size=(2, 5, 5, 2)), rng.normal(size=(3, 3, 2, 3)), rng.normal(size=(2, 3, 3, 3))
    _, pull = jax.vjp(lambda kernel: convolution(np.float32(x), kernel, stride=2), np.float32(kernel))
    (found,) = pull(np.float32(g))
    # The formula is linear in the kernel: a unit kernel gives one entry of the gradient.
    expected = np.empty_like(kernel)
    for index in np.ndindex(kernel.shape):
        unit = np.zeros_like(kernel)
        unit[index] = 1
        expected[index] = (formula(x, unit, 2) * g).sum()
    np.testing.assert_allclose(found, expected, atol=1e-4)


# n, h, w, c, d, k, stride
SHAPES = [
    (3, 8, 8, 3, 16, 3, 1), (2, 9, 7, 3, 5, 3, 2), (1, 1, 1, 2, 3, 3, 1), (2, 6, 5, 17, 33, 5, 2),
    (2, 4, 4, 3, 4, 1, 2), (40, 4, 3, 2, 8, 3, 3),
]  # fmt: skip


@pytest.mark.parametrize(("n", "h", "w", "c", "d", "k", "stride"), SHAPES)
def test_output_and_gradients_are_the_librarys(n, h, w, c, d, k, stride):
    g = normal(n, (h - 1) // stride + 1, (w - 1) // stride + 1, d, seed=1)
    args = normal(n, h, w, c), normal(k, k, c, d), g
    found = jax.jit(value_and_gradients(lambda x, kernel: convolution(x, kernel, stride=stride)))(*args)
    assert_close(found, in_double(value_and_gradients(lambda x, k: library(x, k, stride)), *args))


def test_can_be_differentiated_twice():
    args = normal(2, 5, 6, 3), normal(3, 3, 3, 4)
    found = jax.jit(gradients_of_gradients(lambda x, k: convolution(x, k, stride=2)))(*args)
    expected = in_double(gradients_of_gradients(lambda x, k: library(x, k, 2)), *args)
    assert_close(found, expected, tolerance=5e-5)


@pytest.mark.parametrize("mapped", [m for m in itertools.product([True, False], repeat=3) if any(m)])
def test_vmap_is_one_after_the_other(mapped):
    shapes = (2, 6, 7, 3), (3, 3, 3, 5), (2, 3, 4, 5)
    args = [normal(*((3,) if m else ()), *shape) for m, shape in zip(mapped, shapes, strict=True)]
    run = value_and_gradients(lambda x, kernel: convolution(x, kernel, stride=2))
    found = jax.jit(jax.vmap(run, [0 if m else None for m in mapped]))(*args)
    assert_close(found, one_after_the_other(run, mapped, args))
