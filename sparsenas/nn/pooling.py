"""Maximum and mean over windows; padding counts for neither.

    y[n, h, w, c] = max or mean over r, s of x[n, stride * h + r - pad, stride * w + s - pad, c]

over the pixels that are inside the image, pad being k // 2 where k is odd, else 0, unless told. Sums of
shifted slices: their gradients are slices again, which on a CPU is faster than XLA's windows, and takes any
`vmap`.
"""

from collections.abc import Iterator
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from sparsenas.space import usual_padding


def max_pool(x: jax.Array, *, kernel: int, stride: int, pad: int | None = None) -> jax.Array:
    """Returns the largest pixel of every window.

    The gradient goes to the largest one; equal ones share it.

    Args:
        x: [N, H, W, C].

    Returns:
        [N, H', W', C] with H' = (H + 2 pad - kernel) // stride + 1.
    """
    return reduce(jnp.maximum, _taps(x, kernel, stride, pad, -jnp.inf))


def average_pool(x: jax.Array, *, kernel: int, stride: int, pad: int | None = None) -> jax.Array:
    """Returns the mean of every window's pixels that are inside the image; shapes as for `max_pool`."""
    _, h, w, _ = x.shape
    inside = sum(_taps(np.ones((1, h, w, 1), np.float32), kernel, stride, pad, 0))
    total = sum(_taps(x, kernel, stride, pad, 0))
    return total * jnp.asarray(1 / inside, x.dtype)


def _taps(x: jax.Array, kernel: int, stride: int, pad: int | None, outside: float) -> Iterator[jax.Array]:
    """Yields what stands at each position of the window, row by row: [N, H', W', C]."""
    pad = usual_padding(kernel) if pad is None else pad
    edges = ((0, 0), (pad, pad), (pad, pad), (0, 0))
    x = jnp.pad(x, edges, constant_values=outside) if pad else jnp.asarray(x)
    n, h, w, c = x.shape
    h, w = (h - kernel) // stride, (w - kernel) // stride
    for r in range(kernel):
        for s in range(kernel):
            ends = (n, r + h * stride + 1, s + w * stride + 1, c)
            yield lax.slice(x, (0, r, s, 0), ends, (1, stride, stride, 1))
