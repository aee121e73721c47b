"""Weights of half precision, IEEE 754 float16."""

from dataclasses import replace

import numpy as np

from sparsenas.errors import UserError
from sparsenas.export.network import LayerWeights, Network

_LARGEST = float(np.finfo(np.float16).max)
# The smallest number above 0; a weight that is stored stays one.
_LEAST = float(np.finfo(np.float16).smallest_subnormal)


def halved(network: Network) -> Network:
    """Returns the network with every weight and bias rounded to the nearest float16, still as float32.

    What was no 0 does not become one, so that the zeros are the same.

    Raises:
        UserError: where a weight is larger than float16 can be.
    """
    weights = []
    for layer, one in zip(network.layers, network.weights, strict=True):
        if one is None:
            weights.append(None)
            continue
        largest = max(np.abs(one.weight).max(initial=0), np.abs(one.bias).max(initial=0))
        if largest > _LARGEST:
            raise UserError(
                f"Layer {layer.name!r} has a weight of {largest:g}, float16 ends at {_LARGEST:g}; "
                "leave out --float16."
            )
        weights.append(LayerWeights(_rounded(one.weight), _rounded(one.bias)))
    return replace(network, weights=tuple(weights))


def _rounded(array: np.ndarray) -> np.ndarray:
    near = array.astype(np.float16).astype(np.float32)
    lost = (near == 0) & (array != 0)
    near[lost] = np.copysign(np.float32(_LEAST), array[lost])
    return near
