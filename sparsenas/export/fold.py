"""From a trained network to one that is ready to run: batch normalisation becomes part of the weights.

(conv(x, w) - mean) / sqrt(variance + EPSILON) * scale + offset = conv(x, w * f) + offset - mean * f
with f = scale / sqrt(variance + EPSILON)
"""

from collections.abc import Mapping, Sequence

import numpy as np

from sparsenas.errors import UserError
from sparsenas.export.network import LayerWeights, Network, stored_weights
from sparsenas.nn.batch_norm import EPSILON
from sparsenas.nn.pure import Variables
from sparsenas.space import Layer, Space


def fold(space: Space, variables: Variables, *, classes: Sequence[str]) -> Network:
    """Folds the only network of a space without choices.

    Args:
        variables: of `supernet(space)`, pruned.
        classes: names of the outputs.

    Raises:
        UserError: where a layer has fewer zeros than its sparsity promises.
    """
    if space.choices:
        raise ValueError(f"`space` must have no choices, found {len(space.choices)}; see `Space.fixed`.")
    layers = space.layers(())
    weights = tuple(
        None
        if layer.weight_shape is None
        else _fold(layer, variables.params[layer.name], variables.stats.get(layer.name))
        for layer in layers
    )
    return Network(layers=layers, weights=weights, classes=tuple(classes), image=space.image)


def _fold(
    layer: Layer, params: Mapping[str, np.ndarray], stats: Mapping[str, np.ndarray] | None
) -> LayerWeights:
    # In double precision, so that folding adds no error worth speaking of; outputs come first.
    weight = np.moveaxis(np.asarray(params["weight"], np.float64), -1, 0)
    nonzeros = np.count_nonzero(stored_weights(layer, weight))
    if nonzeros > layer.nonzeros:
        raise UserError(
            f"Layer {layer.name!r} is to have at most {layer.nonzeros} of {weight.size} weights "
            f"(sparsity {layer.sparsity:g}), found {nonzeros}; train it with pruning before it is exported."
        )
    if stats is None:
        bias = np.asarray(params["bias"], np.float64)
    else:
        mean, variance, scale, offset = (
            np.asarray(array, np.float64)
            for array in (stats["mean"], stats["variance"], params["scale"], params["offset"])
        )
        factor = scale / np.sqrt(variance + EPSILON)
        weight = weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
        bias = offset - mean * factor
    return LayerWeights(np.ascontiguousarray(weight, np.float32), bias.astype(np.float32))
