"""Masks on the device are those of the patterns, exactly."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsenas.errors import UserError
from sparsenas.sparsity.layout import outputs_first, outputs_last
from sparsenas.sparsity.masks import Target, check_targets, masks_of
from sparsenas.sparsity.patterns import Block, KernelPattern, NByM, Sparse, Unstructured

# As they lie in training: [C, D] and [k, k, C, D].
CASES = [
    (Unstructured(), 0.85, "conv1x1", (13, 7)),
    (Unstructured(), 0.9, "conv", (3, 3, 6, 10)),
    (Block(2), 0.7, "conv1x1", (13, 7)),
    (Block(4), 0.9, "conv1x1", (30, 18)),
    (Block(4), 0.5, "fully_connected", (12, 3)),
    (NByM(), 0.5, "fully_connected", (16, 5)),
    (NByM(), 0.5, "fully_connected", (13, 5)),
    (KernelPattern(), 0.876, "conv", (3, 3, 8, 12)),
    (KernelPattern(), 5 / 9 + 1e-9, "conv", (3, 3, 3, 5)),
    (KernelPattern(patterns=((1, 3, 4, 5), (0, 1, 3, 4))), 0.8, "conv", (3, 3, 8, 8)),
]
IDS = [f"{pattern.name}-{op}-{shape}" for pattern, _, op, shape in CASES]


def masks(score, target, part):
    found = jax.jit(lambda s, p: masks_of({"w": s}, {"w": target}, p))(jnp.asarray(score), jnp.float32(part))
    return np.asarray(found["w"])


@pytest.mark.parametrize(("pattern", "fraction", "op", "shape"), CASES, ids=IDS)
def test_at_the_end_masks_are_what_the_pattern_keeps(pattern, fraction, op, shape):
    score = np.random.default_rng(0).random(shape, np.float32)
    found = masks(score, Target(Sparse(fraction, pattern), op), 1)
    assert found.shape == shape
    np.testing.assert_array_equal(outputs_first(found, op), pattern.keep(outputs_first(score, op), fraction))
    assert found.sum() == pattern.nonzeros(outputs_first(score, op).shape, fraction)


@pytest.mark.parametrize(("pattern", "fraction", "op", "shape"), CASES, ids=IDS)
def test_zeros_grow_with_the_part_and_only_take_more(pattern, fraction, op, shape):
    weight = np.random.default_rng(1).random(shape, np.float32) + 0.1
    target = Target(Sparse(fraction, pattern), op)
    final = weight.size - pattern.nonzeros(outputs_first(weight, op).shape, fraction)
    kept = np.ones(shape, bool)
    for part in np.linspace(0, 1, 6):
        # As training sees them: what was pruned before is 0 by now.
        found = masks(np.where(kept, weight, 0), target, part)
        assert not (found & ~kept).any()
        if isinstance(pattern, Unstructured | Block):
            # At most half a unit of each of two kinds off.
            assert abs((~found).sum() - part * final) <= getattr(pattern, "rows", 1)
        kept = found
    assert (~kept).sum() == final


def test_a_part_of_2_to_4_is_whole_groups_that_lose_least():
    score = np.array([[9, 1, 8, 2], [5, 6, 7, 8]], np.float32)  # The first group loses 3, the second 11.
    found = masks(score.T, Target(Sparse(0.5, NByM()), "fully_connected"), 0.5).T
    assert found.tolist() == [[True, False, True, False], [True] * 4]


def test_arrays_of_many_patterns_are_masked_together():
    rng = np.random.default_rng(2)
    targets = {str(i): Target(Sparse(f, pattern), op) for i, (pattern, f, op, _) in enumerate(CASES)}
    targets["bias"] = Target()
    scores = {str(i): rng.random(shape, np.float32) for i, (*_, shape) in enumerate(CASES)}
    scores["bias"] = np.ones(4, np.float32)
    found = jax.jit(lambda s: masks_of(s, targets, jnp.float32(1)))(scores)
    assert found["bias"].shape == ()
    for i, (pattern, fraction, op, _) in enumerate(CASES):
        expected = pattern.keep(outputs_first(scores[str(i)], op), fraction)
        np.testing.assert_array_equal(outputs_first(np.asarray(found[str(i)]), op), expected)


@pytest.mark.parametrize(
    ("op", "trained", "stored"),
    [
        ("conv1x1", (5, 7), (7, 5)),
        ("conv", (3, 3, 5, 7), (7, 5, 3, 3)),
        ("conv_hwc", (3, 3, 4, 7), (7, 3, 3, 4)),
        ("depthwise", (3, 3, 6), (6, 3, 3)),
    ],
)
def test_layouts_are_those_of_layers_and_come_back(op, trained, stored):
    weight = np.arange(np.prod(trained)).reshape(trained)
    first = outputs_first(weight, op)
    assert first.shape == stored
    np.testing.assert_array_equal(outputs_last(first, op), weight)
    for d, c in itertools.product(range(stored[0]), range(2)):
        expected = weight[1, 2, c, d] if op == "conv" else weight[..., d].ravel()[c]
        assert (first[d, c, 1, 2] if op == "conv" else first[d].ravel()[c]) == expected


def test_kernel_patterns_are_for_3x3_kernels():
    targets = {"mix": {"weight": Target(Sparse(0.8, KernelPattern()), "conv1x1")}}
    with pytest.raises(UserError, match=r"3x3 kernels.*'mix/weight' \(conv1x1\) has \[6, 9\]"):
        check_targets(targets, {"mix": {"weight": np.zeros((9, 6))}})
