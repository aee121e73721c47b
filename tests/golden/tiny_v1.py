"""Wrote tiny_v1.snas, with one image and its outputs: an example of every operator of version 1.

A golden file is never written again: it shows that files of old versions can still be read. A new version
of the format gets a new one. Run from the repository root: `python tests/golden/tiny_v1.py`.
"""

from pathlib import Path

import numpy as np

from sparsenas.export.network import Network, random_network, reference
from sparsenas.export.snas import to_bytes
from sparsenas.space import IMAGE, Layer
from sparsenas.sparsity.patterns import DENSE, Block, KernelPattern, NByM, Sparse


def network() -> Network:
    """Returns a network with every operator, pattern and activation.

    It is so wide at its end that columns need long steps, and blocks and groups are left over.
    """
    rows = (
        # name, op, inputs, c_in, c_out, height, width, kernel, stride, activation, sparsity
        ("stem", "conv_hwc", (IMAGE,), 3, 8, 9, 7, 3, 1, "relu6", DENSE),
        ("expand", "conv1x1", (0,), 8, 12, 9, 7, 1, 1, "relu", Sparse(0.5)),
        ("filter", "depthwise", (1,), 12, 12, 9, 7, 3, 1, "hard_swish", DENSE),
        ("project", "conv1x1", (2,), 12, 8, 9, 7, 1, 1, "none", DENSE),
        ("join", "add", (0, 3), 8, 8, 9, 7, 1, 1, "relu", DENSE),
        ("peak", "max_pool", (4,), 8, 8, 9, 7, 3, 1, "none", DENSE),
        ("shrink", "depthwise", (5,), 8, 8, 9, 7, 3, 2, "none", DENSE),
        ("direct", "conv", (6,), 8, 6, 5, 4, 3, 1, "swish", Sparse(0.7)),
        ("kernels", "conv", (7,), 6, 7, 5, 4, 3, 1, "relu", Sparse(0.8, KernelPattern())),
        ("full", "conv", (8,), 7, 5, 5, 4, 3, 1, "sigmoid", DENSE),
        ("smooth", "average_pool", (9,), 5, 5, 5, 4, 3, 1, "none", DENSE),
        ("halve", "max_pool", (10,), 5, 5, 5, 4, 2, 3, "none", DENSE),
        ("pairs", "conv1x1", (11,), 5, 13, 2, 2, 1, 1, "relu6", Sparse(0.5, Block(2))),
        ("widen", "conv1x1", (12,), 13, 262, 2, 2, 1, 1, "none", Sparse(0.9, Block(4))),
        ("squeeze", "global_average_pool", (13,), 262, 262, 2, 2, 1, 1, "none", DENSE),
        ("reduce", "fully_connected", (14,), 262, 3, 1, 1, 1, 1, "relu", Sparse(0.5, NByM(2, 4))),
        ("excite", "fully_connected", (15,), 3, 262, 1, 1, 1, 1, "hard_sigmoid", Sparse(0.5, Block(4))),
        ("scale", "multiply", (13, 16), 262, 262, 2, 2, 1, 1, "none", DENSE),
        ("pool", "global_average_pool", (17,), 262, 262, 2, 2, 1, 1, "none", DENSE),
        ("gather", "fully_connected", (18,), 262, 6, 1, 1, 1, 1, "none", Sparse(0.994)),
        ("flatten", "fully_connected", (12,), 13, 6, 2, 2, 1, 1, "none", Sparse(0.3)),
        ("both", "add", (19, 20), 6, 6, 1, 1, 1, 1, "relu", DENSE),
        ("classifier", "fully_connected", (21,), 6, 5, 1, 1, 1, 1, "none", DENSE),
    )
    names = ("name", "op", "inputs", "c_in", "c_out", "height", "width", "kernel", "stride", "activation")
    layers = [
        Layer(
            **dict(zip(names, row, strict=False)),
            pad=1 if row[0] == "halve" else None,
            pattern=row[-1].pattern,
            sparsity=row[-1].fraction,
        )
        for row in rows
    ]
    return random_network(layers, seed=29, classes=["cat", "dog", "Kuh", "canapé", "魚"])


def main() -> None:
    folder = Path(__file__).parent
    made = network()
    image = np.random.default_rng(2).random((1, *made.image), np.float32)
    for name, data in (
        ("tiny_v1.snas", to_bytes(made)),
        ("tiny_v1.image.f32", image.astype("<f4").tobytes()),
        ("tiny_v1.outputs.f32", reference(made, image).astype("<f4").tobytes()),
    ):
        with open(folder / name, "xb") as file:
            file.write(data)


if __name__ == "__main__":
    main()
