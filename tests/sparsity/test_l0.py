"""Gates that are trained along: formulas, and exact zeros in the end."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sparsenas.sparsity.l0 import BETA, GAMMA, ZETA, expected_gate, gate, l0, probability_open
from sparsenas.sparsity.masks import Target
from sparsenas.sparsity.patterns import Block, Sparse, Unstructured


@pytest.mark.parametrize("a", [-3.0, 0.0, 1.5])
def test_gates_are_open_as_often_as_their_probability_says(a):
    u = (np.arange(200_000) + 0.5) / 200_000
    gates = np.asarray(gate(jnp.full(u.shape, a), jnp.asarray(u, jnp.float32)))
    assert gates.min() >= 0
    assert gates.max() <= 1
    # Midpoints of equal parts: the share is right to one part, but for single precision at the ends.
    assert (gates > 0).mean() == pytest.approx(float(probability_open(jnp.float32(a))), abs=1e-3)
    s = 1 / (1 + np.exp(-a))
    assert float(expected_gate(jnp.float32(a))) == pytest.approx(np.clip(s * (ZETA - GAMMA) + GAMMA, 0, 1))
    assert pytest.approx(2 / 3) == BETA


@pytest.mark.parametrize(("pattern", "fraction"), [(Unstructured(), 0.5), (Block(4), 0.5)])
def test_gates_of_weights_that_do_nothing_close_and_zeros_are_exact(pattern, fraction):
    rng = np.random.default_rng(0)
    useful = np.repeat(np.arange(16) % 2 == 0, 8).reshape(16, 8)
    target = {"w": np.where(useful, 2.0, 0.0).astype(np.float32), "b": np.ones(8, np.float32)}
    weights = {"w": rng.normal(size=(16, 8)).astype(np.float32), "b": np.zeros(8, np.float32)}
    targets = {"w": Target(Sparse(fraction, pattern)), "b": Target()}
    tx = l0(optax.adam(0.05), targets, end=150, key=jax.random.key(0), penalty=0.05, rate=0.05)
    state = tx.init(weights)
    step = jax.jit(lambda w, s: tx.update(jax.tree.map(jnp.subtract, w, target), s, w))
    for _ in range(170):
        updates, state = step(weights, state)
        weights = optax.apply_updates(weights, updates)
    found = np.asarray(weights["w"])
    assert np.count_nonzero(found) == pattern.nonzeros((8, 16), fraction)
    np.testing.assert_array_equal(found != 0, useful)
    # Without its gate's noise a weight is what the loss wants.
    np.testing.assert_allclose(found[useful], 2, atol=0.3)
    gates = np.asarray(state.gates["w"])
    assert gates[useful].mean() > gates[~useful].mean()
    np.testing.assert_allclose(weights["b"], 1, atol=0.1)


def test_samples_are_another_each_step_and_the_same_for_the_same_key():
    weights = {"w": np.ones((8, 8), np.float32)}
    tx = l0(optax.sgd(0.0), {"w": Target(Sparse(0.5))}, end=100, key=jax.random.key(3), start_open=0.5)

    def shown(steps):
        values, state, seen = weights, tx.init(weights), []
        for _ in range(steps):
            updates, state = tx.update(jax.tree.map(jnp.zeros_like, values), state, values)
            values = optax.apply_updates(values, updates)
            seen.append(np.asarray(values["w"]))
        return seen

    one, two = shown(3), shown(3)
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one[1], one[2])
    assert 0.2 < np.mean(one[2] == 0) < 0.8
