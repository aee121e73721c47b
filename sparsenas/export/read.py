"""A network back from its model file: what `sparsenas.export.snas` writes; docs/format.md describes it."""

from itertools import accumulate
from pathlib import Path

import numpy as np

from sparsenas import native
from sparsenas.export.network import LayerWeights, Network
from sparsenas.export.snas import (
    ACTIVATIONS,
    HALF_WEIGHTS,
    HEADER,
    LAYER,
    NIBBLE_SKIP,
    NIBBLE_STEPS,
    OPS,
    PATTERNS,
    SHORT_COUNTS,
    SKIP,
)
from sparsenas.space import Layer, usual_padding
from sparsenas.sparsity.patterns import DENSE, Block, NByM
from sparsenas.sparsity.patterns import PATTERNS as BY_NAME

_OP_NAMES, _PATTERN_NAMES, _ACTIVATION_NAMES = (
    {number: name for name, number in table.items()} for table in (OPS, PATTERNS, ACTIVATIONS)
)


def read(path: Path) -> Network:
    """Reads a model file, also a compressed one (gzip).

    Raises:
        UserError: where it cannot be read or is not a sound model.
    """
    return from_bytes(native.expanded(path), name=str(path))


def from_bytes(data: bytes, *, name: str = "bytes") -> Network:
    """Returns the network of a model file.

    Fractions of zeros are those that the file has, patterns those that it says; a tuning section is left out.

    Args:
        name: stands for the file in errors.

    Raises:
        UserError: where it is not a sound model.
    """
    # Checks every number of the file, so that nothing below needs to.
    model = native.Model.from_bytes(data, name=name)
    count = len(model.layers)
    records = (LAYER.unpack_from(data, HEADER.size + LAYER.size * i) for i in range(count))
    parts = [
        _layer(data, record, planned.name) for record, planned in zip(records, model.layers, strict=True)
    ]
    layers, weights = zip(*parts, strict=True)
    return Network(layers=layers, weights=weights, classes=model.classes, image=model.image)


def _layer(data: bytes, record: tuple[int, ...], name: str) -> tuple[Layer, LayerWeights | None]:
    op, pattern, activation, input_count, *inputs = record[:6]
    c_in, c_out, height, width, kernel, stride, nonzeros, *blobs, padding, packing = record[6:]
    weight, bias, counts, columns = (
        data[offset : offset + size] for offset, size in zip(blobs[::2], blobs[1::2], strict=True)
    )
    kept = BY_NAME[_PATTERN_NAMES[pattern]]
    layer = Layer(
        name=name,
        op=_OP_NAMES[op],
        inputs=tuple(inputs[:input_count]),
        c_in=c_in,
        c_out=c_out,
        height=height,
        width=width,
        kernel=kernel,
        stride=stride,
        pad=None if padding == usual_padding(kernel) else padding,
        activation=_ACTIVATION_NAMES[activation],
        pattern=kept,
    )
    if layer.weight_shape is None:
        return layer, None
    stored_as = "<f2" if packing & HALF_WEIGHTS else "<f4"
    values, biases = (np.frombuffer(blob, stored_as).astype(np.float32) for blob in (weight, bias))
    if kept == DENSE.pattern:
        return layer, LayerWeights(values.reshape(layer.weight_shape), biases)
    rows = kept.rows if isinstance(kept, Block) else 1
    full = np.zeros((c_out, int(np.prod(layer.weight_shape[1:]))), np.float32)
    lengths = np.frombuffer(counts, "<u2" if packing & SHORT_COUNTS else "<u4")
    _place(full, values, lengths, _reached(np.frombuffer(columns, np.uint8), packing), rows)
    zeros = 1 - nonzeros / full.size
    if isinstance(kept, NByM):  # Where inputs are no multiple of m, a little more is held.
        zeros = 1 - kept.n / kept.m
    sparse = Layer(**{**vars(layer), "sparsity": zeros})
    return sparse, LayerWeights(full.reshape(layer.weight_shape), biases)


def _reached(coded: np.ndarray, packing: int) -> np.ndarray:
    """Returns where each step that places a weight leads, all rows in one: int64 [at least K]."""
    if packing & NIBBLE_STEPS:
        coded, skip = np.stack([coded & NIBBLE_SKIP, coded >> 4], axis=1).ravel(), NIBBLE_SKIP
    else:
        skip = SKIP
    return np.cumsum(coded, dtype=np.int64)[coded != skip]


def _place(full: np.ndarray, values: np.ndarray, counts: np.ndarray, reached: np.ndarray, rows: int) -> None:
    """Puts stored weights where they belong.

    Args:
        full: [D, columns], all 0; changed.
        values: [K], block by block, each from its first output channel to its last.
        counts: [blocks of rows] of stored columns.
        reached: as steps of columns lead there, each row beginning where the one before it ended.
        rows: output channels of a block.
    """
    ends = list(accumulate(counts.tolist()))
    before, first = 0, 0
    for band, end in enumerate(ends):
        # A row starts at column 0, where the one before it ended.
        columns = reached[first:end] - before
        before = int(reached[end - 1]) if end else 0
        top = band * rows
        height = min(rows, len(full) - top)
        taken = values[: columns.size * height]
        values = values[columns.size * height :]
        full[top : top + height, columns] = taken.reshape(-1, height).T
        first = end
