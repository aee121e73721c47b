"""Convolution, normalisation and activation as one against one after the other, in double precision."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsenas.nn import batch_norm, depthwise, pointwise
from sparsenas.nn.normalized import normalized
from tests.nn.against import assert_close, in_double, normal, one_after_the_other


def formula(x, weight, scale, offset, *, stride=1, activation="none"):
    z = pointwise.library(x, weight) if weight.ndim == 2 else depthwise.library(x, weight, stride)
    return batch_norm.library(z, scale, offset, activation)


def run(fn, **settings):
    """Returns a function to all results and to the gradients of sums over curves of them."""

    def results_and_gradients(*args):
        results, pull = jax.vjp(lambda *a: fn(*a, **settings), *args)
        return results, pull(jax.tree.map(jnp.sin, results))

    return results_and_gradients


def arguments(n, h, w, c, d, k):
    weight = normal(c, d) if k is None else normal(k, k, c)
    return normal(n, h, w, c, seed=2), weight, normal(d, seed=3), normal(d, seed=4)


@pytest.mark.parametrize(
    ("n", "h", "w", "c", "d", "k", "stride", "activation"),
    [
        (2, 5, 7, 6, 6, 3, 1, "relu6"), (40, 4, 4, 16, 16, 3, 2, "relu"), (3, 9, 8, 20, 20, 5, 2, "none"),
        (2, 5, 7, 6, 20, None, 1, "relu6"), (40, 4, 4, 16, 8, None, 1, "none"),
        (1, 1, 1, 3, 2, None, 1, "relu"),
    ],
)  # fmt: skip
def test_results_and_gradients_are_the_formulas(n, h, w, c, d, k, stride, activation):
    args = arguments(n, h, w, c, d, k)
    settings = {"stride": stride, "activation": activation}
    found = jax.jit(run(normalized, **settings))(*args)
    assert_close(found, in_double(run(formula, **settings), *args), tolerance=1e-4)


@pytest.mark.parametrize("k", [None, 3])
def test_can_be_differentiated_twice(k):
    args = arguments(2, 4, 5, 3, 3, k)

    def penalty(fn, *args):
        def loss(*args):
            y, mean, variance = fn(*args, activation="relu6")
            return jnp.sin(y).sum() + (mean**3).sum() + (variance**2).sum()

        return sum((g**2).sum() for g in jax.grad(loss, (0, 1, 2, 3))(*args))

    found = jax.jit(jax.grad(lambda *a: penalty(normalized, *a), (0, 1, 2, 3)))(*args)
    assert_close(found, in_double(jax.grad(lambda *a: penalty(formula, *a), (0, 1, 2, 3)), *args), 1e-4)


@pytest.mark.parametrize("mapped", [m for m in itertools.product([True, False], repeat=4) if any(m)])
@pytest.mark.parametrize("k", [None, 3])
def test_vmap_is_one_after_the_other(k, mapped):
    args = [
        np.stack([a, a[::-1]]) if m else a for a, m in zip(arguments(2, 4, 5, 3, 3, k), mapped, strict=True)
    ]
    compute = run(normalized, activation="relu")
    found = jax.jit(jax.vmap(compute, [0 if m else None for m in mapped]))(*args)
    assert_close(found, one_after_the_other(compute, mapped, args), tolerance=1e-4)


def test_results_do_not_depend_on_the_number_of_threads():
    # The loop over a stack gives each computation to whichever threads are free.
    args = arguments(32, 8, 8, 16, 16, 3)
    compute = jax.jit(run(normalized, activation="relu6"))
    first = compute(*args)
    for _ in range(5):
        for a, b in zip(jax.tree.leaves(compute(*args)), jax.tree.leaves(first), strict=True):
            np.testing.assert_array_equal(a, b)
