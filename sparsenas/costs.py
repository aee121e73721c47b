"""What layers add up to beside latency, known of every architecture of a space without training it."""

from collections.abc import Callable

from sparsenas.export.snas import ALIGNMENT, HEADER, LAYER
from sparsenas.latency.tabulate import Tabulated, tabulate
from sparsenas.space import Layer, Space
from sparsenas.sparsity.patterns import Block

_FLOAT = _COUNT = 4


def file_bytes(layer: Layer) -> int:
    """Returns about what a layer adds to a model file, before it is tuned for a machine.

    Exact but for its name and for the rare zeros that a step of one byte cannot pass over.
    """
    if layer.weight_shape is None:
        return LAYER.size
    total = LAYER.size + _aligned(_FLOAT * layer.nonzeros) + _aligned(_FLOAT * layer.c_out)
    if layer.sparsity:
        height = layer.pattern.rows if isinstance(layer.pattern, Block) else 1
        total += _aligned(_COUNT * (layer.c_out // height)) + _aligned(layer.nonzeros // height)
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
