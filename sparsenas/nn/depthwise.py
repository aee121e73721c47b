"""Depthwise convolution: every channel is filtered by itself.

    y[n, h, w, c] = sum_{r, s} kernel[r, s, c] * x[n, stride * h + r - k // 2, stride * w + s - k // 2, c]

with zeros outside the image. XLA's grouped convolution on a CPU is 30 times slower than the sum over
taps written out, and so are its gradients, hence the hand-written ones. The convolution and its two
gradients are bilinear, and the gradients of each are the other two: differentiable any number of times.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax


def depthwise(x: jax.Array, kernel: jax.Array, *, stride: int = 1) -> jax.Array:
    """Returns the formula above.

    Args:
        x: [N, H, W, C].
        kernel: [k, k, C], k odd.

    Returns:
        [N, (H - 1) // stride + 1, (W - 1) // stride + 1, C].
    """
    if jax.default_backend() != "cpu":
        return _library(x, kernel, stride)
    return _forward(x, kernel, stride)


def _library(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
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
def _forward(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    k = len(kernel)
    _, h, w, _ = x.shape
    x = _padded(x, k)
    kernel = kernel[:, :, None, None, None]
    return sum(
        kernel[r, s] * _tap(x, r, s, stride, _strided(h, stride), _strided(w, stride))
        for r in range(k)
        for s in range(k)
    )


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _input_gradient(g: jax.Array, kernel: jax.Array, stride: int, size: tuple[int, int]) -> jax.Array:
    """Returns d(sum y g)/dx, [N, H, W, C] for `size` = (H, W)."""
    k = len(kernel)
    n, gh, gw, c = g.shape
    kernel = kernel[:, :, None, None, None]
    # Row `stride * i + a` of x meets the taps r with r = a + k // 2 modulo the stride, in the rows
    # i + (a + k // 2 - r) / stride of y. So each residue a is a stride-1 sum over few taps.
    margin = k // 2 // stride + 1
    rows, columns = -(-size[0] // stride), -(-size[1] // stride)
    g = jnp.pad(g, ((0, 0), (margin, margin + rows - gh), (margin, margin + columns - gw), (0, 0)))

    def residue(a: int, b: int) -> jax.Array:
        return sum(
            (
                kernel[r, s] * g[:, margin + dr : margin + dr + rows, margin + ds : margin + ds + columns]
                for r, dr in _meeting(a, k, stride)
                for s, ds in _meeting(b, k, stride)
            ),
            start=jnp.zeros((n, rows, columns, c), g.dtype),
        )

    x = jnp.stack([jnp.stack([residue(a, b) for b in range(stride)], 3) for a in range(stride)], 2)
    return x.reshape(n, rows * stride, columns * stride, c)[:, : size[0], : size[1]]


def _meeting(a: int, k: int, stride: int) -> list[tuple[int, int]]:
    """Lists (tap, offset of the row of y) for the rows of x whose residue is `a`."""
    offsets = ((r, a + k // 2 - r) for r in range(k))
    return [(r, offset // stride) for r, offset in offsets if offset % stride == 0]


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _kernel_gradient(x: jax.Array, g: jax.Array, stride: int, k: int) -> jax.Array:
    """Returns d(sum y g)/dkernel, [k, k, C]."""
    n, h, w, c = g.shape
    x = _padded(x, k)

    # Sums over the batch first, one accumulator a tap, so that the inner loops add long rows; reductions
    # over N, H, W at once are ten times slower.
    def add(i: int, sums: list[jax.Array]) -> list[jax.Array]:
        xi = lax.dynamic_slice_in_dim(x, i, 1)
        gi = lax.dynamic_index_in_dim(g, i, keepdims=False)
        return [total + _tap(xi, t // k, t % k, stride, h, w)[0] * gi for t, total in enumerate(sums)]

    sums = lax.fori_loop(0, n, add, [jnp.zeros((h, w, c), g.dtype) for _ in range(k * k)])
    return jnp.stack([total.sum((0, 1)) for total in sums]).reshape(k, k, c)


def _padded(x: jax.Array, k: int) -> jax.Array:
    return jnp.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)))


def _tap(x: jax.Array, r: int, s: int, stride: int, h: int, w: int) -> jax.Array:
    """Returns what tap (r, s) sees of the padded `x` at all h x w positions."""
    n, _, _, c = x.shape
    ends = (n, r + (h - 1) * stride + 1, s + (w - 1) * stride + 1, c)
    return lax.slice(x, (0, r, s, 0), ends, (1, stride, stride, 1))


def _strided(side: int, stride: int) -> int:
    return (side - 1) // stride + 1


_forward.defvjp(
    lambda x, kernel, stride: (_forward(x, kernel, stride), (x, kernel)),
    lambda stride, saved, g: (
        _input_gradient(g, saved[1], stride, saved[0].shape[1:3]),
        _kernel_gradient(saved[0], g, stride, len(saved[1])),
    ),
)
_input_gradient.defvjp(
    lambda g, kernel, stride, size: (_input_gradient(g, kernel, stride, size), (g, kernel)),
    lambda stride, _size, saved, x: (
        _forward(x, saved[1], stride),
        _kernel_gradient(x, saved[0], stride, len(saved[1])),
    ),
)
_kernel_gradient.defvjp(
    lambda x, g, stride, k: (_kernel_gradient(x, g, stride, k), (x, g)),
    lambda stride, _k, saved, kernel: (
        _input_gradient(saved[1], kernel, stride, saved[0].shape[1:3]),
        _forward(saved[0], kernel, stride),
    ),
)
