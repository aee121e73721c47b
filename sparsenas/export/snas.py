"""The model file of the native runtime; docs/format.md describes it byte by byte."""

import os
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np

from sparsenas.errors import UserError
from sparsenas.export.network import LayerWeights, Network, stored_weights
from sparsenas.space import IMAGE, Layer, misplaced
from sparsenas.sparsity.patterns import Block

VERSION = 1
OPS = {
    "conv_hwc": 0,
    "conv1x1": 1,
    "depthwise": 2,
    "add": 3,
    "global_average_pool": 4,
    "fully_connected": 5,
    "conv": 6,
    "max_pool": 7,
    "average_pool": 8,
    "multiply": 9,
}
PATTERNS = {"dense": 0, "unstructured": 1, "block2": 2, "block4": 3, "2:4": 4, "pattern": 5}
ACTIVATIONS = {
    "none": 0,
    "relu": 1,
    "relu6": 2,
    "hard_swish": 3,
    "swish": 4,
    "sigmoid": 5,
    "hard_sigmoid": 6,
}
HWC, CHW = 0, 1
UNUSED_INPUT = -2

ALIGNMENT = 64
HEADER = struct.Struct("<4sIQI7IQQ")
LAYER = struct.Struct("<4I2i6IQ8Q2I")
CHECKSUM_END = 20  # The checksum covers everything from here on.


def write(network: Network, path: str | os.PathLike) -> int:
    """Writes a model file and returns its size in bytes.

    The file appears whole or not at all, also when the machine stops in the middle.
    """
    data = to_bytes(network)
    path = Path(path)
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)  # mkstemp's 0600 would keep other users from reading a model.
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise UserError(f"Cannot write model {str(path)!r}: {error.strerror}.") from None
    return len(data)


def to_bytes(network: Network) -> bytes:
    """Returns the model file of a network."""
    strings = b"".join(map(_string, (*(layer.name for layer in network.layers), *network.classes)))
    data = bytearray(HEADER.size + LAYER.size * len(network.layers))
    strings_offset = len(data)
    data += strings
    for i, (layer, weights) in enumerate(zip(network.layers, network.weights, strict=True)):
        nonzeros, blobs = _blobs(layer, weights)
        places = []
        for blob in blobs:
            places += _append(data, blob)
        first, second = (*layer.inputs, UNUSED_INPUT)[:2]
        LAYER.pack_into(
            data,
            HEADER.size + LAYER.size * i,
            OPS[layer.op],
            PATTERNS[layer.pattern.name],
            ACTIVATIONS[layer.activation],
            len(layer.inputs),
            first,
            second,
            layer.c_in,
            layer.c_out,
            layer.height,
            layer.width,
            layer.kernel,
            layer.stride,
            nonzeros,
            *places,
            layer.padding,
            0,
        )
    header = (
        _input_layout(network),
        *network.image,
        len(network.layers),
        len(network.classes),
        0,
        strings_offset,
        len(strings),
    )
    HEADER.pack_into(data, 0, b"SNAS", VERSION, len(data), 0, *header)
    checksum = zlib.crc32(memoryview(data)[CHECKSUM_END:])
    HEADER.pack_into(data, 0, b"SNAS", VERSION, len(data), checksum, *header)
    return bytes(data)


def _input_layout(network: Network) -> int:
    for layer in network.layers:
        if layer.op == "conv_hwc" and layer.inputs != (IMAGE,):
            raise UserError(
                f"Layer {layer.name!r} (conv_hwc) must read the image, input {IMAGE}, "
                f"found {layer.inputs}; between layers pixels lie channel by channel."
            )
    hwc = {layer.op == "conv_hwc" for layer in network.layers if IMAGE in layer.inputs}
    if len(hwc) == 2:
        raise UserError(
            "The image is read by a conv_hwc, as height x width x channels, and by another operator, "
            "as channels x height x width; a model file holds one of the two."
        )
    return CHW if hwc == {False} else HWC


def _string(text: str) -> bytes:
    data = text.encode()
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise UserError(f"Names of layers and classes have no control characters, found {text!r}.")
    return struct.pack("<I", len(data)) + data


def _append(data: bytearray, blob: bytes) -> tuple[int, int]:
    """Appends a blob and returns its offset and size."""
    if not blob:
        return 0, 0
    data += bytes(-len(data) % ALIGNMENT)
    offset = len(data)
    data += blob
    return offset, len(blob)


def _blobs(layer: Layer, weights: LayerWeights | None) -> tuple[int, tuple[bytes, ...]]:
    """Returns the number of stored weights, and the blobs weight, bias, counts and columns."""
    if weights is None:
        return 0, (b"", b"", b"", b"")
    bias = weights.bias.astype("<f4").tobytes()
    if layer.pattern.name == "dense":
        return weights.weight.size, (weights.weight.astype("<f4").tobytes(), bias, b"", b"")
    problem = misplaced(layer.pattern, layer.op, layer.kernel)
    if problem:
        raise UserError(f"Layer {layer.name!r} {problem}")
    weight = weights.weight.reshape(layer.c_out, -1)
    stored = stored_weights(layer, weights.weight).reshape(weight.shape)
    values, counts, rows, columns = [], [], [], []
    height = layer.pattern.rows if isinstance(layer.pattern, Block) else 1
    for first in range(0, layer.c_out, height):
        (block_columns,) = np.nonzero(stored[first])
        values.append(weight[first : first + height, block_columns].T.ravel())
        counts.append(block_columns.size)
        rows.append(np.full(block_columns.size, first))
        columns.append(block_columns)
    values = np.concatenate(values).astype("<f4")
    steps = column_steps(np.concatenate(rows), np.concatenate(columns))
    return values.size, (values.tobytes(), bias, np.array(counts, "<u4").tobytes(), steps.tobytes())


def column_steps(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Codes columns as steps of one byte, 255 for a long way without a nonzero.

    Args:
        rows, columns: [K] of the nonzeros (or blocks), row by row with ascending columns.

    Returns:
        uint8 [at least K].

    >>> column_steps(np.array([0, 0, 0]), np.array([3, 4, 600])).tolist()
    [3, 1, 255, 255, 86]
    """
    steps = columns.copy()
    follows = rows[1:] == rows[:-1]
    steps[1:][follows] -= columns[:-1][follows]
    ends = np.cumsum(steps // 255 + 1)
    coded = np.full(ends[-1] if ends.size else 0, 255, np.uint8)
    coded[ends - 1] = steps % 255
    return coded
