"""A folded network as a JAX function."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from sparsenas.export.network import LayerWeights, Network
from sparsenas.nn.layers import ACTIVATIONS
from sparsenas.nn.pooling import average_pool, max_pool
from sparsenas.space import IMAGE, Layer

_LAYOUT = ("NHWC", "HWIO", "NHWC")


def forward(network: Network) -> Callable[[jax.Array], jax.Array]:
    """Returns what computes the outputs of images.

    It takes float32 [N, H, W, C] in [0, 1] and gives float32 [N, outputs], an image channel by channel where
    the network does not end in a fully connected layer. Weights are constants of it.
    """

    def run(images: jax.Array) -> jax.Array:
        outputs = {IMAGE: images}
        for i, (layer, weights) in enumerate(zip(network.layers, network.weights, strict=True)):
            x = [outputs[j] for j in layer.inputs]
            outputs[i] = ACTIVATIONS[layer.activation](_apply(layer, weights, x))
        last = outputs[len(network.layers) - 1]
        # The order of channels and pixels is the model file's. Sizes are known, N perhaps is not.
        outputs_of_one = int(np.prod(last.shape[1:]))
        return jnp.moveaxis(last, -1, 1).reshape(images.shape[0], outputs_of_one)

    return run


def _apply(layer: Layer, weights: LayerWeights | None, inputs: list[jax.Array]) -> jax.Array:
    """Returns [N, H', W', D] for inputs [N, H, W, C]."""
    x = inputs[0]
    window = {"kernel": layer.kernel, "stride": layer.stride, "pad": layer.padding}
    match layer.op:
        case "add":
            return x + inputs[1]
        case "multiply":
            return x * inputs[1]
        case "global_average_pool":
            return x.mean((1, 2), keepdims=True)
        case "max_pool":
            return max_pool(x, **window)
        case "average_pool":
            return average_pool(x, **window)
        case "fully_connected":
            # Rows are ordered channel by channel.
            shape = (layer.c_out, layer.c_in, layer.height, layer.width)
            matrix = np.moveaxis(weights.weight.reshape(shape), 1, -1).reshape(layer.c_out, -1)
            flat = x.reshape(x.shape[0], matrix.shape[1])
            y = jnp.matmul(flat, matrix.T, precision=lax.Precision.HIGHEST)
            return (y + weights.bias[None])[:, None, None, :]
    y = lax.conv_general_dilated(
        x,
        _kernel(layer, weights.weight),
        window_strides=(layer.stride,) * 2,
        padding=((layer.padding,) * 2,) * 2,
        dimension_numbers=_LAYOUT,
        feature_group_count=layer.c_out if layer.op == "depthwise" else 1,
        precision=lax.Precision.HIGHEST,
    )
    return y + weights.bias[None, None, None]


def _kernel(layer: Layer, weight: np.ndarray) -> np.ndarray:
    """Returns weights as [R, S, C, D]; C is 1 for a depthwise convolution."""
    match layer.op:
        case "conv_hwc":
            weight = np.moveaxis(weight, 0, -1)
        case "conv":
            weight = weight.transpose(2, 3, 1, 0)
        case "conv1x1":
            weight = weight.T[None, None]
        case "depthwise":
            weight = np.moveaxis(weight, 0, -1)[:, :, None]
    return np.ascontiguousarray(weight)
