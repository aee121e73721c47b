"""Scores are their formulas, and gradual pruning follows them."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sparsenas.sparsity.gradual import gradual
from sparsenas.sparsity.masking import masked
from sparsenas.sparsity.masks import Target
from sparsenas.sparsity.patterns import Sparse
from sparsenas.sparsity.schedules import one_shot
from sparsenas.sparsity.scores import first_order, magnitude, movement

WEIGHT = np.array([[1.0, -2.0, 3.0, -4.0]], np.float32)
GRADIENTS = [np.array([[1.0, 1, -1, 0.1]], np.float32), np.array([[2.0, -1, -1, 0.1]], np.float32)]


def after_two_steps(score):
    memory = score.init(WEIGHT)
    for gradient in GRADIENTS:
        memory = score.watch(memory, WEIGHT, gradient)
    return np.asarray(score.value(memory, jnp.asarray(WEIGHT)))


def test_scores_are_their_formulas():
    np.testing.assert_array_equal(after_two_steps(magnitude()), np.abs(WEIGHT))
    np.testing.assert_allclose(after_two_steps(movement()), -WEIGHT * sum(GRADIENTS), rtol=1e-6)
    expected = 0.9 * 0.1 * np.abs(WEIGHT * GRADIENTS[0]) + 0.1 * np.abs(WEIGHT * GRADIENTS[1])
    np.testing.assert_allclose(after_two_steps(first_order(decay=0.9)), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="`decay` must be at least 0 and below 1, found 1"):
        first_order(decay=1)


@pytest.mark.parametrize(
    ("score", "kept"), [(magnitude(), [2, 3]), (movement(), [2, 3]), (first_order(), [0, 2])]
)
def test_pruning_keeps_the_highest_scores(score, kept):
    weights = {"w": WEIGHT}
    tx = masked(optax.sgd(0.0), gradual({"w": Target(Sparse(0.5))}, schedule=one_shot(at=1), score=score))
    state = tx.init(weights)
    for gradient in GRADIENTS:
        updates, state = tx.update({"w": gradient}, state, weights)
        weights = optax.apply_updates(weights, updates)
    assert np.flatnonzero(weights["w"]).tolist() == kept


def test_what_is_pruned_stays_pruned_though_other_scores_fall_below():
    def schedule(step):
        return jnp.where(step == 0, 0.5, 1.0)

    weights = {"w": WEIGHT}
    tx = masked(optax.sgd(0.0), gradual({"w": Target(Sparse(0.5))}, schedule=schedule, score=movement()))
    state = tx.init(weights)
    # First it is -9, the lowest; then two others fall to about -270 and it is not.
    for gradient in ([[9.0, 1, -1, -1]], [[0.0, -90, 90, -90]]):
        updates, state = tx.update({"w": np.array(gradient, np.float32)}, state, weights)
        weights = optax.apply_updates(weights, updates)
    assert np.count_nonzero(weights["w"]) == 2
    assert weights["w"][0, 0] == 0
