"""Pruning inside the optimizer."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sparsenas.sparsity.gradual import magnitude_pruning
from sparsenas.sparsity.masking import apply_masks
from sparsenas.sparsity.masks import Target
from sparsenas.sparsity.patterns import Sparse
from sparsenas.sparsity.schedules import cubic

SPARSITY = {"pruned": Target(Sparse(0.7)), "dense": Target()}


def params():
    rng = np.random.default_rng(0)
    return {
        "pruned": rng.normal(size=(13, 7)).astype(np.float32),
        "dense": rng.normal(size=5).astype(np.float32),
    }


def train(optimizer, steps, *, start=None, gradient=None):
    """Yields parameters and state after every step, on a random quadratic loss."""
    target = {name: w[::-1].copy() for name, w in params().items()}
    weights = params() if start is None else start
    state = optimizer.init(weights)
    traces = []

    @jax.jit
    def step(weights, state):
        traces.append(1)
        gradients = jax.tree.map(jnp.subtract, weights, target) if gradient is None else gradient
        updates, state = optimizer.update(gradients, state, weights)
        return optax.apply_updates(weights, updates), state

    for _ in range(steps):
        weights, state = step(weights, state)
        yield weights, state
    assert len(traces) == 1


def zeros(weights):
    return int((np.asarray(weights["pruned"]) == 0).sum())


@pytest.mark.parametrize("fraction", [0.5, 0.7, 0.85, 0.9])
@pytest.mark.parametrize("end", [20, 17])
def test_the_final_mask_has_exactly_the_promised_zeros(fraction, end):
    optimizer = magnitude_pruning(
        optax.adamw(0.01),
        SPARSITY | {"pruned": Target(Sparse(fraction))},
        schedule=cubic(begin=2, end=end),
        every=5,
    )
    *_, (weights, state) = train(optimizer, end + 3)
    expected = round(fraction * 13 * 7)
    assert zeros(weights) == expected
    assert int((~np.asarray(state.masks["pruned"])).sum()) == expected
    assert (np.asarray(weights["dense"]) != 0).all()


def test_zeros_follow_the_schedule_every_so_many_steps():
    schedule = cubic(begin=2, end=22)
    optimizer = magnitude_pruning(optax.sgd(0.01), SPARSITY, schedule=schedule, every=4)
    for step, (weights, _) in enumerate(train(optimizer, 30)):
        last_change = 22 if step >= 22 else step - step % 4
        assert zeros(weights) == round(float(schedule(last_change)) * round(0.7 * 13 * 7))


def test_the_smallest_magnitudes_are_pruned():
    optimizer = magnitude_pruning(optax.sgd(0.0), SPARSITY, schedule=lambda step: 1.0)
    ((weights, _),) = train(optimizer, 1)
    before = np.abs(params()["pruned"])
    kept = np.asarray(weights["pruned"]) != 0
    assert before[kept].min() > before[~kept].max()


def test_equal_magnitudes_are_pruned_in_order_to_the_exact_number():
    start = {"pruned": np.full((4, 5), -2, np.float32), "dense": np.ones(5, np.float32)}
    optimizer = magnitude_pruning(optax.sgd(0.0), SPARSITY, schedule=lambda step: 1.0)
    ((weights, _),) = train(optimizer, 1, start=start, gradient=start)
    np.testing.assert_array_equal(np.asarray(weights["pruned"]).T.ravel() == 0, np.arange(20) < 14)


def test_pruned_weights_stay_zero_and_have_no_momentum():
    optimizer = magnitude_pruning(
        optax.adamw(0.05, weight_decay=0.1), SPARSITY, schedule=cubic(begin=1, end=10), every=3
    )
    gone = np.zeros((13, 7), bool)
    for weights, state in train(optimizer, 20):
        pruned = np.asarray(weights["pruned"]) == 0
        assert (pruned >= gone).all()
        gone = pruned
        moments = state.inner[0]
        assert (np.asarray(moments.mu["pruned"])[gone] == 0).all()
        assert (np.asarray(moments.nu["pruned"])[gone] == 0).all()


def test_without_sparsity_it_is_the_wrapped_optimizer():
    dense = {"pruned": Target(), "dense": Target()}
    wrapped = magnitude_pruning(optax.adamw(0.05), dense, schedule=cubic(begin=1, end=5))
    *_, (found, _) = train(wrapped, 8)
    *_, (expected, _) = train(optax.adamw(0.05), 8)
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_apply_masks_zeroes_what_is_masked():
    masks = {"a": np.array([True, False]), "b": np.array(True)}
    found = apply_masks({"a": np.array([1.0, 2.0]), "b": np.array([3.0])}, masks)
    np.testing.assert_array_equal(found["a"], [1, 0])
    np.testing.assert_array_equal(found["b"], [3])
