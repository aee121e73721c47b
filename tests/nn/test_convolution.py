"""The full convolution against its formula."""

import jax
import numpy as np
import pytest

from sparsenas.nn.convolution import convolution


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
