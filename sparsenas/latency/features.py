"""What a layer's time is made of, counted: vectors of multiply-adds, loops, bytes, and where it lies.

A kernel takes pixels in vectors and vectors in tiles, and goes through the weights it holds once for each
tile. So a layer's time is about

    us = sum_t cost[t] * terms[t],    cost >= 0

and no term falls when weights are added: neither does the time.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsenas.space import POOLS, Layer

_LANES = {"avx512": 16, "avx2": 8, "neon": 4, "wasm128": 4, "wasm_relaxed": 4, "scalar": 1}
# Vectors of pixels in a tile, about: what the registers hold.
_WIDEST = {"avx512": 8, "avx2": 10, "neon": 16, "wasm128": 7, "wasm_relaxed": 7, "scalar": 12}
# Activations that are more than two comparisons: exponentials, and products.
_EXPONENTIALS = ("swish", "sigmoid")
_PRODUCTS = ("hard_swish", "hard_sigmoid")
_L2_BYTES = 1 << 20
# Output channels that dense kernels compute together.
_GROUP = 8


@dataclass(frozen=True)
class Core:
    """What the kernels' loops depend on: numbers in a vector, vectors in a tile, size of the caches."""

    lanes: int
    widest: int
    l1_bytes: int
    l2_bytes: int

    @classmethod
    def of(cls, machine: Mapping[str, Any]) -> "Core":
        """Reads a table's description of its machine; what it does not tell is taken to be usual."""
        isa = str(machine.get("isa", "scalar"))
        return cls(
            _LANES.get(isa, 4),
            _WIDEST.get(isa, 8),
            int(machine.get("l1d_bytes") or 32 << 10),
            int(machine.get("l2_bytes") or _L2_BYTES),
        )


@dataclass(frozen=True)
class Shape:
    """Counts of a layer that do not depend on its zeros."""

    vectors: float
    tiles: int
    in_vectors: int
    in_bytes: int
    out_bytes: int

    @classmethod
    def of(cls, layer: Layer, core: Core) -> "Shape":
        if layer.op in ("depthwise", "conv_hwc", *POOLS):
            vectors = layer.out_height * math.ceil(layer.out_width / core.lanes)
            if layer.op == "depthwise" and core.lanes == 16 and layer.out_width <= 8:
                vectors /= 2  # A vector of two planes.
        else:  # Planes without gaps, or panels that pixels are gathered in: rows of pixels run on.
            vectors = math.ceil(layer.out_height * layer.out_width / core.lanes)
        pixels = layer.height * layer.width
        inputs = 2 if layer.op == "add" else 1
        return cls(
            vectors=vectors,
            tiles=math.ceil(vectors / core.widest),
            in_vectors=math.ceil(pixels / core.lanes),
            in_bytes=4 * inputs * layer.c_in * pixels,
            out_bytes=4 * layer.c_out * layer.out_height * layer.out_width,
        )


def weights_of(layer: Layer) -> int:
    """Returns how many weights a layer has with its zeros; 0 where it has none."""
    return math.prod(layer.weight_shape) if layer.weight_shape else 0


def terms(layer: Layer, held: np.ndarray, core: Core) -> np.ndarray:
    """Returns the counts [N, T] of a layer with N numbers of weights held, each in about a microsecond.

    Args:
        held: [N], weights that are not left out.
    """
    s = Shape.of(layer, core)
    held = np.asarray(held, float)
    one = np.ones_like(held)
    weight_bytes = 4 * held
    weighted = layer.op in ("conv1x1", "conv", "fully_connected")
    columns = [
        one,
        held * s.vectors / 1e4,  # Multiply-adds.
        held * s.tiles / 1e4,  # A weight and where its input is, loaded for every tile.
        held / 1e4,  # Weights from beyond the first cache.
        np.maximum(0, weight_bytes - core.l2_bytes / 2) / 1e5,
        one * layer.c_out * s.tiles / 1e3,  # The end of a row's loop.
        one * layer.c_out * s.vectors / 1e4,  # Stores.
        one * layer.c_in * s.in_vectors / 1e4,  # Loads.
        one * max(0, s.in_bytes + s.out_bytes - core.l1_bytes) / 1e5,
        one * max(0, s.in_bytes + s.out_bytes - core.l2_bytes) / 1e5,
        # An activation goes over each row once more.
        one * (layer.activation in _EXPONENTIALS) * layer.c_out * s.vectors / 1e3,
        one * (layer.activation in _EXPONENTIALS) * layer.c_out / 1e3,
        one * (layer.activation in _PRODUCTS) * layer.c_out * s.vectors / 1e3,
        one * (layer.activation in _PRODUCTS) * layer.c_out / 1e3,
        # Windows: pixels gathered for all filters, maxima and means; every other pixel takes longer.
        one * (layer.op == "conv") * layer.c_in * layer.kernel**2 * s.vectors / 1e4,
        one * (layer.op in POOLS) * layer.c_out * layer.kernel**2 * s.vectors / 1e4,
        # Rows of a group of output channels that are not there.
        one * weighted * (-layer.c_out % _GROUP) * layer.c_in * layer.kernel**2 * s.vectors / 1e4,
        one * (layer.stride > 1) * layer.c_in * layer.kernel**2 * s.vectors / 1e4,
        one * max(layer.c_in, layer.c_out) / 1e3,  # A loop for every channel.
    ]
    return np.stack(columns, axis=1)


def place(layer: Layer, held: np.ndarray, core: Core) -> np.ndarray:
    """Returns where layers with N numbers of weights lie [N, F]; near layers are off in the same way.

    Sizes are logarithms, so that twice as many channels are one step whatever their number. How far a step of
    each is was chosen by leave-one-out errors of layers on a Zen 5 core.
    """
    s = Shape.of(layer, core)
    all_weights = max(weights_of(layer), 1)
    pixels = layer.out_height * layer.out_width
    # How full the vectors are, and the tiles: 49 pixels are 3 vectors of 16 and one pixel.
    full = pixels / (s.vectors * core.lanes)
    fixed = [
        1.6 * math.log2(layer.c_in),
        0.6 * math.log2(layer.c_out),
        math.log2(pixels),
        8 * full,
        2 * math.log2(s.vectors / s.tiles),
        0.3 * math.log2(max(1, s.vectors)),
        1.6 * layer.kernel,
        layer.stride * 2.0,
        5.0 * (layer.activation in _EXPONENTIALS),
        1.5 * (layer.activation in _PRODUCTS),
        0.3 * (layer.activation != "none"),
    ]
    held = np.maximum(np.asarray(held, float), 0.5)
    columns = [np.full(held.shape, value) for value in fixed]
    columns += [0.9 * np.log2(held / all_weights) if weights_of(layer) else np.zeros_like(held)]
    columns += [0.7 * np.log2(held * 4 / core.l2_bytes + 0.1)]
    return np.stack(columns, axis=1)
