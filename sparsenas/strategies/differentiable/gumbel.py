"""FBNet: Gumbel-softmax and a loss that multiplies with latency (Wu et al., 2019, https://arxiv.org/abs/1812.03443).

Each step draws shares

    m_i = softmax((logit_i + g_i) / T),    g_i from Gumbel(0, 1),

nearly one-hot when the temperature T is low (Jang et al., 2017, https://arxiv.org/abs/1611.01144), and the
logits follow the gradient of

    loss(m) * alpha * log(latency(m)) ** beta.

T falls by the same factor in each part of the search. The paper's ends at 5 * 0.956 ** 90 = 0.09 after 90
epochs; here it ends at 1.
"""

import jax
import jax.numpy as jnp

from sparsenas.strategies.differentiable.base import Differentiable, Logits, Mixture, Of, keys


def gumbel(
    *,
    temperature: float = 5.0,
    last: float = 1.0,
    alpha: float = 0.2,
    beta: float = 0.6,
) -> Differentiable:
    """Draws shares that are even at first and sharper in the end.

    Args:
        temperature: at first.
        last: temperature in the end.
        alpha, beta: of the loss. Its latency is in microseconds: a logarithm must be above 0.
    """
    for name, value in (("temperature", temperature), ("last", last), ("alpha", alpha)):
        if not value > 0:
            raise ValueError(f"`{name}` must be above 0, found {value}.")
    if not beta >= 0:
        raise ValueError(f"`beta` must be at least 0, found {beta}.")

    def draw(logits: Logits, key: jax.Array, progress: jax.Array) -> Mixture:
        t = temperature * (last / temperature) ** progress
        return tuple(
            jax.nn.softmax((one + jax.random.gumbel(of, one.shape, one.dtype)) / t)
            for one, of in zip(logits, keys(key, logits), strict=True)
        )

    def gradient(loss: Of, latency: Of, logits: Logits, key: jax.Array, progress: jax.Array):
        def value(logits: Logits) -> jax.Array:
            mixture = draw(logits, key, progress)
            # A network that takes less than a few microseconds costs nothing, rather than not a number.
            cost = jnp.log(jnp.maximum(1e3 * latency(mixture), jnp.e))
            return loss(mixture) * alpha * cost**beta

        return jax.value_and_grad(value)(logits)

    return Differentiable(draw, gradient, betas=(0.9, 0.999), decay=5e-4)
