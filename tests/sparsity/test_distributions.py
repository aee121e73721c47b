"""Distributions share out exactly what they are given."""

import math

import numpy as np
import pytest

from sparsenas.errors import UserError
from sparsenas.sparsity.distributions import MOST, erk, uniform
from sparsenas.sparsity.patterns import Block, KernelPattern, NByM, Unstructured

SHAPES = [(64, 3, 3, 3), (64, 64, 3, 3), (128, 64), (256, 128), (512, 512, 3, 3), (10, 512)]
SIZES = np.array([math.prod(shape) for shape in SHAPES])


@pytest.mark.parametrize("share", [uniform, erk])
@pytest.mark.parametrize("fraction", [0.05, 0.5, 0.8, 0.9, 0.98])
def test_zeros_add_up_to_the_budget(share, fraction):
    patterns = [Unstructured(), Block(2), Block(4), Unstructured(), Unstructured(), Unstructured()]
    found = share(SHAPES, fraction, patterns)
    assert found @ SIZES == pytest.approx(fraction * SIZES.sum(), rel=1e-9)
    assert ((found >= 0) & (found <= MOST)).all()
    # As weights are then pruned, whole ones and whole blocks.
    zeros = SIZES.sum() - sum(
        p.nonzeros(shape, f) for p, shape, f in zip(patterns, SHAPES, found, strict=True)
    )
    assert abs(zeros - fraction * SIZES.sum()) <= sum(getattr(p, "rows", 1) for p in patterns)


def test_uniform_is_uniform():
    np.testing.assert_allclose(uniform(SHAPES, 0.8, [Unstructured()] * 6), 0.8)


def test_erk_is_the_formula_and_small_layers_stay_dense():
    found = erk(SHAPES, 0.9, [Unstructured()] * 6)
    density = np.array([sum(shape) / math.prod(shape) for shape in SHAPES])
    open_ones = found > 1e-9
    ratios = ((1 - found) / density)[open_ones]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-6)
    # A dense one would have more than all its weights.
    assert (density[~open_ones] * ratios[0] >= 1).all()
    assert not open_ones[0]
    assert found[4] == max(found)


def test_patterns_bound_what_a_layer_gets():
    patterns = [Unstructured(), KernelPattern(), NByM(), Unstructured(), KernelPattern(), Unstructured()]
    found = uniform(SHAPES, 0.8, patterns)
    assert found[2] == pytest.approx(0.5)
    assert found @ SIZES == pytest.approx(0.8 * SIZES.sum())
    assert min(found[1], found[4]) >= 5 / 9 - 1e-9
    with pytest.raises(UserError, match=r"leave a fraction of zeros from 0\.5000 to 0\.5000 .* found 0\.8"):
        uniform(SHAPES[3:4], 0.8, [NByM()])


@pytest.mark.parametrize("fraction", [0, 1, 1.5, -0.1, math.nan])
def test_a_fraction_that_leaves_all_or_nothing_is_refused(fraction):
    with pytest.raises(UserError, match="must be above 0 and below 1"):
        uniform(SHAPES, fraction, [Unstructured()] * 6)
    with pytest.raises(UserError, match="at least one layer"):
        erk([], 0.5, [])
