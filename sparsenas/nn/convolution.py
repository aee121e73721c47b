"""Full convolution.

    y[n, h, w, d] = sum_{r, s, c} kernel[r, s, c, d]
                    * x[n, stride * h + r - k // 2, stride * w + s - k // 2, c]

with zeros outside the image. On a CPU the native one computes a product with what each pixel sees, which is
several times faster than XLA's convolution and its gradients. The three are apart from each other, as the
first layer's input, the image, needs no gradient.
"""

from functools import partial

import jax
from jax import lax

from sparsenas.nn import foreign


def convolution(x: jax.Array, kernel: jax.Array, *, stride: int = 1, pad: int | None = None) -> jax.Array:
    """Returns the formula above.

    Args:
        x: [N, H, W, C].
        kernel: [k, k, C, D], k odd.
        pad: pixels of zeros on every side; k // 2 where left out.

    Returns:
        [N, (H - 1) // stride + 1, (W - 1) // stride + 1, D]; with another pad, (H + 2 pad - k) // stride + 1
        and likewise.
    """
    if pad not in (None, len(kernel) // 2):
        return library(x, kernel, stride, pad)
    if foreign.serve(x, kernel) and len(kernel) <= foreign.MOST_TAPS:
        return _forward(x, kernel, stride)
    return library(x, kernel, stride)


def library(x: jax.Array, kernel: jax.Array, stride: int, pad: int | None = None) -> jax.Array:
    """Returns the same as XLA computes it."""
    pad = len(kernel) // 2 if pad is None else pad
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), [(pad, pad)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _forward(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    n, h, w, _ = x.shape
    shape = (n, (h - 1) // stride + 1, (w - 1) // stride + 1, kernel.shape[-1])
    (y,) = foreign.call("convolution", [shape], x, kernel, stride=stride)
    return y


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _input_gradient(g: jax.Array, kernel: jax.Array, stride: int, shape: tuple[int, ...]) -> jax.Array:
    """Returns the gradient of sum(y * g) by x, of that shape."""
    (gx,) = foreign.call("convolution_input", [shape], g, kernel, stride=stride)
    return gx


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _kernel_gradient(x: jax.Array, g: jax.Array, stride: int, k: int) -> jax.Array:
    """Returns the gradient of sum(y * g) by the kernel, [k, k, C, D]."""
    shape = (k, k, x.shape[-1], g.shape[-1])
    (g_kernel,) = foreign.call("convolution_kernel", [shape], x, g, stride=stride)
    return g_kernel


# All are bilinear, and the gradients of each are the other two.
_forward.defvjp(
    lambda x, kernel, stride: (_forward(x, kernel, stride), (x, kernel)),
    lambda stride, saved, g: (
        _input_gradient(g, saved[1], stride, saved[0].shape),
        _kernel_gradient(saved[0], g, stride, len(saved[1])),
    ),
)
_input_gradient.defvjp(
    lambda g, kernel, stride, shape: (_input_gradient(g, kernel, stride, shape), (g, kernel)),
    lambda stride, _shape, saved, x: (
        _forward(x, saved[1], stride),
        _kernel_gradient(x, saved[0], stride, len(saved[1])),
    ),
)
_kernel_gradient.defvjp(
    lambda x, g, stride, k: (_kernel_gradient(x, g, stride, k), (x, g)),
    lambda stride, _k, saved, kernel: (
        _input_gradient(saved[1], kernel, stride, saved[0].shape),
        _forward(saved[0], kernel, stride),
    ),
)
