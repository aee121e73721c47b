"""RigL moves zeros and keeps their number."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sparsenas.errors import UserError
from sparsenas.sparsity.masking import masked
from sparsenas.sparsity.masks import Target
from sparsenas.sparsity.patterns import Block, NByM, Sparse, Unstructured
from sparsenas.sparsity.rigl import rigl

RNG = np.random.default_rng(0)


def optimizer(pattern, fraction, *, every=3, end=100, moved=0.4):
    targets = {"w": Target(Sparse(fraction, pattern)), "b": Target()}
    return masked(optax.adamw(0.05), rigl(targets, end=end, every=every, fraction=moved))


def params():
    return {"w": RNG.normal(size=(20, 15)).astype(np.float32), "b": np.ones(15, np.float32)}


@pytest.mark.parametrize("pattern", [Unstructured(), Block(2), Block(4)])
def test_the_number_of_zeros_never_changes_but_their_places_do(pattern):
    weights = params()
    tx = optimizer(pattern, 0.8)
    state = tx.init(weights)
    target = {"w": RNG.normal(size=(20, 15)).astype(np.float32), "b": np.zeros(15, np.float32)}
    step = jax.jit(lambda w, s: tx.update(jax.tree.map(jnp.subtract, w, target), s, w))
    kept = pattern.nonzeros((15, 20), 0.8)
    first = np.asarray(state.masks["w"])
    for _ in range(10):
        updates, state = step(weights, state)
        weights = optax.apply_updates(weights, updates)
        mask = np.asarray(state.masks["w"])
        assert mask.sum() == kept
        assert (np.asarray(weights["w"])[~mask] == 0).all()
        pattern.stored(np.asarray(weights["w"]).T)
    assert (mask != first).any()
    assert np.asarray(state.masks["b"]).shape == ()


def test_it_drops_the_smallest_and_grows_where_the_gradient_is_largest():
    weights = {"w": np.array([[5, 4, 3, 2, 1, 0.5, 0.4, 0.3]], np.float32).T, "b": np.zeros(1, np.float32)}
    tx = masked(
        optax.sgd(0.0),
        rigl({"w": Target(Sparse(0.5)), "b": Target()}, end=1_000_000, every=1, fraction=0.5),
    )
    state = tx.init(weights)
    gradient = {"w": np.array([[1, 1, 1, 1, 2, 9, 3, 8]], np.float32).T, "b": np.zeros(1, np.float32)}
    for expected in ([1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 1, 0, 1]):
        updates, state = tx.update(gradient, state, weights)
        weights = optax.apply_updates(weights, updates)
        assert np.asarray(state.masks["w"]).ravel().astype(int).tolist() == expected
    # What grew starts at 0, what was kept is as it was.
    assert np.asarray(weights["w"]).ravel().tolist() == [5, 4, 0, 0, 0, 0, 0, 0]


def test_a_dropped_weight_with_the_largest_gradient_stays_as_it_is():
    weights = {"w": np.array([[3, 2, 0.1, 0.1]], np.float32).T}
    tx = masked(optax.sgd(0.0), rigl({"w": Target(Sparse(0.5))}, end=10**6, every=1, fraction=0.5))
    state = tx.init(weights)
    gradient = {"w": np.array([[0, 9, 1, 2]], np.float32).T}
    for _ in range(2):
        updates, state = tx.update(gradient, state, weights)
        weights = optax.apply_updates(weights, updates)
    assert np.asarray(weights["w"]).ravel().tolist() == [3, 2, 0, 0]


def test_masks_stay_from_the_end_on():
    weights = params()
    tx = optimizer(Unstructured(), 0.8, every=1, end=2)
    state = tx.init(weights)
    masks = []
    for _ in range(5):
        updates, state = tx.update(params(), state, weights)
        weights = optax.apply_updates(weights, updates)
        masks.append(np.asarray(state.masks["w"]))
    assert (masks[0] != masks[1]).any()
    np.testing.assert_array_equal(masks[1], masks[4])


def test_groups_cannot_be_moved_about():
    with pytest.raises(UserError, match="found 2:4; train that by magnitude"):
        rigl({"w": Target(Sparse(0.5, NByM()), "fully_connected")}, end=5)
    with pytest.raises(UserError, match="`fraction` of RigL must be above 0"):
        rigl({"w": Target()}, end=5, fraction=0)
