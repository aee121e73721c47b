"""Kernel patterns learned from weights."""

import numpy as np
import pytest

from sparsenas.errors import UserError
from sparsenas.sparsity.natural import LAPLACIAN, natural, natural_patterns


def kernels(*positions):
    """Returns [1, K, 3, 3], each kernel large at three positions and small elsewhere."""
    weight = np.full((len(positions), 9), 0.01)
    for kernel, large in zip(weight, positions, strict=True):
        kernel[list(large)] = [-1, 2, -3]
    return weight.reshape(1, -1, 3, 3)


def test_the_most_frequent_patterns_win_and_have_the_centre():
    weight = kernels((0, 1, 2), (3, 5, 7), (3, 5, 7), (0, 1, 2), (3, 5, 7), (0, 1, 3))
    assert natural_patterns([weight], count=2).patterns == ((3, 4, 5, 7), (0, 1, 2, 4))
    assert len(natural_patterns([weight], count=8).patterns) == 3


def test_natural_patterns_are_the_centre_and_the_three_largest():
    weight = np.random.default_rng(0).normal(size=(5, 4, 3, 3))
    for kernel, pattern in zip(weight.reshape(-1, 9), natural(weight), strict=True):
        rest = sorted((i for i in range(9) if i != 4), key=lambda i: -abs(kernel[i]))
        assert set(pattern) == {4, *rest[:3]}


def test_kernels_that_are_0_have_no_say():
    weight = np.concatenate([kernels((0, 1, 2)), np.zeros((1, 5, 3, 3))], axis=1)
    assert natural_patterns([weight]).patterns == ((0, 1, 2, 4),)
    with pytest.raises(UserError, match="found none that is not 0"):
        natural_patterns([np.zeros((2, 2, 3, 3))])
    with pytest.raises(UserError, match=r"found \[4, 4, 1, 1\]"):
        natural_patterns([np.ones((4, 4, 1, 1))])
    with pytest.raises(UserError, match="from 1 to 56, found 57"):
        natural_patterns([weight], count=57)


def test_the_mean_of_the_laplacian_patterns_is_a_smoothed_laplacian():
    mean = LAPLACIAN.members().mean(0).reshape(3, 3)
    np.testing.assert_array_equal(mean, [[0, 0.75, 0], [0.75, 1, 0.75], [0, 0.75, 0]])
