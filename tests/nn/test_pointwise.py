"""The 1x1 convolution against its formula."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsenas.nn.pointwise import library, pointwise
from tests.nn.against import (
    assert_close,
    gradients_of_gradients,
    in_double,
    normal,
    one_after_the_other,
    value_and_gradients,
)


def formula(x, weight):
    return jnp.einsum("nhwc,cd->nhwd", x, weight)


# One pixel, fewer and more than a tile, channels on both sides of a vector, more than one block of them.
@pytest.mark.parametrize(
    ("n", "h", "w", "c", "d"),
    [
        (2, 3, 4, 5, 6),
        (1, 1, 1, 1, 1),
        (3, 7, 5, 16, 33),
        (2, 8, 8, 40, 16),
        (1, 5, 5, 3, 130),
        (9, 6, 6, 24, 64),
    ],
)
def test_output_and_gradients_are_the_formulas(n, h, w, c, d):
    args = normal(n, h, w, c), normal(c, d), normal(n, h, w, d, seed=1)
    expected = in_double(value_and_gradients(formula), *args)
    assert_close(jax.jit(value_and_gradients(pointwise))(*args), expected)
    assert_close(jax.jit(value_and_gradients(library))(*args), expected)


def test_can_be_differentiated_twice():
    args = normal(2, 3, 3, 5), normal(5, 7)
    found = jax.jit(gradients_of_gradients(pointwise))(*args)
    assert_close(found, in_double(gradients_of_gradients(formula), *args), tolerance=5e-5)


@pytest.mark.parametrize("mapped", [m for m in itertools.product([True, False], repeat=3) if any(m)])
def test_vmap_is_one_after_the_other(mapped):
    shapes = (2, 3, 3, 5), (5, 17), (2, 3, 3, 17)
    args = [normal(*((3,) if m else ()), *shape) for m, shape in zip(mapped, shapes, strict=True)]
    run = value_and_gradients(pointwise)
    found = jax.jit(jax.vmap(run, [0 if m else None for m in mapped]))(*args)
    assert_close(found, one_after_the_other(run, mapped, args))


def test_double_precision_stays_double():
    with jax.enable_x64(True):
        x, weight = jnp.ones((1, 1, 1, 2)), jnp.full((2, 1), 1 + 1e-12)
        assert pointwise(x, weight).item() == np.float64(2 + 2e-12)
