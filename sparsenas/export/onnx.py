"""ONNX, for other engines: operator set 13, so that older ones read it too.

The input is `image`, float32 [N, C, H, W], the output `outputs`, [N, D] or [N, D, H, W]. Weights are dense
tensors or, for those of mostly zeros, sparse ones: that makes the file smaller, and no engine faster.
"""

from typing import TYPE_CHECKING

import numpy as np

from sparsenas import __version__
from sparsenas.export.extra import optional_import
from sparsenas.export.network import LayerWeights, Network
from sparsenas.space import IMAGE, Layer

if TYPE_CHECKING:
    import onnx

OPSET, IR_VERSION = 13, 7
INPUT, OUTPUT = "image", "outputs"


def to_onnx(network: Network, *, batch: int | None = 1, sparse: bool = False) -> bytes:
    """Returns an ONNX model of a network.

    Args:
        batch: N, how many images it takes at a time; None for any number.
        sparse: whether weights are sparse tensors where that makes the file smaller.

    Raises:
        UserError: where the package onnx is missing.
    """
    onnx = optional_import("onnx", "onnx")
    return _Graph(onnx, network, sparse).model(batch).SerializeToString()


class _Graph:
    """Nodes and constants so far. Tensors have names: that of the layer, or of the layer and a step."""

    def __init__(self, package: "onnx", network: Network, sparse: bool) -> None:
        self._onnx = package
        self._network = network
        self._sparse = sparse
        self._sparse_constants: dict[str, onnx.SparseTensorProto] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._outputs = {IMAGE: INPUT}
        for i, (layer, weights) in enumerate(zip(network.layers, network.weights, strict=True)):
            last = i == len(network.layers) - 1
            self._outputs[i] = self._layer(i, layer, weights, OUTPUT if last else layer.name)

    def model(self, batch: int | None) -> "onnx.ModelProto":
        helper, network = self._onnx.helper, self._network
        batch = "N" if batch is None else batch
        height, width, channels = network.image
        last = network.layers[-1]
        shape = [batch, last.c_out]
        if network.vectors_from == len(network.layers):
            shape += [last.out_height, last.out_width]
        number = self._onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self._nodes,
            "network",
            [helper.make_tensor_value_info(INPUT, number, [batch, channels, height, width])],
            [helper.make_tensor_value_info(OUTPUT, number, shape)],
            list(self._constants.values()),
            sparse_initializer=list(self._sparse_constants.values()),
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="sparsenas",
            producer_version=__version__,
        )

    def _layer(self, i: int, layer: Layer, weights: LayerWeights | None, output: str) -> str:
        """Adds the nodes of a layer and returns the tensor that it gives."""
        x = [self._outputs[j] for j in layer.inputs]
        before = output if layer.activation == "none" else f"{output}.linear"
        match layer.op:
            case "add" | "multiply":
                self._node({"add": "Add", "multiply": "Mul"}[layer.op], x, before)
            case "global_average_pool":
                self._node("GlobalAveragePool", x, before)
            case "max_pool":
                self._node("MaxPool", x, before, **_window(layer))
            case "average_pool":
                self._node("AveragePool", x, before, **_window(layer), count_include_pad=0)
            case "fully_connected" if i >= self._network.vectors_from:
                if i == self._network.vectors_from:
                    x = [self._node("Flatten", x, f"{output}.flat")]
                matrix = self._weights(f"{layer.name}.weight", weights.weight)
                self._node("Gemm", [*x, matrix, self._bias(layer, weights)], before, transB=1)
            case _:
                kernel = self._weights(f"{layer.name}.weight", _kernel(layer, weights.weight))
                groups = layer.c_out if layer.op == "depthwise" else 1
                window = {} if layer.op == "fully_connected" else _window(layer)
                self._node("Conv", [*x, kernel, self._bias(layer, weights)], before, group=groups, **window)
        return self._activate(layer.activation, before, output)

    def _activate(self, name: str, x: str, output: str) -> str:
        match name:
            case "relu":
                self._node("Relu", [x], output)
            case "relu6":
                bounds = [self._constant(f"{bound}", np.float32(bound)) for bound in (0, 6)]
                self._node("Clip", [x, *bounds], output)
            case "sigmoid":
                self._node("Sigmoid", [x], output)
            case "hard_sigmoid":
                self._hard_sigmoid(x, output)
            case "swish":
                self._node("Mul", [x, self._node("Sigmoid", [x], f"{output}.gate")], output)
            case "hard_swish":  # HardSwish itself came with operator set 14.
                self._node("Mul", [x, self._hard_sigmoid(x, f"{output}.gate")], output)
        return output

    def _hard_sigmoid(self, x: str, output: str) -> str:
        return self._node("HardSigmoid", [x], output, alpha=1 / 6, beta=0.5)

    def _node(self, op: str, inputs: list[str], output: str, **attributes: float | list[int]) -> str:
        self._nodes.append(self._onnx.helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def _constant(self, name: str, array: np.ndarray) -> str:
        if name not in self._constants:
            self._constants[name] = self._onnx.numpy_helper.from_array(np.asarray(array), name)
        return name

    def _weights(self, name: str, array: np.ndarray) -> str:
        (places,) = np.nonzero(array.ravel())
        # A nonzero takes 12 bytes, 8 of them for its place.
        if not self._sparse or 12 * places.size >= array.nbytes:
            return self._constant(name, array)
        values = self._onnx.numpy_helper.from_array(array.ravel()[places], name)
        indices = self._onnx.numpy_helper.from_array(places.astype(np.int64), f"{name}.places")
        tensor = self._onnx.helper.make_sparse_tensor(values, indices, array.shape)
        self._sparse_constants[name] = tensor
        return name

    def _bias(self, layer: Layer, weights: LayerWeights) -> str:
        return self._constant(f"{layer.name}.bias", weights.bias)


def _window(layer: Layer) -> dict[str, list[int]]:
    sides = {"kernel_shape": [layer.kernel] * 2, "strides": [layer.stride] * 2}
    return sides | {"pads": [layer.padding] * 4}


def _kernel(layer: Layer, weight: np.ndarray) -> np.ndarray:
    """Returns weights as Conv has them, [D, C, R, S]."""
    match layer.op:
        case "conv_hwc":
            weight = np.moveaxis(weight, -1, 1)
        case "depthwise":
            weight = weight[:, None]
        case "conv1x1":
            weight = weight[..., None, None]
        case "fully_connected":  # A window as large as the image.
            weight = weight.reshape(layer.c_out, layer.c_in, layer.height, layer.width)
    return np.ascontiguousarray(weight)
