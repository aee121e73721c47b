"""SR-STE: what the network sees is masked, and what is behind the mask lives on."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sparsenas.sparsity.masks import Target
from sparsenas.sparsity.patterns import Block, NByM, Sparse, Unstructured
from sparsenas.sparsity.schedules import cubic, one_shot
from sparsenas.sparsity.straight_through import straight_through


def test_one_step_is_the_formula():
    weights = {"w": np.array([[4.0, 3, 2, 1]], np.float32).T, "b": np.ones(1, np.float32)}
    targets = {"w": Target(Sparse(0.5, NByM()), "fully_connected"), "b": Target()}
    tx = straight_through(optax.sgd(0.1), targets, schedule=one_shot(at=0), decay=0.5)
    state = tx.init(weights)
    gradient = {"w": np.array([[10.0, 0, -30, 0]], np.float32).T, "b": np.ones(1, np.float32)}
    dense = weights["w"]
    for _ in range(3):
        seen = np.asarray(state.masks["w"])
        dense = dense - 0.1 * (gradient["w"] + 0.5 * ~seen * dense)
        expected = np.where(NByM().keep(np.abs(dense).T, 0.5).T, dense, 0)
        updates, state = tx.update(gradient, state, weights)
        weights = optax.apply_updates(weights, updates)
        # Parameters move by differences, which round once more.
        np.testing.assert_allclose(weights["w"], expected, rtol=1e-6)
        np.testing.assert_array_equal(weights["w"] == 0, expected == 0)
        np.testing.assert_allclose(state.weights["w"], dense, rtol=1e-6)
    np.testing.assert_allclose(weights["b"], 0.7, rtol=1e-6)
    assert state.weights["b"].shape == ()


@pytest.mark.parametrize(("pattern", "fraction"), [(NByM(), 0.5), (Unstructured(), 0.8), (Block(4), 0.7)])
def test_zeros_are_exact_and_weights_come_back(pattern, fraction):
    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(size=(16, 8)).astype(np.float32)}
    target = {"w": rng.normal(size=(16, 8)).astype(np.float32)}
    targets = {"w": Target(Sparse(fraction, pattern), "fully_connected")}
    tx = straight_through(optax.adamw(0.02), targets, schedule=cubic(begin=5, end=20), every=2)
    state = tx.init(weights)
    step = jax.jit(lambda w, s: tx.update(jax.tree.map(jnp.subtract, w, target), s, w))
    masks = []
    for _ in range(60):
        updates, state = step(weights, state)
        weights = optax.apply_updates(weights, updates)
        masks.append(np.asarray(weights["w"]) != 0)
    kept = pattern.nonzeros((8, 16), fraction)
    assert all(mask.sum() == kept for mask in masks[20:])
    assert any((later & ~earlier).any() for earlier, later in itertools.pairwise(masks[20:]))
