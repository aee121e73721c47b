"""ADMM: the projection against every possibility, and weights that end up with their pattern."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sparsenas.errors import UserError
from sparsenas.sparsity.admm import admm, project, toward_pattern
from sparsenas.sparsity.layout import outputs_first, outputs_last
from sparsenas.sparsity.masks import Target
from sparsenas.sparsity.patterns import TEES, Block, KernelPattern, NByM, Sparse

PATTERN = KernelPattern(patterns=TEES)


def nearest(weight, choices):
    """Returns the nearest array among all of `choices` (masks), by looking at each."""
    return min((np.where(mask, weight, 0) for mask in choices), key=lambda z: ((weight - z) ** 2).sum())


def kernel_choices(kernels, kept):
    for which in itertools.combinations(range(kernels), kept):
        for patterns in itertools.product(TEES, repeat=kept):
            mask = np.zeros((kernels, 9), bool)
            for kernel, pattern in zip(which, patterns, strict=True):
                mask[kernel, list(pattern)] = True
            yield mask


@pytest.mark.parametrize("seed", range(5))
def test_projection_to_kernel_patterns_is_the_nearest_of_all(seed):
    weight = np.random.default_rng(seed).normal(size=(2, 2, 3, 3)).astype(np.float32)  # [D, C, 3, 3]
    fraction = PATTERN.fraction(kernels=0.5)
    targets = {"w": Target(Sparse(fraction, PATTERN), "conv")}
    found = outputs_first(
        np.asarray(project({"w": jnp.asarray(outputs_last(weight, "conv"))}, targets)["w"]), "conv"
    )
    expected = nearest(weight.reshape(4, 9), kernel_choices(4, 2)).reshape(2, 2, 3, 3)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("seed", range(3))
def test_projection_to_2_of_4_and_to_blocks_is_the_nearest_of_all(seed):
    weight = np.random.default_rng(seed).normal(size=(2, 4)).astype(np.float32)  # [D, C]
    pairs = list(itertools.combinations(range(4), 2))
    groups = [np.isin(np.arange(4), a) for a in pairs]
    two = nearest(weight, [np.stack(rows) for rows in itertools.product(groups, repeat=2)])
    blocks = nearest(weight, [np.stack([row] * 2) for row in groups])
    for pattern, expected in ((NByM(), two), (Block(2), blocks)):
        targets = {"w": Target(Sparse(0.5, pattern), "fully_connected")}
        np.testing.assert_array_equal(project({"w": jnp.asarray(weight.T)}, targets)["w"].T, expected)


def test_weights_approach_their_pattern_and_then_have_it():
    rng = np.random.default_rng(0)
    target = {"w": rng.normal(size=(3, 3, 4, 6)).astype(np.float32)}
    weights = {"w": rng.normal(size=(3, 3, 4, 6)).astype(np.float32)}
    fraction = PATTERN.fraction(kernels=0.5)
    targets = {"w": Target(Sparse(fraction, PATTERN), "conv")}
    tx = admm(optax.sgd(0.05), targets, end=300, every=10, rho=0.05)
    state = tx.init(weights)
    step = jax.jit(lambda w, s: tx.update(jax.tree.map(jnp.subtract, w, target), s, w))

    def away():
        return float(np.linalg.norm(weights["w"] - project(weights, targets)["w"]))

    first = away()
    for i in range(310):
        updates, state = step(weights, state)
        weights = optax.apply_updates(weights, updates)
        if i == 298:
            assert away() < first / 2
            assert np.count_nonzero(weights["w"]) == weights["w"].size
    assert np.count_nonzero(weights["w"]) == PATTERN.nonzeros((6, 4, 3, 3), fraction)
    PATTERN.stored(outputs_first(np.asarray(weights["w"]), "conv"))


def test_the_penalty_is_its_gradient_and_the_dual_adds_up():
    weights = {"w": np.array([[1.0, 2, 3, 4]], np.float32).T}
    targets = {"w": Target(Sparse(0.5, NByM()), "fully_connected")}
    tx = toward_pattern(targets, end=4, every=1, rho=0.5)
    zero = {"w": np.zeros((4, 1), np.float32)}
    state = tx.init(weights)
    found, state = tx.update(zero, state, weights)
    # W - Z is what projection takes away: 1 and 2.
    np.testing.assert_allclose(found["w"].T, 0.5 * np.array([[1, 2, 0, 0]]), rtol=1e-6)
    found, state = tx.update(zero, state, weights)
    # U = 0 + W - Z with Z = P(W + 0), and rho has grown by 100 ** (1 / 4).
    np.testing.assert_allclose(state.dual["w"].T, [[1, 2, 0, 0]])
    np.testing.assert_allclose(found["w"].T, 0.5 * 100**0.25 * np.array([[2, 4, 0, 0]]), rtol=1e-6)
    for _ in range(3):
        found, state = tx.update(zero, state, weights)
    np.testing.assert_array_equal(found["w"], 0)


def test_a_layer_without_3x3_kernels_is_named():
    targets = {"mix": Target(Sparse(0.8, PATTERN), "conv")}
    with pytest.raises(UserError, match=r"3x3 kernels.*'mix' \(conv\) has \[4, 4, 1, 1\]"):
        admm(optax.sgd(0.1), targets, end=5).init({"mix": np.ones((1, 1, 4, 4), np.float32)})
    with pytest.raises(UserError, match="`rho` must be above 0, found 0"):
        admm(optax.sgd(0.1), targets, end=5, rho=0)
