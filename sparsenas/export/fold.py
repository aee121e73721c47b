"""From trained variables to a network that is ready to run.

A network is cut out of the supernet: the first channels, the centre of a kernel, the weights that rank high
enough. Then batch normalisation becomes part of the weights:

    (conv(x, w) - mean) / sqrt(variance + EPSILON) * scale + offset = conv(x, w * f) + offset - mean * f
    with f = scale / sqrt(variance + EPSILON)
"""

from collections.abc import Sequence

import numpy as np

from sparsenas.errors import UserError
from sparsenas.export.network import LayerWeights, Network, stored_weights
from sparsenas.nn.batch_norm import EPSILON
from sparsenas.nn.pure import Variables
from sparsenas.space import Arch, Layer, Space, Template
from sparsenas.sparsity.layout import outputs_first
from sparsenas.sparsity.ranks import sparse_patterns


def fold(space: Space, variables: Variables, *, classes: Sequence[str], arch: Arch = ()) -> Network:
    """Folds one network of a space.

    Args:
        variables: of `supernet(space)`, with the statistics of this architecture. Those of a space without
            choices are pruned.
        classes: names of the outputs.
        arch: which network; () where the space has no choices. Its layers keep exactly the weights that the
            supernet's masks keep: as many as `Layer.nonzeros` says, but for rounding in each of the shells
            of `sparsenas.sparsity.ranks`.

    Raises:
        UserError: where the weights of a space without choices have fewer zeros than the layers promise, or
            weights are no numbers.
    """
    layers = space.layers(arch)
    templates = {template.name: template for template in space.templates}
    weights = tuple(
        None if layer.weight_shape is None else _fold(layer, templates[layer.name], variables)
        for layer in layers
    )
    return Network(layers=layers, weights=weights, classes=tuple(classes), image=space.image)


def _fold(layer: Layer, template: Template, variables: Variables) -> LayerWeights:
    # In double precision, so that folding adds no error worth speaking of; outputs come first.
    weight = _cut_out(layer, template, variables).astype(np.float64)
    params, stats = (
        {k: np.asarray(v, np.float64) for k, v in tree.get(layer.name, {}).items() if k != "weight"}
        for tree in (variables.params, variables.stats)
    )
    d = layer.c_out
    if not stats:
        bias = params["bias"][:d]
    else:
        factor = params["scale"][:d] / np.sqrt(stats["variance"][:d] + EPSILON)
        weight = weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
        bias = params["offset"][:d] - stats["mean"][:d] * factor
    return LayerWeights(np.ascontiguousarray(weight, np.float32), bias.astype(np.float32))


def _cut_out(layer: Layer, template: Template, variables: Variables) -> np.ndarray:
    """Returns the weights that a layer uses of those of its template, as `Layer.weight_shape` says."""
    part = _part(layer, template)
    weight = outputs_first(np.asarray(variables.params[layer.name]["weight"]), layer.op)[part]
    if layer.name in variables.ranks:
        if layer.sparsity:
            number = sparse_patterns(template.sparsity.values.flat).index(layer.pattern)
            rank = np.asarray(variables.ranks[layer.name]["rank"])[number]
            weight = np.where(outputs_first(rank, layer.op)[part] >= np.float32(layer.sparsity), weight, 0)
        stored_weights(layer, weight)
        return weight
    nonzeros = np.count_nonzero(stored_weights(layer, weight))
    if nonzeros > layer.nonzeros:
        raise UserError(
            f"Layer {layer.name!r} is to have at most {layer.nonzeros} of {weight.size} weights "
            f"(sparsity {layer.sparsity:g}), found {nonzeros}; train it with pruning before it is exported."
        )
    return weight


def _part(layer: Layer, template: Template) -> tuple[slice, ...]:
    """Returns which part of a template's weights, outputs first, a layer has."""
    d, c = slice(layer.c_out), slice(layer.c_in)
    margin = (template.kernel.max - layer.kernel) // 2
    window = (slice(margin, margin + layer.kernel),) * 2
    match layer.op:
        case "conv_hwc":
            return (d, *window, c)
        case "conv":
            return (d, c, *window)
        case "depthwise":
            return (d, *window)
        case "fully_connected":
            return (d, slice(layer.c_in * layer.height * layer.width))
        case _:
            return (d, c)
