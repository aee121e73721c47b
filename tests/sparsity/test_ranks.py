"""Ranks against the masks that patterns make themselves."""

import itertools

import numpy as np
import pytest

from sparsenas.sparsity.patterns import DENSE, Block, Dense, KernelPattern, NByM, Sparse, Unstructured
from sparsenas.sparsity.ranks import ranks, sparse_patterns

ONE_TAP = np.zeros(1, int)
NINE_TAPS = np.zeros(9, int)
FRACTIONS = {
    Unstructured(): (0.3, 0.5, 0.75, 0.9),
    Block(2): (0.3, 0.5, 0.75, 0.9),
    Block(4): (0.3, 0.5, 0.75, 0.9),
    NByM(): (0.5,),
    KernelPattern(): (5 / 9, 0.6, 0.75, 0.9),
}


def weights(d, c, taps, seed=0):
    return np.random.default_rng(seed).normal(size=(d, c, taps)).astype(np.float32)


def shape_of(pattern, d, c):
    return (d, c, 3, 3) if isinstance(pattern, KernelPattern) else (d, c)


@pytest.mark.parametrize("pattern", FRACTIONS, ids=lambda pattern: pattern.name)
@pytest.mark.parametrize(("d", "c"), [(12, 8), (7, 9), (3, 5)])
def test_a_layer_of_one_width_has_its_patterns_own_mask(pattern, d, c):
    taps = NINE_TAPS if isinstance(pattern, KernelPattern) else ONE_TAP
    weight = weights(d, c, len(taps))
    rank = ranks(weight, pattern, outputs=[d], inputs=[c], rings=taps)
    shape = shape_of(pattern, d, c)
    for fraction in FRACTIONS[pattern]:
        expected = pattern.keep(np.abs(weight).reshape(shape), fraction)
        found = (rank >= np.float32(fraction)).reshape(shape)
        # Halves are rounded to even there, and up here: one more at most of what goes together.
        unit = {"block2": 2, "block4": 4, "pattern": 4}.get(pattern.name, 1)
        assert 0 <= found.sum() - expected.sum() <= 2 * unit
        assert found[expected].all()


@pytest.mark.parametrize("pattern", FRACTIONS, ids=lambda pattern: pattern.name)
def test_every_width_has_the_pattern_and_its_fraction(pattern):
    outputs, inputs = [4, 6, 12], [2, 6, 8]
    taps = NINE_TAPS if isinstance(pattern, KernelPattern) else ONE_TAP
    weight = weights(12, 8, len(taps))
    rank = ranks(weight, pattern, outputs=outputs, inputs=inputs, rings=taps)
    for (d, c), fraction in itertools.product(itertools.product(outputs, inputs), FRACTIONS[pattern]):
        shape = shape_of(pattern, d, c)
        kept = (rank[:d, :c] >= np.float32(fraction)).reshape(shape)
        used = np.where(kept, weight[:d, :c].reshape(shape), 0)
        np.testing.assert_array_equal(pattern.stored(used), kept)
        # Every shell is rounded by itself: 3 x 3 of widths, one more where a width cuts blocks of four. A
        # width that cuts a group of four inputs may lose two of them in every row.
        slack = {"block2": 2 * 9, "block4": 4 * 12, "2:4": 4 * d, "pattern": 4 * 9}.get(pattern.name, 9)
        assert abs(kept.sum() - pattern.nonzeros(shape, fraction)) <= slack / 2


def test_higher_fractions_keep_a_subset():
    for pattern, fractions in FRACTIONS.items():
        taps = NINE_TAPS if isinstance(pattern, KernelPattern) else ONE_TAP
        rank = ranks(weights(12, 8, len(taps)), pattern, outputs=[6, 12], inputs=[8], rings=taps)
        for low, high in itertools.pairwise(fractions):
            assert not ((rank >= high) & (rank < low)).any()
            assert (rank >= high).sum() < (rank >= low).sum()


def test_smaller_kernels_have_the_same_fraction():
    # The centre of a 5x5 window, the ring around it, and the outermost one.
    distance = np.abs(np.arange(5) - 2)
    rings = np.maximum(distance[:, None], distance).ravel()
    weight = weights(8, 6, 25)
    rank = ranks(weight, Unstructured(), outputs=[8], inputs=[6], rings=rings)
    for side, ring in ((1, 0), (3, 1), (5, 2)):
        kept = rank[:, :, rings <= ring] >= 0.75
        assert abs(kept.sum() - 0.25 * 8 * 6 * side**2) <= 1.5


def test_patterns_that_have_zeros_are_listed_once():
    options = (DENSE, Sparse(0.5, Block(4)), Sparse(0.5), Sparse(0.9, Block(4)))
    assert sparse_patterns(options) == (Block(4), Unstructured())
    assert sparse_patterns([DENSE]) == ()
    with pytest.raises(ValueError, match="must have zeros"):
        ranks(weights(2, 2, 1), Dense(), outputs=[2], inputs=[2], rings=ONE_TAP)


def test_equal_weights_stand_in_the_order_of_memory():
    # Four magnitudes only: most weights have equals in their shell.
    weight = np.random.default_rng(0).integers(-3, 4, (6, 5, 9)).astype(np.float32)
    outputs, inputs, rings = [2, 6], [3, 5], np.array([1, 1, 1, 1, 0, 1, 1, 1, 1])
    rank = ranks(weight, Unstructured(), outputs=outputs, inputs=inputs, rings=rings)
    shells = {(i, j, k): (i >= outputs[0], j >= inputs[0], rings[k]) for i, j, k in np.ndindex(weight.shape)}
    for at, shell in shells.items():
        peers = [other for other in shells if shells[other] == shell]
        below = sum((abs(weight[other]), other) < (abs(weight[at]), at) for other in peers)
        assert rank[at] == np.float32((below + 0.5) / len(peers))


def test_of_equal_weights_in_a_group_the_last_one_stands_highest():
    weight = np.array([[1, -1, 1, 1, 0, 2, -0.0, 2, 3, 3]], np.float32)[..., None]
    rank = ranks(weight, NByM(), outputs=[1], inputs=[10], rings=ONE_TAP)
    places = [0, 1, 2, 3, 0, 2, 1, 3, 2, 3]  # The last group is filled up by two that are lower than all.
    np.testing.assert_array_equal(rank.ravel(), np.float32((np.array(places) + 0.5) / 4))
