"""What layers add up to beside latency, known of every architecture of a space without training it."""

import math
from collections.abc import Callable

from sparsenas.export.snas import ALIGNMENT, HEADER, LAYER, NIBBLE_SKIP, SKIP
from sparsenas.latency.tabulate import Tabulated, tabulate
from sparsenas.space import Layer, Space
from sparsenas.sparsity.patterns import Block

_FLOAT, _COUNT = 4, 2


def file_bytes(layer: Layer) -> int:
    """Returns about what a layer adds to a model file, before it is tuned for a machine.

    Exact but for its name, and for steps of columns, whose number is that of zeros anywhere: of a fraction
    s of zeros, s^w stretches are w or longer and take a step of their own.
    """
    if layer.weight_shape is None:
        return LAYER.size
    total = LAYER.size + _aligned(_FLOAT * layer.nonzeros) + _aligned(_FLOAT * layer.c_out)
    if layer.sparsity:
        height = layer.pattern.rows if isinstance(layer.pattern, Block) else 1
        rows, blocks = -(-layer.c_out // height), layer.nonzeros // height
        total += _aligned(_COUNT * rows)
        total += min(
            _aligned(math.ceil(blocks * size / (1 - layer.sparsity**skip)))
            for size, skip in ((1, SKIP), (0.5, NIBBLE_SKIP))
        )
    return total


COSTS: dict[str, tuple[Callable[[Layer], float], float]] = {
    "macs": (lambda layer: layer.macs, 0.0),
    "parameters": (lambda layer: layer.parameters, 0.0),
    "file_bytes": (file_bytes, float(HEADER.size)),
}
"""Of a layer, and what every network has on top."""


def cost_of(space: Space, name: str) -> Tabulated:
    """Returns one of `COSTS` of every architecture."""
    cost, fixed = COSTS[name]
    return tabulate(space, cost, fixed=fixed)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
