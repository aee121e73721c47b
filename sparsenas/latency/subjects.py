"""Model files to time: copies of one layer, or a whole network, with random weights."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sparsenas.export.network import random_network
from sparsenas.export.snas import to_bytes
from sparsenas.space import IMAGE, Layer

# Copies of a layer in the model that times it: enough that their weights together outgrow the first-level
# cache, as a network's do, and not so many that they outgrow the second or take long to make.
_COPIES = 4
_ALL_COPIES_BYTES = 2**19


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model file and how often it holds what is timed; the kernel is that of its last layer."""

    model: bytes
    copies: int


def layer_subject(layer: Layer, *, seed: int, copies: int | None = None) -> Subject:
    """Returns a model of copies of a layer, whose weights differ.

    Args:
        copies: as many as go into half a megabyte, at most four, where left out.
    """
    if copies is None:
        copies = max(1, min(_COPIES, _ALL_COPIES_BYTES // max(1, 4 * layer.nonzeros)))
    first, inputs = [], (IMAGE,) * (2 if layer.op in ("add", "multiply") else 1)
    if layer.op == "multiply" and layer.height * layer.width > 1:
        # Its other factor is one number for each channel, as in squeeze-and-excite: here a pixel of the
        # image, as nothing else makes one as fast.
        side = max(layer.height, layer.width)
        point = Layer(
            name="point", op="max_pool", inputs=(IMAGE,), c_in=layer.c_in, c_out=layer.c_in,
            height=layer.height, width=layer.width, kernel=1, stride=side,
        )  # fmt: skip
        first, inputs = [point], (IMAGE, 0)
    layers = [replace(layer, name=f"copy{i}", inputs=inputs) for i in range(copies)]
    return Subject(model=to_bytes(random_network([*first, *layers], seed=seed)), copies=copies)


def network_subject(layers: Sequence[Layer], *, seed: int) -> Subject:
    """Returns a model of a whole network."""
    return Subject(model=to_bytes(random_network(layers, seed=seed)), copies=1)
