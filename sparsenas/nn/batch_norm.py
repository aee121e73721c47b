"""Batch normalisation (Ioffe and Szegedy, 2015, https://arxiv.org/abs/1502.03167).

    y = activation((x - mean) / sqrt(variance + EPSILON) * scale + offset)

with mean and variance of every channel over the batch and its pixels. On a CPU the native one reads
the batch once for both sums, and so does its gradient; XLA takes three to eight times as long.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from sparsenas.nn import foreign

# Large enough that a channel with next to no variance does not get huge weights when it is folded.
EPSILON = 1e-3

# Activations that may follow in the same pass, as the native primitive numbers them.
CLAMPS = {
    "none": lambda x: x,
    "relu": lambda x: jnp.maximum(x, 0),
    "relu6": lambda x: jnp.clip(x, 0, 6),
}
NUMBERS = {name: number for number, name in enumerate(CLAMPS)}


def batch_norm(
    x: jax.Array, scale: jax.Array, offset: jax.Array, *, activation: str = "none"
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Normalises with the statistics of this batch.

    Args:
        x: [N, H, W, C].
        scale, offset: [C].
        activation: one of `CLAMPS`. At a bound its gradient is zero.

    Returns:
        y [N, H, W, C], mean [C] and variance [C].
    """
    if foreign.serve(x, scale, offset):
        return _native(x, scale, offset, activation)
    return library(x, scale, offset, activation)


def normalize(
    x: jax.Array, scale: jax.Array, offset: jax.Array, mean: jax.Array, variance: jax.Array
) -> jax.Array:
    """Normalises with statistics from elsewhere."""
    factor = scale * lax.rsqrt(variance + EPSILON)
    return x * _row(factor) + _row(offset - mean * factor)


def _row(channels: jax.Array) -> jax.Array:
    return channels.reshape(1, 1, 1, -1)


def library(
    x: jax.Array, scale: jax.Array, offset: jax.Array, activation: str
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns the same as XLA computes it."""
    mean = x.mean((0, 1, 2))
    variance = jnp.square(x - _row(mean)).mean((0, 1, 2))
    y = (x - _row(mean)) * _row(scale * lax.rsqrt(variance + EPSILON)) + _row(offset)
    return _clamped(y, activation), mean, variance


def _clamped(y: jax.Array, activation: str) -> jax.Array:
    # Of two equal numbers `jnp.maximum` hands each half of the gradient.
    return jnp.where(_passes(y, activation), y, lax.stop_gradient(CLAMPS[activation](y)))


def _passes(y: jax.Array, activation: str) -> jax.Array:
    """Where the activation gives out what it gets, its bounds excepted; NaN passes."""
    match activation:
        case "none":
            return jnp.ones_like(y, bool)
        case "relu":
            return ~(y <= 0)
        case "relu6":
            return ~((y <= 0) | (y >= 6))
    raise ValueError(f"No such activation: {activation!r}. There are: {', '.join(CLAMPS)}.")


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def _native(x: jax.Array, scale: jax.Array, offset: jax.Array, activation: str):
    channels = scale.shape
    y, mean, variance = foreign.call(
        "batch_norm", [x.shape, channels, channels], x, scale, offset,
        activation=NUMBERS[activation], epsilon=EPSILON,
    )  # fmt: skip
    return y, mean, variance


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def gradients(arrays: tuple[jax.Array, ...], activation: str) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns the gradients by x, scale and offset.

    Args:
        arrays: x, the gradient by y, scale, offset, mean, variance, the gradients by mean and variance.
    """
    x, _, scale, *_ = arrays
    gx, g_scale, g_offset = foreign.call(
        "batch_norm_gradients", [x.shape, scale.shape, scale.shape], *arrays,
        activation=NUMBERS[activation], epsilon=EPSILON,
    )  # fmt: skip
    return gx, g_scale, g_offset


def _forward(x: jax.Array, scale: jax.Array, offset: jax.Array, activation: str):
    y, mean, variance = _native(x, scale, offset, activation)
    return (y, mean, variance), (x, scale, offset, mean, variance)


def _backward(activation: str, saved: tuple, by_results: tuple):
    x, *channels = saved
    g, *by_statistics = by_results
    return gradients((x, g, *channels, *by_statistics), activation)


_native.defvjp(_forward, _backward)


def _gradients_formula(arrays: tuple[jax.Array, ...], activation: str):
    """Returns what `gradients` does, in operations that JAX can differentiate."""
    x, g, scale, offset, mean, variance, g_mean, g_variance = arrays
    pixels = x.size // x.shape[-1]
    inverse = lax.rsqrt(variance + EPSILON)
    off = x - _row(mean)
    g = jnp.where(_passes(off * _row(scale * inverse) + _row(offset), activation), g, 0)
    g_offset, products = g.sum((0, 1, 2)), (g * off).sum((0, 1, 2))
    g_scale = products * inverse
    gx = (
        _row(scale * inverse) * g
        + _row((2 * g_variance - scale * inverse**2 * g_scale) / pixels) * off
        + _row((g_mean - scale * inverse * g_offset) / pixels)
    )
    return gx, g_scale, g_offset


def _gradients_backward(activation: str, arrays: tuple, weights: tuple):
    _, pull = jax.vjp(partial(_gradients_formula, activation=activation), arrays)
    return pull(weights)


gradients.defvjp(lambda arrays, activation: (gradients(arrays, activation), arrays), _gradients_backward)
