"""Which layers LiteRT computes with sparse weights, and why not the others.

LiteRT hands a network to XNNPACK, which has sparse kernels on Arm and in WebAssembly for 1x1 convolutions
of images that lie channel by channel (Elsen et al., 2020, https://arxiv.org/abs/1911.09723). It rewrites a
network, from a first layer that turns pixels into channels to a mean over all pixels, and only as a whole:
every layer between has to be one that it knows in that order, and more than two thirds of the weights of
all 1x1 convolutions and fully connected layers together have to be zeros.
"""

from collections.abc import Mapping

import numpy as np

from sparsenas.export.network import Network
from sparsenas.space import IMAGE, Layer

LEAST_ZEROS = 2 / 3
_ELEMENTWISE = ("add", "multiply")


def obstacles(network: Network) -> Mapping[str, str]:
    """Returns why layers that have zeros are computed without making use of them, by name.

    Nothing is in it for layers without zeros, and for those that LiteRT computes sparse.
    """
    zeros = {
        layer.name: 1 - np.count_nonzero(weights.weight) / weights.weight.size
        for layer, weights in zip(network.layers, network.weights, strict=True)
        if weights is not None
    }
    pruned = [layer for layer in network.layers if layer.sparsity and zeros[layer.name] > 0]
    found = {layer.name: why for layer in pruned if (why := _of_its_own(layer))}
    others = [layer for layer in pruned if layer.name not in found]
    if why := _of_the_network(network):
        return {layer.name: found.get(layer.name, why) for layer in pruned}
    pointwise = [
        weights.weight
        for layer, weights in zip(network.layers, network.weights, strict=True)
        if _is_pointwise(layer)
    ]
    total = sum(weight.size for weight in pointwise)
    kept = sum(np.count_nonzero(weight) for weight in pointwise)
    if total and kept >= (1 - LEAST_ZEROS) * total:
        why = (
            f"all 1x1 convolutions and fully connected layers together have {1 - kept / total:.0%} zeros; "
            f"sparse kernels are taken from more than {LEAST_ZEROS:.0%} on"
        )
        return {layer.name: found.get(layer.name, why) for layer in pruned}
    few = {
        layer.name: f"it has {zeros[layer.name]:.0%} zeros, at least {LEAST_ZEROS:.0%} are stored as such"
        for layer in others
        if zeros[layer.name] <= LEAST_ZEROS
    }
    return {layer.name: (found | few)[layer.name] for layer in pruned if layer.name in found | few}


def _of_its_own(layer: Layer) -> str:
    if layer.op == "fully_connected" and not _is_pointwise(layer):
        return "a fully connected layer of more than one pixel is computed dense"
    if not _is_pointwise(layer):
        return f"windows of {layer.kernel} x {layer.kernel} pixels are computed dense, only 1x1 are sparse"
    return ""


def _is_pointwise(layer: Layer) -> bool:
    """Returns whether a layer is a 1x1 convolution, be it of one pixel."""
    return layer.op == "conv1x1" or (layer.op == "fully_connected" and layer.height == layer.width == 1)


def _of_the_network(network: Network) -> str:
    """Returns why no layer can be sparse."""
    end = next((i for i, layer in enumerate(network.layers) if _is_exit(network, i)), None)
    if end is None:
        return "the network has no mean over all pixels before its fully connected layers"
    for layer in network.layers[:end]:
        if IMAGE in layer.inputs:
            fits = layer.op in ("conv_hwc", "conv") and (layer.kernel, layer.stride, layer.c_in) == (3, 2, 3)
            if not fits or layer.padding != 1:
                return (
                    f"layer {layer.name!r} reads the image, which must be a convolution of 3 x 3 pixels with "
                    "stride 2, padding 1 and 3 channels"
                )
        elif why := _unknown(layer):
            return f"layer {layer.name!r} {why}, for which there is no kernel that goes channel by channel"
    return ""


def _is_exit(network: Network, i: int) -> bool:
    """Returns whether all that follows are vectors."""
    rest = network.layers[i + 1 :]
    return network.layers[i].op == "global_average_pool" and all(
        layer.op == "fully_connected" and i + 1 + j >= network.vectors_from for j, layer in enumerate(rest)
    )


def _unknown(layer: Layer) -> str:
    match layer.op:
        case "depthwise" if layer.kernel not in (3, 5):
            return f"is a depthwise convolution of {layer.kernel} x {layer.kernel} pixels"
        case "depthwise" if layer.stride > 2:
            return f"is a depthwise convolution with stride {layer.stride}"
        case "conv1x1" | "depthwise" | "global_average_pool":
            return ""
        case "fully_connected" if _is_pointwise(layer):
            return ""
        case op if op in _ELEMENTWISE:
            return ""
    return f"is of type {layer.op}"
