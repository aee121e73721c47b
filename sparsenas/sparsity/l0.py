"""Every weight has a gate, open with a probability that is trained along (Louizos et al., 2018).

    s = sigmoid((log u - log(1 - u) + a) / BETA),   gate = clip(s * (ZETA - GAMMA) + GAMMA, 0, 1)
    loss = loss(W * gate) + penalty * sum P(gate > 0),   P(gate > 0) = sigmoid(a - BETA * log(-GAMMA / ZETA))

with u uniform: the hard concrete distribution of https://arxiv.org/abs/1712.01312. One sample serves a batch.
At the end the gates are closed for good, those of the weights that matter least with their gates' help.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from sparsenas.sparsity.masking import only_kept
from sparsenas.sparsity.masks import check_targets, masks_of

PyTree = Any

BETA, GAMMA, ZETA = 2 / 3, -0.1, 1.1


def gate(a: jax.Array, u: jax.Array) -> jax.Array:
    """Returns gates in [0, 1] of the parameters `a` and the uniform samples `u`, both of one shape."""
    return _stretched(jax.nn.sigmoid((jnp.log(u) - jnp.log1p(-u) + a) / BETA))


def expected_gate(a: jax.Array) -> jax.Array:
    """Returns what stands in for samples: clip(sigmoid(a) * (ZETA - GAMMA) + GAMMA, 0, 1)."""
    return _stretched(jax.nn.sigmoid(a))


def probability_open(a: jax.Array) -> jax.Array:
    """Returns the probability that a gate is not 0."""
    return jax.nn.sigmoid(a - BETA * np.log(-GAMMA / ZETA))


def _stretched(s: jax.Array) -> jax.Array:
    return jnp.clip(s * (ZETA - GAMMA) + GAMMA, 0, 1)


class L0State(NamedTuple):
    """State of `l0`. Arrays of weights that are not pruned are scalars.

    Attributes:
        step: scalar, updates so far.
        key: data of a random key.
        weights: like the parameters, ahead of their gates.
        gates: `a` of each weight.
        masks: which weights are kept, once that is decided.
        gate_moments: state of the gates' optimizer.
        inner: state of the wrapped optimizer.
    """

    step: jax.Array
    key: jax.Array
    weights: PyTree
    gates: PyTree
    masks: PyTree
    gate_moments: optax.OptState
    inner: optax.OptState


def l0(
    inner: optax.GradientTransformation,
    targets: PyTree,
    *,
    end: int,
    key: jax.Array,
    penalty: float = 1e-4,
    rate: float = 1e-2,
    start_open: float = 0.9,
) -> optax.GradientTransformation:
    """Wraps an optimizer so that gates are trained beside the weights, until a step at which they are set.

    From then on exactly as many weights are 0 as their patterns promise: those of the smallest |w| times
    expected gate.

    Args:
        targets: like the parameters, a `Target` each.
        end: step from which the gates stay.
        key: of all samples.
        penalty: of an open gate.
        rate: learning rate of the gates, with Adam.
        start_open: probability at first that a gate is not 0.
    """
    if not 0 < start_open < 1:
        raise ValueError(f"`start_open` must be above 0 and below 1, found {start_open}.")
    if end < 1:
        raise ValueError(f"`end` must be at least 1, found {end}.")
    opener = optax.adam(rate)
    first = float(np.log(start_open / (1 - start_open)) + BETA * np.log(-GAMMA / ZETA))

    def pruned(tree: PyTree) -> PyTree:
        return jax.tree.map(lambda t, w: jnp.asarray(w) if t.pruned else jnp.float32(0), targets, tree)

    def init(params: PyTree) -> L0State:
        check_targets(targets, params)
        weights = pruned(params)
        gates = jax.tree.map(lambda w: jnp.full_like(w, first), weights)
        masks = jax.tree.map(lambda w: jnp.ones(w.shape, bool), weights)
        return L0State(
            jnp.int32(0),
            jax.random.key_data(key),
            weights,
            gates,
            masks,
            opener.init(gates),
            inner.init(params),
        )

    def update(gradients: PyTree, state: L0State, params: PyTree) -> tuple[PyTree, L0State]:
        before = state.step < end
        weights = jax.tree.map(lambda t, own, w: own if t.pruned else w, targets, state.weights, params)

        # What the network saw, as a function of weights and gates; at first it saw the weights themselves.
        def shown(weights: PyTree, gates: PyTree, step: jax.Array, masks: PyTree) -> PyTree:
            samples = _uniform(state.key, step, gates)

            def one(w: jax.Array, a: jax.Array, u: jax.Array, mask: jax.Array) -> jax.Array:
                if not mask.ndim:
                    return w
                open_gates = jnp.where(step == 0, 1, gate(a, u))
                return jnp.where(step < end, w * open_gates, only_kept(w, mask))

            return jax.tree.map(one, weights, gates, samples, masks)

        _, back = jax.vjp(lambda w, a: shown(w, a, state.step, state.masks), weights, state.gates)
        by_weight, by_gate = back(gradients)
        closing = jax.grad(_expected_open)(state.gates)
        by_gate = jax.tree.map(lambda g, c: jnp.where(before, g + penalty * c, 0), by_gate, closing)

        updates, moments = inner.update(by_weight, state.inner, weights)
        weights = optax.apply_updates(weights, updates)
        turns, gate_moments = opener.update(by_gate, state.gate_moments)
        gates = jax.tree.map(lambda a, u: jnp.where(before, a + u, a), state.gates, turns)

        def decide() -> PyTree:
            # Where nothing is pruned `a` is a scalar, and nobody reads the scores.
            scores = jax.tree.map(lambda w, a: jnp.abs(w) * expected_gate(a), weights, gates)
            return masks_of(scores, targets, jnp.float32(1))

        masks = lax.cond(state.step + 1 == end, decide, lambda: state.masks)
        seen = shown(weights, gates, state.step + 1, masks)
        updates = jax.tree.map(
            lambda t, u, new, w: jnp.where(new == 0, -w, new - w) if t.pruned else u,
            targets,
            updates,
            seen,
            params,
        )
        state = L0State(state.step + 1, state.key, pruned(weights), gates, masks, gate_moments, moments)
        return updates, state

    return optax.GradientTransformation(init, update)


def _expected_open(gates: PyTree) -> jax.Array:
    return sum(probability_open(a).sum() for a in jax.tree.leaves(gates))


def _uniform(key_data: jax.Array, step: jax.Array, like: PyTree) -> PyTree:
    """Draws samples away from 0 and 1, where the logarithms end."""
    key = jax.random.fold_in(jax.random.wrap_key_data(key_data), step)
    leaves, structure = jax.tree.flatten(like)
    keys = jax.random.split(key, len(leaves))
    drawn = [
        jax.random.uniform(one, leaf.shape, minval=1e-6, maxval=1 - 1e-6)
        for one, leaf in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, drawn)
