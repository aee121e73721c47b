"""Every pattern keeps as many weights as it says, those that its rule allows, and the best of them."""

import itertools
import math

import numpy as np
import pytest

from sparsenas.sparsity.patterns import (
    DENSE,
    PATTERNS,
    Block,
    Dense,
    KernelPattern,
    NByM,
    Sparse,
    Unstructured,
)

SHAPES = [(1, 1), (3, 5), (4, 8), (7, 9), (8, 4), (13, 262), (2, 3, 3, 3), (7, 5, 3, 3)]
FRACTIONS = [0.0, 0.1, 0.5, 5 / 9, 0.8, 0.95, 1.0]


def cases():
    for pattern, shape, fraction in itertools.product(PATTERNS.values(), SHAPES, FRACTIONS):
        if pattern.name == "dense" and fraction != 0:
            continue
        if pattern.name == "2:4" and fraction != 0.5:
            continue
        if pattern.name == "pattern" and (len(shape) != 4 or fraction < 0.55):
            continue
        yield pytest.param(pattern, shape, fraction, id=f"{pattern.name}-{shape}-{fraction:.2g}")


@pytest.mark.parametrize(("pattern", "shape", "fraction"), list(cases()))
def test_as_many_are_kept_as_is_said_and_they_fit(pattern, shape, fraction):
    score = np.random.default_rng(0).random(shape)
    kept = pattern.keep(score, fraction)
    assert kept.shape == shape
    assert kept.dtype == bool
    assert np.count_nonzero(kept) == pattern.nonzeros(shape, fraction)
    np.testing.assert_array_equal(pattern.stored(np.where(kept, score, 0)), kept)
    # At most half a block, in each of the two kinds, from what was asked for.
    if pattern.name != "2:4":
        off = abs(np.count_nonzero(kept) - (1 - fraction) * math.prod(shape))
        assert off <= {"block2": 1.5, "block4": 3.5, "pattern": 2}.get(pattern.name, 0.5) + 1e-9


def test_unstructured_keeps_the_highest():
    score = np.array([[3.0, 1, 4], [1, 5, 9]])
    assert Unstructured().keep(score, 0.5).tolist() == [[False, False, True], [False, True, True]]


def test_blocks_stand_and_fall_together():
    score = np.array([[1.0, 0, 5], [1, 9, 0], [4, 3, 3]])
    kept = Block(2).keep(score, 1 / 3)
    # Sums of the full blocks are 2, 9 and 5; the third row is a band of its own.
    assert kept.astype(int).tolist() == [[0, 1, 1], [0, 1, 1], [1, kept[2, 1], kept[2, 2]]]
    assert kept[2].sum() == 2
    weight = np.zeros((5, 2))
    weight[1, 0] = weight[4, 1] = 1
    assert Block(4).stored(weight).astype(int).tolist() == [[1, 0]] * 4 + [[0, 1]]


def test_two_of_four_are_the_larger_two():
    score = np.array([[1.0, 4, 3, 2, 7, 6, 5]])
    assert NByM(2, 4).keep(score, 0.5).astype(int).tolist() == [[0, 1, 1, 0, 1, 1, 0]]
    assert NByM(2, 4).nonzeros((3, 5), 0.5) == 9
    with pytest.raises(ValueError, match="at most 2 of every 4 inputs, found 3"):
        NByM(2, 4).stored(np.array([[1.0, 1, 1, 0]]))


def test_kernels_have_one_pattern_with_the_centre_or_none():
    pattern = KernelPattern()
    kept = pattern.keep(np.random.default_rng(1).random((12, 10, 3, 3)), pattern.fraction(kernels=0.28))
    kernels = kept.reshape(-1, 9)
    full = kernels[kernels.any(1)]
    assert len(full) == round(0.28 * 120)
    assert {tuple(np.flatnonzero(kernel)) for kernel in full} <= set(pattern.patterns)
    assert full[:, 4].all()


def test_a_kernel_that_lost_weights_keeps_its_pattern():
    weight = np.zeros((1, 2, 3, 3))
    weight[0, 1].flat[[1, 3]] = 1  # The first pattern that has both is (1, 3, 4, 5).
    stored = KernelPattern().stored(weight)
    assert np.flatnonzero(stored).tolist() == [9 + 1, 9 + 3, 9 + 4, 9 + 5]
    weight[0, 1].flat[[0, 8]] = 1
    with pytest.raises(ValueError, match=r"found \[0, 1, 3, 8\] in kernel \[0, 1\]"):
        KernelPattern().stored(weight)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sparse(0.4, KernelPattern()), r"at least 0\.5556 \(5/9\), found 0\.4"),
        (lambda: Sparse(0.9, NByM(2, 4)), r"leaves a fraction of zeros of 0\.5, found 0\.9"),
        (lambda: Sparse(0.9, Dense()), "keeps every weight"),
        (lambda: Block(3), "must be 2 or 4, found 3"),
        (lambda: NByM(1, 4), "2 of 4 only, found 1 of 4"),
        (lambda: KernelPattern(patterns=((0, 1, 2, 3),)), "the centre"),
        (lambda: KernelPattern(patterns=()), "at least one"),
        (lambda: KernelPattern(patterns=((1, 3, 4, 5),) * 2), "all different"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_options_can_be_told_apart_and_printed():
    options = [DENSE, *(Sparse(0.6, p) for p in (Unstructured(), Block(2), Block(4), KernelPattern()))]
    assert len(set(options)) == len({repr(option) for option in options}) == 5
    assert repr(Sparse(0.6, KernelPattern())) == "Sparse(fraction=0.6, pattern=KernelPattern())"
