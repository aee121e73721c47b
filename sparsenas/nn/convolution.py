"""Full convolution, meant for the first layer, where the image has few channels."""

import jax
import jax.numpy as jnp
from jax import lax


def convolution(x: jax.Array, kernel: jax.Array, *, stride: int = 1) -> jax.Array:
    """Returns y[n, h, w, d] = sum_{r, s, c} kernel[r, s, c, d] * x[n, ..h.., ..w.., c].

    Windows are centred, with zeros outside the image.

    Args:
        x: [N, H, W, C].
        kernel: [k, k, C, D], k odd.

    Returns:
        [N, (H - 1) // stride + 1, (W - 1) // stride + 1, D].
    """
    if jax.default_backend() != "cpu":
        return library(x, kernel, stride)
    k, _, c, d = kernel.shape
    # Patches and one flat product; XLA's convolution and its weight gradient are slower on a CPU.
    n, h, w, _ = x.shape
    h, w = (h - 1) // stride + 1, (w - 1) // stride + 1
    x = jnp.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)))
    patches = jnp.concatenate(
        [
            x[:, r : r + (h - 1) * stride + 1 : stride, s : s + (w - 1) * stride + 1 : stride]
            for r in range(k)
            for s in range(k)
        ],
        axis=-1,
    )
    return (patches.reshape(-1, k * k * c) @ kernel.reshape(-1, d)).reshape(n, h, w, d)


def library(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Returns the same by XLA's convolution."""
    pad = len(kernel) // 2
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), [(pad, pad)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
