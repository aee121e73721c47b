"""Depthwise convolution: every channel is filtered by itself.

    y[n, h, w, c] = sum_{r, s} kernel[r, s, c] * x[n, stride * h + r - k // 2, stride * w + s - k // 2, c]

with zeros outside the image. XLA's grouped convolution is the right one on a GPU; on a CPU it is 30 times
slower than the native one, and so are its gradients. The convolution and its two gradients are bilinear:
the gradients of each are made of the others, so that all can be differentiated any number of times.
"""

from functools import partial

import jax
from jax import lax

from sparsenas.nn import foreign


def depthwise(x: jax.Array, kernel: jax.Array, *, stride: int = 1) -> jax.Array:
    """Returns the formula above.

    Args:
        x: [N, H, W, C].
        kernel: [k, k, C], k odd.

    Returns:
        [N, (H - 1) // stride + 1, (W - 1) // stride + 1, C].
    """
    if foreign.serve(x, kernel) and len(kernel) <= foreign.MOST_TAPS:
        return _native(x, kernel, stride)
    return library(x, kernel, stride)


def library(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Returns the same as XLA computes it."""
    k, _, c = kernel.shape
    return lax.conv_general_dilated(
        x,
        kernel[:, :, None],
        (stride, stride),
        [(k // 2, k // 2)] * 2,
        feature_group_count=c,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _native(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    n, h, w, c = x.shape
    shape = (n, (h - 1) // stride + 1, (w - 1) // stride + 1, c)
    (y,) = foreign.call("depthwise", [shape], x, kernel, stride=stride)
    return y


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def _gradients(x: jax.Array, kernel: jax.Array, g: jax.Array, stride: int) -> tuple[jax.Array, jax.Array]:
    """Returns the gradients of sum(y * g) by x and by the kernel."""
    gx, g_kernel = foreign.call("depthwise_gradients", [x.shape, kernel.shape], x, kernel, g, stride=stride)
    return gx, g_kernel


_native.defvjp(
    lambda x, kernel, stride: (_native(x, kernel, stride), (x, kernel)),
    lambda stride, saved, g: _gradients(*saved, g, stride),
)


def _gradients_backward(stride: int, saved: tuple, weights: tuple):
    # With y(x, kernel) bilinear and u, v the weights of its two gradients, their weighted sum is
    # sum(y(u, kernel) * g) + sum(y(x, v) * g).
    x, kernel, g = saved
    u, v = weights
    gx, g_kernel = _gradients(u, v, g, stride)
    return gx, g_kernel, _native(u, kernel, stride) + _native(x, v, stride)


_gradients.defvjp(
    lambda x, kernel, g, stride: (_gradients(x, kernel, g, stride), (x, kernel, g)), _gradients_backward
)
