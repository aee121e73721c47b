"""ProxylessNAS: one path at a time, two compared (Cai et al., 2019, https://arxiv.org/abs/1812.00332).

The weights of one network are trained at a time, drawn by p = softmax(logits). A step of the logits samples
two options of each choice and masks all others as if they did not exist. One of the two is active: gates g
are one-hot. With p over the two,

    dL/dlogit_i = sum_j dL/dg_j * p_j * (delta_ij - p_i)    (equation 4).

After the step both are shifted, so that the probabilities of the options that were not sampled stay as
they are.
"""

import jax
import jax.numpy as jnp

from sparsenas.strategies.differentiable.base import Differentiable, Logits, Mixture, Of, keys

# Of the latency in the paper's loss, CE + 0.2 * (E[latency] / target - 1).
_MULTIPLIER = 0.2


def proxyless() -> Differentiable:
    """Trains single networks, and compares options two by two."""

    def draw(logits: Logits, key: jax.Array, progress: jax.Array) -> Mixture:
        return tuple(
            _one_hot(jax.random.categorical(of, one), one)
            for one, of in zip(logits, keys(key, logits), strict=True)
        )

    def gradient(loss: Of, latency: Of, logits: Logits, key: jax.Array, progress: jax.Array):
        pairs = sampled(logits, key)
        gates = active(pairs, jax.random.fold_in(key, len(logits)))
        value, by_gates = jax.value_and_grad(loss)(gates)
        return value, tuple(map(by_logits, pairs, by_gates))

    return Differentiable(draw, gradient, settled, hard=True, betas=(0.0, 0.999), multiplier=_MULTIPLIER)


def sampled(logits: Logits, key: jax.Array) -> Logits:
    """Returns the logits of two options of each choice, drawn one after the other; the others are -inf."""
    pairs = []
    for one, of in zip(logits, keys(key, logits), strict=True):
        # The largest of logits and Gumbel noise are draws without putting back.
        drawn = one + jax.random.gumbel(of, one.shape, one.dtype)
        _, chosen = jax.lax.top_k(drawn, min(2, len(one)))
        pairs.append(jnp.full_like(one, -jnp.inf).at[chosen].set(one[chosen]))
    return tuple(pairs)


def active(pairs: Logits, key: jax.Array) -> Mixture:
    """Returns the gates: one of each two options, drawn by their probabilities."""
    return tuple(
        _one_hot(jax.random.categorical(of, pair), pair)
        for pair, of in zip(pairs, keys(key, pairs), strict=True)
    )


def by_logits(pair: jax.Array, by_gates: jax.Array) -> jax.Array:
    """Returns the gradient by the logits of a choice, 0 where an option was not sampled.

    Args:
        pair: [options], the logits of the two sampled ones, -inf elsewhere.
        by_gates: [options], the gradient by the gates.
    """
    p = jax.nn.softmax(pair)
    return p * (by_gates - jnp.sum(p * by_gates))


def settled(before: Logits, after: Logits, key: jax.Array) -> Logits:
    """Shifts the two sampled options of each choice, so that together they are as probable as before."""
    found = []
    for pair, moved in zip(sampled(before, key), after, strict=True):
        is_sampled = jnp.isfinite(pair)
        sum_after = jax.nn.logsumexp(jnp.where(is_sampled, moved, -jnp.inf))
        found.append(jnp.where(is_sampled, moved + jax.nn.logsumexp(pair) - sum_after, moved))
    return tuple(found)


def _one_hot(option: jax.Array, like: jax.Array) -> jax.Array:
    return jax.nn.one_hot(option, len(like), dtype=like.dtype)
