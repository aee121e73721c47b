"""TensorFlow Lite, for LiteRT: layers of mostly zeros keep their zeros out of the file.

The input is float32 [1, H, W, C], the output [1, H, W, D], or [1, D] where the network ends in fully
connected layers. LiteRT computes with sparse weights on Arm and in WebAssembly where the network looks as
it expects (`sparsenas.export.litert_path`); windows of stride 2 after explicit padding are part of that.
"""

from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsenas.export.extra import optional_import
from sparsenas.export.litert_path import LEAST_ZEROS
from sparsenas.export.network import LayerWeights, Network
from sparsenas.space import IMAGE, Layer
from sparsenas.sparsity.patterns import Block

if TYPE_CHECKING:
    import ai_edge_litert.schema_py_generated as schema

PACKAGE, SCHEMA = "ai-edge-litert", "ai_edge_litert.schema_py_generated"
_VERSION = 3
_FUSED = {"none": "NONE", "relu": "RELU", "relu6": "RELU6"}
# Padding with 0 changes no maximum after these.
_NEVER_NEGATIVE = ("relu", "relu6", "sigmoid", "hard_sigmoid")


def to_tflite(network: Network, *, float16: bool = False) -> bytes:
    """Returns a .tflite model of a network.

    Args:
        float16: weights and biases of half precision in the file; LiteRT computes in float32.

    Raises:
        UserError: where the package ai-edge-litert is missing.
    """
    schema = optional_import(SCHEMA, PACKAGE)
    flatbuffers = optional_import("flatbuffers", PACKAGE)
    return _Graph(schema, network, np.float16 if float16 else np.float32).to_bytes(flatbuffers)


