"""Batch normalisation (Ioffe and Szegedy, 2015, https://arxiv.org/abs/1502.03167).

    y = (x - mean) / sqrt(variance + EPSILON) * scale + offset

with mean and variance of every channel over the batch and its pixels. The gradient is written by hand:
automatically it costs three times as much on a CPU, where XLA is slow at reductions that it fuses with
what feeds them.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

# Large enough that a channel with next to no variance does not get huge weights when it is folded.
EPSILON = 1e-3


@jax.custom_vjp
def batch_norm(x: jax.Array, scale: jax.Array, offset: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Normalises with the statistics of this batch.

    Args:
        x: [N, H, W, C].
        scale, offset: [C].

    Returns:
        y [N, H, W, C], mean [C] and variance [C].
    """
    return _forward(x, scale, offset)[0]


def normalize(
    x: jax.Array, scale: jax.Array, offset: jax.Array, mean: jax.Array, variance: jax.Array
) -> jax.Array:
    """Normalises with statistics from elsewhere."""
    factor = scale * lax.rsqrt(variance + EPSILON)
    return x * _row(factor) + _row(offset - mean * factor)


def _forward(x: jax.Array, scale: jax.Array, offset: jax.Array):
    pixels = x.size // x.shape[-1]
    # One pass for both sums. Any value among those of a channel keeps the difference of squares from
    # cancelling; the first will do.
    centre = lax.stop_gradient(x[0, 0, 0])
    first, second = _channel_sums(lambda x: (x - _row(centre), jnp.square(x - _row(centre))), x)
    mean = centre + first / pixels
    variance = jnp.maximum(second / pixels - jnp.square(first / pixels), 0)
    y = normalize(x, scale, offset, mean, variance)
    return (y, mean, variance), (x, scale, mean, variance)


def _backward(saved, gradients):
    x, scale, mean, variance = saved
    g, g_mean, g_variance = gradients
    pixels = x.size // x.shape[-1]
    inverse = lax.rsqrt(variance + EPSILON)
    g_offset, products = _channel_sums(lambda x, g: (g, g * (x - _row(mean))), x, g)
    g_scale = products * inverse
    g_x = (
        _row(scale * inverse) * g
        + _row((2 * g_variance - scale * inverse**2 * g_scale) / pixels) * (x - _row(mean))
        + _row((g_mean - scale * inverse * g_offset) / pixels)
    )
    return g_x, g_scale, g_offset


def _row(channels: jax.Array) -> jax.Array:
    return channels.reshape(1, 1, 1, -1)


batch_norm.defvjp(_forward, _backward)


def _channel_sums(terms: Callable[..., tuple], *arrays: jax.Array) -> list[jax.Array]:
    """Sums each of the terms over N, H and W in one pass over the arrays [N, H, W, C]."""
    if jax.default_backend() != "cpu":
        return [term.sum((0, 1, 2)) for term in terms(*arrays)]
    # Adds image to image, in long rows, and pixels at the end.
    n = len(arrays[0])

    def add(i: int, sums: list[jax.Array]) -> list[jax.Array]:
        images = (lax.dynamic_slice_in_dim(array, i, 1) for array in arrays)
        return [total + term for total, term in zip(sums, terms(*images), strict=True)]

    zeros = [jnp.zeros_like(term) for term in terms(*(array[:1] for array in arrays))]
    return [total.sum((0, 1, 2)) for total in lax.fori_loop(0, n, add, zeros)]
