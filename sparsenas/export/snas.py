"""The model file of the native runtime; docs/format.md describes it byte by byte."""

import os
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np

from sparsenas.errors import UserError
from sparsenas.export.half import halved
from sparsenas.export.network import LayerWeights, Network, stored_weights
from sparsenas.space import IMAGE, Layer, misplaced
from sparsenas.sparsity.patterns import Block

# A file has the oldest version that says all that it holds.
VERSION, VERSION_OF_PACKING = 1, 3
# Bits that say how a layer takes less room.
HALF_WEIGHTS, SHORT_COUNTS, NIBBLE_STEPS = 1, 2, 4
# A step that places nothing.
SKIP, NIBBLE_SKIP = 255, 15
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


def to_bytes(network: Network, *, float16: bool = False) -> bytes:
    """Returns the model file of a network.

    Args:
        float16: weights and biases are rounded to half precision (`sparsenas.export.half`) and stored so; the
            runtime widens them when it reads the file and computes in float32.

    Raises:
        UserError: where the format cannot say what the network is, or float16 cannot hold a weight.
    """
    if float16:
        network = halved(network)
    strings = b"".join(map(_string, (*(layer.name for layer in network.layers), *network.classes)))
    data = bytearray(HEADER.size + LAYER.size * len(network.layers))
    strings_offset = len(data)
    data += strings
    packed = False
    for i, (layer, weights) in enumerate(zip(network.layers, network.weights, strict=True)):
        nonzeros, packing, blobs = _blobs(layer, weights, float16=float16)
        packed = packed or bool(packing)
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
            packing,
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
    version = VERSION_OF_PACKING if packed else VERSION
    HEADER.pack_into(data, 0, b"SNAS", version, len(data), 0, *header)
    checksum = zlib.crc32(memoryview(data)[CHECKSUM_END:])
    HEADER.pack_into(data, 0, b"SNAS", version, len(data), checksum, *header)
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


def _blobs(
    layer: Layer, weights: LayerWeights | None, *, float16: bool
) -> tuple[int, int, tuple[bytes, ...]]:
    """Returns the number of stored weights, their packing, and the blobs weight, bias, counts and columns."""
    if weights is None:
        return 0, 0, (b"", b"", b"", b"")
    packing, stored_as = (HALF_WEIGHTS, "<f2") if float16 else (0, "<f4")
    bias = weights.bias.astype(stored_as).tobytes()
    if layer.pattern.name == "dense":
        return weights.weight.size, packing, (weights.weight.astype(stored_as).tobytes(), bias, b"", b"")
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
    values = np.concatenate(values).astype(stored_as)
    rows, columns = np.concatenate(rows), np.concatenate(columns)
    lengths, steps = np.array(counts, "<u4").tobytes(), column_steps(rows, columns).tobytes()
    if max(counts) < 1 << 16:
        lengths, packing = _smaller(lengths, np.array(counts, "<u2").tobytes(), packing, SHORT_COUNTS)
    narrow = nibbles(column_steps(rows, columns, skip=NIBBLE_SKIP))
    steps, packing = _smaller(steps, narrow.tobytes(), packing, NIBBLE_STEPS)
    return values.size, packing, (values.tobytes(), bias, lengths, steps)


def _smaller(plain: bytes, packed: bytes, packing: int, bit: int) -> tuple[bytes, int]:
    """Returns the blob that takes less room in the file, and the packing with its bit where that is it."""
    plain_room, packed_room = (-(-len(blob) // ALIGNMENT) for blob in (plain, packed))
    return (packed, packing | bit) if packed_room < plain_room else (plain, packing)


def column_steps(rows: np.ndarray, columns: np.ndarray, *, skip: int = SKIP) -> np.ndarray:
    """Codes columns as steps, the largest for a long way without a nonzero.

    Args:
        rows, columns: [K] of the nonzeros (or blocks), row by row with ascending columns.
        skip: the largest step, which places nothing.

    Returns:
        uint8 [at least K].

    >>> column_steps(np.array([0, 0, 0]), np.array([3, 4, 600])).tolist()
    [3, 1, 255, 255, 86]
    """
    steps = columns.copy()
    follows = rows[1:] == rows[:-1]
    steps[1:][follows] -= columns[:-1][follows]
    ends = np.cumsum(steps // skip + 1)
    coded = np.full(ends[-1] if ends.size else 0, skip, np.uint8)
    coded[ends - 1] = steps % skip
    return coded


def nibbles(steps: np.ndarray) -> np.ndarray:
    """Returns two steps in each byte, the first one in its lower half; a last one alone has 0 beside it.

    >>> nibbles(np.array([3, 1, 15], np.uint8)).tolist()
    [19, 15]
    """
    even = np.append(steps, np.zeros(steps.size % 2, np.uint8))
    return even[::2] | even[1::2] << 4
