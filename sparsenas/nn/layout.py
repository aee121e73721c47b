"""How weights lie while they are trained, outputs last, and as `Layer.weight_shape` has them, outputs first.

conv_hwc          [k, k, C, D]     [D, k, k, C]
conv              [k, k, C, D]     [D, C, k, k]
conv1x1           [C, D]           [D, C]
depthwise         [k, k, D]        [D, k, k]
fully_connected   [C * H * W, D]   [D, C * H * W]
"""

import numpy as np


def outputs_first(op: str, weight: np.ndarray) -> np.ndarray:
    """Returns a view of trained weights as native kernels and patterns of zeros take them."""
    return weight.transpose(3, 2, 0, 1) if op == "conv" else np.moveaxis(weight, -1, 0)


def outputs_last(op: str, weight: np.ndarray) -> np.ndarray:
    """Returns a view of such weights as they are trained; inverse of `outputs_first`."""
    return weight.transpose(2, 3, 1, 0) if op == "conv" else np.moveaxis(weight, 0, -1)