class _Graph:
    """Tensors and operators so far; a tensor is a position in the list of tensors."""

    def __init__(self, schema: ModuleType, network: Network, stored: type[np.floating]) -> None:
        self._schema = schema
        self._network = network
        self._stored = stored
        self._tensors: list[schema.TensorT] = []
        self._operators: list[schema.OperatorT] = []
        self._codes: list[schema.OperatorCodeT] = []
        self._buffers: list[schema.BufferT] = [schema.BufferT()]  # The first one is empty.
        height, width, channels = network.image
        self._outputs = {IMAGE: self._tensor("image", (1, height, width, channels))}
        for i, (layer, weights) in enumerate(zip(network.layers, network.weights, strict=True)):
            self._outputs[i] = self._layer(i, layer, weights)

    def to_bytes(self, flatbuffers: ModuleType) -> bytes:
        graph = self._schema.SubGraphT()
        graph.name, graph.tensors, graph.operators = "network", self._tensors, self._operators
        graph.inputs, graph.outputs = [self._outputs[IMAGE]], [self._outputs[len(self._network.layers) - 1]]
        model = self._schema.ModelT()
        model.version, model.description = _VERSION, "sparsenas"
        model.subgraphs, model.operatorCodes, model.buffers = [graph], self._codes, self._buffers
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _layer(self, i: int, layer: Layer, weights: LayerWeights | None) -> int:
        """Adds the operators of a layer and returns the tensor that it gives."""
        x = [self._outputs[j] for j in layer.inputs]
        shape = (1, layer.out_height, layer.out_width, layer.c_out)
        fused = layer.activation if layer.activation in _FUSED else "none"
        rest = "none" if fused == layer.activation else layer.activation
        match layer.op:
            case "add" | "multiply":
                name, option = {"add": ("ADD", "AddOptions"), "multiply": ("MUL", "MulOptions")}[layer.op]
                y = self._operator(name, x, layer.name, shape, option, fused=fused)
            case "global_average_pool":
                axes = self._constant(f"{layer.name}.axes", np.array([1, 2], np.int32))
                y = self._operator("MEAN", [*x, axes], layer.name, shape, "ReducerOptions", keepDims=True)
                rest = layer.activation
            case "max_pool" | "average_pool":
                y = self._pool(layer, x[0], fused)
            case "fully_connected" if i >= self._network.vectors_from:
                kernel = self._weights(layer, _matrix(layer, weights.weight))
                bias = self._learned(f"{layer.name}.bias", weights.bias)
                shape = shape[::3]
                y = self._operator(
                    "FULLY_CONNECTED", [*x, kernel, bias], layer.name, shape, "FullyConnectedOptions",
                    fused=fused,
                )  # fmt: skip
            case _:
                y = self._conv(layer, weights, x[0], shape, fused)
        return self._activate(rest, y, layer.name, shape)

    def _conv(self, layer: Layer, weights: LayerWeights, x: int, shape: tuple[int, ...], fused: str) -> int:
        bias = self._learned(f"{layer.name}.bias", weights.bias)
        settings: dict[str, Any] = {"fused": fused, "dilationWFactor": 1, "dilationHFactor": 1}
        settings |= {"strideW": layer.stride, "strideH": layer.stride}
        if layer.padding and not _is_same(layer):
            x = self._pad(layer, x, negative=False)
        settings["padding"] = self._padding(layer)
        if layer.op == "depthwise":
            kernel = np.ascontiguousarray(np.moveaxis(weights.weight, 0, -1)[None])  # [1, R, S, C]
            inputs = [x, self._learned(f"{layer.name}.weight", kernel), bias]
            return self._operator(
                "DEPTHWISE_CONV_2D", inputs, layer.name, shape, "DepthwiseConv2DOptions",
                depthMultiplier=1, **settings,
            )  # fmt: skip
        inputs = [x, self._weights(layer, _kernel(layer, weights.weight)), bias]
        return self._operator("CONV_2D", inputs, layer.name, shape, "Conv2DOptions", **settings)

    def _pool(self, layer: Layer, x: int, fused: str) -> int:
        operator = {"max_pool": "MAX_POOL_2D", "average_pool": "AVERAGE_POOL_2D"}[layer.op]
        shape = (1, layer.out_height, layer.out_width, layer.c_out)
        explicit = layer.padding and not _is_same(layer)
        if explicit:
            x = self._pad(layer, x, negative=layer.op == "max_pool")
        # The zeros of explicit padding count in a mean until it is corrected.
        corrected = explicit and layer.op == "average_pool"
        y = self._operator(
            operator, [x], layer.name, shape, "Pool2DOptions",
            fused="none" if corrected else fused, padding=self._padding(layer),
            filterWidth=layer.kernel, filterHeight=layer.kernel, strideW=layer.stride, strideH=layer.stride,
        )  # fmt: skip
        if not corrected:
            return y
        factors = self._constant(f"{layer.name}.factors", _whole_over_inside(layer))
        return self._operator("MUL", [y, factors], f"{layer.name}.mean", shape, "MulOptions", fused=fused)

    def _pad(self, layer: Layer, x: int, *, negative: bool) -> int:
        """Pads every side alike, as SAME does not where the stride is 2.

        Args:
            negative: whether below every number, for a maximum, where 0 would not do as well.
        """
        pad = layer.padding
        widths = np.array([[0, 0], [pad, pad], [pad, pad], [0, 0]], np.int32)
        inputs = [x, self._constant(f"{layer.name}.padding", widths)]
        shape = (1, layer.height + 2 * pad, layer.width + 2 * pad, layer.c_in)
        before = None if layer.inputs[0] == IMAGE else self._network.layers[layer.inputs[0]].activation
        if negative and before not in _NEVER_NEGATIVE:
            lowest = np.array([np.finfo(np.float32).min])
            inputs.append(self._constant(f"{layer.name}.outside", lowest.astype(np.float32)))
            return self._operator("PADV2", inputs, f"{layer.name}.padded", shape, "PadV2Options")
        return self._operator("PAD", inputs, f"{layer.name}.padded", shape, "PadOptions")

    def _activate(self, activation: str, x: int, name: str, shape: tuple[int, ...]) -> int:
        def step(operator: str, inputs: list[int], what: str, options: str | None = None, **settings) -> int:
            return self._operator(operator, inputs, f"{name}.{what}", shape, options, **settings)

        match activation:
            case "relu":
                return step("RELU", [x], "relu")
            case "relu6":
                return step("RELU6", [x], "relu6")
            case "sigmoid":
                return step("LOGISTIC", [x], "sigmoid")
            case "swish":
                return step("MUL", [x, step("LOGISTIC", [x], "gate")], "swish", "MulOptions", fused="none")
            case "hard_swish":
                return step("HARD_SWISH", [x], "hard_swish", "HardSwishOptions")
            case "hard_sigmoid":
                three, sixth = (
                    self._constant(f"{name}.{what}", np.array([number], np.float32))
                    for what, number in (("three", 3), ("sixth", 1 / 6))
                )
                shifted = step("ADD", [x, three], "shifted", "AddOptions", fused="relu6")
                return step("MUL", [shifted, sixth], "hard_sigmoid", "MulOptions", fused="none")
        return x

    def _weights(self, layer: Layer, array: np.ndarray) -> int:
        """Returns a constant tensor [D, ..., C], unpacked from a sparse one where that is worth it.

        Sparse are the columns of a row, which is an output channel, or a block of some, at one entry of the
        window; all other dimensions are dense.
        """
        name = f"{layer.name}.weight"
        if np.count_nonzero(array) > (1 - LEAST_ZEROS) * array.size:
            return self._learned(name, array)
        d, *window, c = array.shape
        height = layer.pattern.rows if isinstance(layer.pattern, Block) and not d % layer.pattern.rows else 1
        rows = array.reshape(d // height, height, -1, c).transpose(0, 2, 3, 1).reshape(-1, c, height)
        kept = rows.any(2)
        packed = self._tensor(f"{name}.packed", array.shape, rows[kept].astype(self._stored))
        dimensions = [self._dimension(dense_size=size) for size in (d // height, *window)]
        starts = np.concatenate([[0], np.cumsum(kept.sum(1))])
        dimensions.append(self._dimension(segments=starts, indices=np.nonzero(kept)[1]))
        sparsity = self._schema.SparsityParametersT()
        sparsity.traversalOrder, sparsity.blockMap = list(range(array.ndim)), []
        if height > 1:  # After the columns, the rows of a block, of the tensor's first dimension.
            dimensions.append(self._dimension(dense_size=height))
            sparsity.traversalOrder, sparsity.blockMap = list(range(array.ndim + 1)), [0]
        sparsity.dimMetadata = dimensions
        self._tensors[packed].sparsity = sparsity
        kind = self._tensors[packed].type
        unpacked = self._operator("DENSIFY", [packed], name, array.shape, "DensifyOptions", kind=kind)
        return self._widened(unpacked, name, array.shape)

    def _learned(self, name: str, array: np.ndarray) -> int:
        """Returns a constant of float32, be it stored in less."""
        return self._widened(self._constant(name, array.astype(self._stored)), name, array.shape)

    def _widened(self, tensor: int, name: str, shape: tuple[int, ...]) -> int:
        if self._stored == np.float32:
            return tensor
        return self._operator("DEQUANTIZE", [tensor], f"{name}.wide", shape, "DequantizeOptions")

    def _dimension(
        self,
        *,
        dense_size: int = 0,
        segments: np.ndarray | None = None,
        indices: np.ndarray | None = None,
    ) -> "schema.DimensionMetadataT":
        dimension, kinds = self._schema.DimensionMetadataT(), self._schema.DimensionType
        dimension.denseSize, dimension.format = dense_size, kinds.DENSE
        if segments is not None:
            dimension.format = kinds.SPARSE_CSR
            dimension.arraySegmentsType, dimension.arraySegments = self._integers(segments)
            dimension.arrayIndicesType, dimension.arrayIndices = self._integers(indices)
        return dimension

    def _integers(self, values: np.ndarray) -> tuple[int, Any]:
        """Returns the narrowest vector that holds some numbers, and what the schema calls its type."""
        largest = int(values.max(initial=0))
        kind, dtype = (
            ("Uint8Vector", np.uint8) if largest < 2**8
            else ("Uint16Vector", np.uint16) if largest < 2**16
            else ("Int32Vector", np.int32)
        )  # fmt: skip
        vector = getattr(self._schema, f"{kind}T")()
        vector.values = values.astype(dtype)
        return getattr(self._schema.SparseIndexVector, kind), vector

    def _constant(self, name: str, array: np.ndarray) -> int:
        return self._tensor(name, array.shape, array)

    def _tensor(
        self, name: str, shape: tuple[int, ...], data: np.ndarray | None = None, kind: int | None = None
    ) -> int:
        tensor = self._schema.TensorT()
        tensor.name, tensor.shape, tensor.hasRank = name.encode(), list(shape), True
        numbers = np.dtype(np.float32) if data is None else data.dtype
        tensor.type = getattr(self._schema.TensorType, numbers.name.upper()) if kind is None else kind
        if data is not None:
            buffer = self._schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            tensor.buffer = len(self._buffers)
            self._buffers.append(buffer)
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _padding(self, layer: Layer) -> int:
        kinds = self._schema.Padding
        return kinds.SAME if layer.padding and _is_same(layer) else kinds.VALID

    def _operator(
        self,
        name: str,
        inputs: list[int],
        output: str,
        shape: tuple[int, ...],
        options: str | None = None,
        *,
        fused: str | None = None,
        kind: int | None = None,
        **settings: Any,
    ) -> int:
        """Adds an operator and returns its output, a new tensor.

        Args:
            options: the schema's table of its settings.
            fused: the activation of operators that have one.
            kind: the schema's number for the type of the output; float32 where left out.
        """
        operator = self._schema.OperatorT()
        operator.opcodeIndex, operator.inputs = self._code(name), inputs
        operator.outputs = [self._tensor(output, shape, kind=kind)]
        if options is not None:
            operator.builtinOptionsType = getattr(self._schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(self._schema, f"{options}T")()
            if fused is not None:
                kinds = self._schema.ActivationFunctionType
                settings["fusedActivationFunction"] = getattr(kinds, _FUSED[fused])
            for setting, value in settings.items():
                setattr(operator.builtinOptions, setting, value)
        self._operators.append(operator)
        return operator.outputs[0]

    def _code(self, name: str) -> int:
        builtin = getattr(self._schema.BuiltinOperator, name)
        for i, code in enumerate(self._codes):
            if code.builtinCode == builtin:
                return i
        code = self._schema.OperatorCodeT()
        # Readers from before there were 128 operators look at the deprecated field.
        code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, 127), 1
        self._codes.append(code)
        return len(self._codes) - 1


def _is_same(layer: Layer) -> bool:
    """Returns whether the layer pads as SAME does: evenly, and the output is as large as the input."""
    return layer.stride == 1 and layer.kernel == 2 * layer.padding + 1


def _whole_over_inside(layer: Layer) -> np.ndarray:
    """Returns the pixels of a window over those of them that are inside the image: [1, H, W, 1]."""
    rows, columns = (
        np.array([
            min(first + layer.kernel, side) - max(first, 0)
            for first in range(-layer.padding, side + layer.padding - layer.kernel + 1, layer.stride)
        ])
        for side in (layer.height, layer.width)
    )  # fmt: skip
    inside = (rows[:, None] * columns)[None, ..., None]
    return (layer.kernel**2 / inside).astype(np.float32)


def _kernel(layer: Layer, weight: np.ndarray) -> np.ndarray:
    """Returns weights as CONV_2D has them, [D, R, S, C]."""
    match layer.op:
        case "conv":
            weight = np.moveaxis(weight, 1, -1)
        case "conv1x1":
            weight = weight[:, None, None]
        case "fully_connected":  # A window as large as the image.
            weight = _by_pixel(layer, weight)
    return np.ascontiguousarray(weight)


def _matrix(layer: Layer, weight: np.ndarray) -> np.ndarray:
    """Returns weights as FULLY_CONNECTED has them: an image is flattened pixel by pixel."""
    return np.ascontiguousarray(_by_pixel(layer, weight).reshape(layer.c_out, -1))


def _by_pixel(layer: Layer, weight: np.ndarray) -> np.ndarray:
    return np.moveaxis(weight.reshape(layer.c_out, layer.c_in, layer.height, layer.width), 1, -1)
