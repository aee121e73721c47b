"""Weights lie in one order while they are trained, and in another where patterns and kernels read them.

A layer in training has its outputs last, [k, k, C, D] or [C, D]: the order of products with images
[N, H, W, C]. A pattern has them first, as `Layer.weight_shape` says. Nothing else converts.
"""

from typing import TypeVar

import jax
import numpy as np

Array = TypeVar("Array", np.ndarray, jax.Array)

# Where the axes of a trained weight go; by operator and number of axes.
_ORDERS = {"conv": (3, 2, 0, 1)}


def outputs_first(weight: Array, op: str) -> Array:
    """Returns a trained weight as patterns take it: [D, ...].

    A `conv` becomes [D, C, k, k], a `conv_hwc` [D, k, k, C], a `depthwise` [D, k, k], others [D, C].
    """
    return weight.transpose(_order(weight.ndim, op))


def outputs_last(weight: Array, op: str) -> Array:
    """Returns what `outputs_first` was given."""
    return weight.transpose(np.argsort(_order(weight.ndim, op)))


def _order(axes: int, op: str) -> tuple[int, ...]:
    return _ORDERS.get(op, (axes - 1, *range(axes - 1)))
