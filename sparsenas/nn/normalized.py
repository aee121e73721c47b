"""A 1x1 or depthwise convolution with batch normalisation and an activation, as one.

    z = convolution(x, weight)
    y, mean, variance = batch_norm(z, scale, offset)

On a CPU the three share what is in a cache: the sums over z are taken while it is written, and its
gradient goes into those of the convolution without being written at all.
"""

from functools import partial
from typing import NamedTuple

import jax

from sparsenas.nn import foreign
from sparsenas.nn.batch_norm import EPSILON, NUMBERS, batch_norm
from sparsenas.nn.batch_norm import gradients as norm_gradients
from sparsenas.nn.depthwise import depthwise
from sparsenas.nn.pointwise import pointwise


def normalized(
    x: jax.Array,
    weight: jax.Array,
    scale: jax.Array,
    offset: jax.Array,
    *,
    stride: int = 1,
    activation: str = "none",
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Convolves and normalises with the statistics of this batch.

    Args:
        x: [N, H, W, C].
        weight: [C, D] of a 1x1 convolution, which has stride 1; [k, k, C] of a depthwise one.
        scale, offset: [D].
        activation: as for `batch_norm`.

    Returns:
        y [N, H', W', D], mean [D] and variance [D].
    """
    kind = _Kind(stride, activation)
    if foreign.serve(x, weight, scale, offset) and (weight.ndim == 2 or len(weight) <= foreign.MOST_TAPS):
        return _native(x, weight, scale, offset, kind)
    return batch_norm(_convolution(x, weight, kind), scale, offset, activation=activation)


class _Kind(NamedTuple):
    stride: int
    activation: str

    def call(self, name: str, shapes: list, weight: jax.Array, *arrays: jax.Array) -> list[jax.Array]:
        return foreign.call(
            name, shapes, *arrays,
            stride=self.stride, activation=NUMBERS[self.activation], epsilon=EPSILON,
            depthwise=weight.ndim == 3,
        )  # fmt: skip


def _convolution(x: jax.Array, weight: jax.Array, kind: _Kind) -> jax.Array:
    return pointwise(x, weight) if weight.ndim == 2 else depthwise(x, weight, stride=kind.stride)


def _compute(x: jax.Array, weight: jax.Array, scale: jax.Array, offset: jax.Array, kind: _Kind):
    """Returns y, z, mean and variance."""
    n, h, w, _ = x.shape
    shape = (n, (h - 1) // kind.stride + 1, (w - 1) // kind.stride + 1, weight.shape[-1])
    shapes = [shape, shape, scale.shape, scale.shape]
    return kind.call("filter_norm", shapes, weight, x, weight, scale, offset)


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def _native(x: jax.Array, weight: jax.Array, scale: jax.Array, offset: jax.Array, kind: _Kind):
    y, _, mean, variance = _compute(x, weight, scale, offset, kind)
    return y, mean, variance


def _forward(x: jax.Array, weight: jax.Array, scale: jax.Array, offset: jax.Array, kind: _Kind):
    y, z, mean, variance = _with_inside(x, weight, scale, offset, kind)
    return (y, mean, variance), (x, weight, z, scale, offset, mean, variance)


def _backward(kind: _Kind, saved: tuple, by_results: tuple):
    x, weight, z, *channels = saved
    g, *by_statistics = by_results
    return _gradients((x, weight, z, g, *channels, *by_statistics), kind)


_native.defvjp(_forward, _backward)


# What the gradient keeps is a function of the arguments too, for second derivatives.
@partial(jax.custom_vjp, nondiff_argnums=(4,))
def _with_inside(x: jax.Array, weight: jax.Array, scale: jax.Array, offset: jax.Array, kind: _Kind):
    y, z, mean, variance = _compute(x, weight, scale, offset, kind)
    return y, z, mean, variance


def _with_inside_formula(x: jax.Array, weight: jax.Array, scale: jax.Array, offset: jax.Array, kind: _Kind):
    z = _convolution(x, weight, kind)
    y, mean, variance = batch_norm(z, scale, offset, activation=kind.activation)
    return y, z, mean, variance


_with_inside.defvjp(
    lambda x, weight, scale, offset, kind: (
        _with_inside(x, weight, scale, offset, kind),
        (x, weight, scale, offset),
    ),
    lambda kind, saved, g: jax.vjp(partial(_with_inside_formula, kind=kind), *saved)[1](g),
)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _gradients(arrays: tuple[jax.Array, ...], kind: _Kind):
    """Returns the gradients by x, weight, scale and offset.

    Args:
        arrays: x, weight, z, the gradient by y, scale, offset, mean, variance, the gradients by mean and
            variance.
    """
    x, weight, _, _, scale, *_ = arrays
    shapes = [x.shape, weight.shape, scale.shape, scale.shape]
    return tuple(kind.call("filter_norm_gradients", shapes, weight, *arrays))


def _gradients_formula(arrays: tuple[jax.Array, ...], kind: _Kind):
    """Returns the same, one after the other."""
    x, weight, *norm = arrays
    gz, g_scale, g_offset = norm_gradients(tuple(norm), kind.activation)
    _, pull = jax.vjp(lambda x, weight: _convolution(x, weight, kind), x, weight)
    return *pull(gz), g_scale, g_offset


_gradients.defvjp(
    lambda arrays, kind: (_gradients(arrays, kind), arrays),
    lambda kind, arrays, weights: jax.vjp(lambda arrays: _gradients_formula(arrays, kind), arrays)[1](
        weights
    ),
)
