"""A network that is ready to run: layers in order, and their weights."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sparsenas.errors import UserError
from sparsenas.space import IMAGE, Layer

# Standard deviations from 0 to the mean of what an activation gets.
_ABOVE_ZERO = 1.5


@dataclass(frozen=True, eq=False)
class LayerWeights:
    """Weights of one layer, with batch normalisation folded in.

    Attributes:
        weight: float32 of the layer's `weight_shape`; pruned entries are 0.
        bias: float32 [D].
    """

    weight: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False)
class Network:
    """Layers with weights; its input is float32 [N, H, W, C] in [0, 1].

    Attributes:
        layers: in the order they run; the last one gives the output.
        weights: one entry per layer, None for an operator without weights.
        classes: names of the outputs, or none where the network is no classifier.
        image: height, width and channels of the input.

    Raises:
        UserError: where layers and weights do not fit each other.
    """

    layers: tuple[Layer, ...]
    weights: tuple[LayerWeights | None, ...]
    classes: tuple[str, ...]
    image: tuple[int, int, int]

    def __post_init__(self) -> None:
        if not self.layers or len(self.weights) != len(self.layers):
            raise UserError(
                "A network has at least one layer and one entry of weights for each, "
                f"found {len(self.layers)} layers and {len(self.weights)} entries."
            )
        for i, (layer, weights) in enumerate(zip(self.layers, self.weights, strict=True)):
            _check_inputs(i, layer, self.layers, self.image)
            _check_weights(layer, weights)
        last = self.layers[-1]
        if self.classes and (last.op != "fully_connected" or last.c_out != len(self.classes)):
            raise UserError(
                f"A network with {len(self.classes)} classes ends in a fully_connected with as many "
                f"outputs, found {last.op} with {last.c_out}."
            )

    @property
    def nonzeros(self) -> int:
        """Weights that are not zero, biases aside."""
        return sum(np.count_nonzero(w.weight) for w in self.weights if w is not None)

    @property
    def vectors_from(self) -> int:
        """Position of the first of the fully connected layers that the network ends in.

        From there on other formats have vectors, before it images, be they of one pixel.
        """
        first = len(self.layers)
        while first and self.layers[first - 1].op == "fully_connected":
            first -= 1
        return first


def _check_inputs(i: int, layer: Layer, layers: Sequence[Layer], image: tuple[int, int, int]) -> None:
    wanted = 2 if layer.op in ("add", "multiply") else 1
    if len(layer.inputs) != wanted:
        raise UserError(f"Layer {layer.name!r} ({layer.op}) has {wanted} inputs, found {len(layer.inputs)}.")
    for k, j in enumerate(layer.inputs):
        expected = (layer.height, layer.width, layer.c_in)
        if not IMAGE <= j < i:
            raise UserError(
                f"Layer {layer.name!r} must read earlier layers, 0 to {i - 1}, or the image, {IMAGE}; "
                f"found {j}."
            )
        found = image if j == IMAGE else (layers[j].out_height, layers[j].out_width, layers[j].c_out)
        if layer.op == "multiply" and k == 1 and found == (1, 1, layer.c_in):
            continue
        if found != expected:
            raise UserError(
                f"Layer {layer.name!r} reads height x width x channels {_times(expected)}, but "
                f"{'the image' if j == IMAGE else repr(layers[j].name)} has {_times(found)}."
            )


def _check_weights(layer: Layer, weights: LayerWeights | None) -> None:
    shape = layer.weight_shape
    if (weights is None) != (shape is None):
        raise UserError(
            f"Layer {layer.name!r} ({layer.op}) takes {'no ' if shape is None else ''}weights, "
            f"found {'none' if weights is None else 'some'}."
        )
    if weights is None:
        return
    for what, array, wanted in (
        ("weight", weights.weight, shape),
        ("bias", weights.bias, (layer.c_out,)),
    ):
        if array.shape != wanted or array.dtype != np.float32:
            raise UserError(
                f"The {what} of layer {layer.name!r} must be float32 {list(wanted)}, "
                f"found {array.dtype} {list(array.shape)}."
            )
        if not np.isfinite(array).all():
            raise UserError(
                f"The {what} of layer {layer.name!r} holds NaN or infinity; training has diverged."
            )


def stored_weights(layer: Layer, weight: np.ndarray) -> np.ndarray:
    """Returns which weights a model file holds: those that are not 0 and what the pattern keeps with them.

    Raises:
        UserError: where the weights do not fit the layer's pattern.
    """
    try:
        return layer.pattern.stored(weight)
    except ValueError as error:
        raise UserError(f"Layer {layer.name!r} ({layer.pattern.name}) must have {error}.") from None


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def random_network(layers: Sequence[Layer], *, seed: int, classes: Sequence[str] | None = None) -> Network:
    """Returns a network with random weights, each layer with exactly its number of nonzeros.

    For measuring latency and for tests: how long a layer takes does not depend on what it has learned.

    Args:
        layers: at least one of them reads the image.
        classes: names of the outputs; the numbers from 0 where left out and the last layer classifies.
    """
    rng = np.random.default_rng(seed)
    readers = [layer for layer in layers if IMAGE in layer.inputs]
    if not readers:
        raise UserError(f"None of the {len(layers)} layers reads the image (input {IMAGE}).")
    if classes is None:
        last = layers[-1]
        classes = [str(i) for i in range(last.c_out)] if last.op == "fully_connected" else []
    return Network(
        layers=tuple(layers),
        weights=tuple(_random_weights(layer, rng) for layer in layers),
        classes=tuple(classes),
        image=(readers[0].height, readers[0].width, readers[0].c_in),
    )


def _random_weights(layer: Layer, rng: np.random.Generator) -> LayerWeights | None:
    shape = layer.weight_shape
    if shape is None:
        return None
    if layer.sparsity:
        kept = layer.pattern.keep(rng.random(shape, np.float32), layer.sparsity)
    else:
        kept = np.ones(shape, bool)
    # Keeps the size of the activations from layer to layer (He et al., 2015,
    # https://arxiv.org/abs/1502.01852); away from 0, so that no kept weight counts as pruned.
    scale = math.sqrt(2 * shape[0] / max(layer.nonzeros, 1))
    weight = np.zeros(shape, np.float32)
    weight[kept] = scale * rng.uniform(0.5, 1.4, layer.nonzeros) * rng.choice((-1, 1), layer.nonzeros)
    bias = rng.normal(0, 0.1, layer.c_out).astype(np.float32)
    return LayerWeights(weight, bias)


def normalized(network: Network, images: np.ndarray) -> Network:
    """Returns a network whose channels have variance 1 over the pixels of some images, before activations.

    As if batch normalisation had seen these images and was folded (Ioffe and Szegedy, 2015,
    https://arxiv.org/abs/1502.03167), the old biases coming on top. Random weights alone make deep
    networks that hardly look at their input; their outputs say nothing about how well two engines agree.
    The mean is 0 where no activation follows, otherwise well above: activations that cut off half of what
    they get make random networks chaotic, so that rounding errors grow from layer to layer. A layer of one
    pixel has one mean and one variance for all its channels, as there is too little to tell them apart.

    Args:
        images: [N, H, W, C].
    """
    planes = {IMAGE: images.astype(np.float64).transpose(0, 3, 1, 2)}
    fitted = []
    for i, (layer, weights) in enumerate(zip(network.layers, network.weights, strict=True)):
        x = _apply(layer, weights, [planes[j] for j in layer.inputs])
        if weights is not None:
            over = (0, 2, 3) if x.shape[2] * x.shape[3] > 1 else (0, 1, 2, 3)
            mean, deviation = (np.broadcast_to(f(x, axis=over), layer.c_out) for f in (np.mean, np.std))
            # A channel without nonzeros has no variance.
            factor = np.where(deviation > 1e-3 * deviation.max(), 1 / np.maximum(deviation, 1e-30), 1.0)
            shift = weights.bias + (0 if layer.activation == "none" else _ABOVE_ZERO)
            bias = (weights.bias - mean) * factor + shift
            x = (x - mean[:, None, None]) * factor[:, None, None] + shift[:, None, None]
            weight = weights.weight * factor.reshape(-1, *[1] * (weights.weight.ndim - 1))
            weights = LayerWeights(weight.astype(np.float32), bias.astype(np.float32))
        fitted.append(weights)
        planes[i] = _activate(layer.activation, x)
    return replace(network, weights=tuple(fitted))


def reference(network: Network, images: np.ndarray) -> np.ndarray:
    """Computes the outputs of a network in double precision, as plainly as can be.

    Args:
        images: [N, H, W, C].

    Returns:
        float64 [N, classes]; [N, C * H * W] where the last layer is no classifier.
    """
    n, *shape = images.shape
    if tuple(shape) != tuple(network.image):
        raise UserError(f"Images must be [N, {_times(network.image)}], found {list(images.shape)}.")
    planes = {IMAGE: images.astype(np.float64).transpose(0, 3, 1, 2)}
    for i, (layer, weights) in enumerate(zip(network.layers, network.weights, strict=True)):
        x = [planes[j] for j in layer.inputs]
        planes[i] = _activate(layer.activation, _apply(layer, weights, x))
    return planes[len(network.layers) - 1].reshape(n, -1)


def _apply(layer: Layer, weights: LayerWeights | None, inputs: list[np.ndarray]) -> np.ndarray:
    """Returns [N, D, H', W'] for inputs [N, C, H, W]."""
    x = inputs[0]
    if layer.op == "add":
        return x + inputs[1]
    if layer.op == "multiply":
        return x * inputs[1]
    if layer.op == "global_average_pool":
        return x.mean((2, 3), keepdims=True)
    if layer.op == "max_pool":
        return np.max(list(_windows(layer, x, -np.inf)), axis=0)
    if layer.op == "average_pool":
        inside = sum(_windows(layer, np.ones_like(x)))
        return sum(_windows(layer, x)) / inside
    w = weights.weight.astype(np.float64)
    bias = weights.bias.astype(np.float64)[:, None, None]
    if layer.op == "fully_connected":
        return (x.reshape(len(x), -1) @ w.T)[:, :, None, None] + bias
    if layer.op == "conv1x1":
        return np.einsum("dc,nchw->ndhw", w, x, optimize=True) + bias
    if layer.op == "depthwise":
        taps = w.reshape(len(w), -1).T[..., None, None]  # [kernel * kernel, D, 1, 1]
        return sum(map(np.multiply, taps, _windows(layer, x))) + bias
    if layer.op in ("conv_hwc", "conv"):
        taps = np.moveaxis(w, -1, 1) if layer.op == "conv_hwc" else w  # [D, C, kernel, kernel]
        taps = np.moveaxis(taps.reshape(*taps.shape[:2], -1), -1, 0)  # [kernel * kernel, D, C]
        products = (
            np.tensordot(tap, window, (1, 1)) for tap, window in zip(taps, _windows(layer, x), strict=True)
        )
        return np.moveaxis(sum(products), 0, 1) + bias
    raise UserError(f"Layer {layer.name!r} has an unknown operator, {layer.op!r}.")


def _windows(layer: Layer, x: np.ndarray, outside: float = 0.0) -> Iterator[np.ndarray]:
    """Yields what stands at each position of the window, row by row: [N, C, H', W']."""
    pad = layer.padding
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=outside)
    for r in range(layer.kernel):
        for s in range(layer.kernel):
            rows = slice(r, r + (layer.out_height - 1) * layer.stride + 1, layer.stride)
            columns = slice(s, s + (layer.out_width - 1) * layer.stride + 1, layer.stride)
            yield x[:, :, rows, columns]


def _activate(name: str, x: np.ndarray) -> np.ndarray:
    match name:
        case "none":
            return x
        case "relu":
            return np.maximum(x, 0)
        case "relu6":
            return np.clip(x, 0, 6)
        case "hard_swish":
            return x * _hard_sigmoid(x)
        case "hard_sigmoid":
            return _hard_sigmoid(x)
        case "swish":
            return x * _sigmoid(x)
        case "sigmoid":
            return _sigmoid(x)
    raise UserError(f"There is no activation {name!r}.")


def _hard_sigmoid(x: np.ndarray) -> np.ndarray:
    return np.clip(x + 3, 0, 6) / 6


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(x / 2)  # 1 / (1 + exp(-x)) without its overflow.
