"""Few enough networks that every one can be trained: width, sparsity and pattern on 8x8 images.

`sparsenas bench table` trains and measures all of them, for searches to be compared on.
"""

from sparsenas.builder import Builder
from sparsenas.space import Space
from sparsenas.sparsity.patterns import DENSE, Block, Sparse

LEVELS = (DENSE, Sparse(0.7), Sparse(0.8, Block(4)), Sparse(0.9))


def make(side: int) -> Space:
    """Returns the space for images of side x side pixels, ten classes."""
    net = Builder("grid", image=(side, side, 3), classes=10)
    x = net.conv_hwc("stem", net.image, 16, activation="relu6")
    widths = (net.choice("width1", (16, 24, 32)), net.choice("width2", (32, 48, 64)), 64)
    for i, (width, stride) in enumerate(zip(widths, (1, 2, 1), strict=True), 1):
        zeros = net.choice(f"mix{i}.sparsity", LEVELS)
        x = net.conv1x1(f"mix{i}", x, width, activation="relu6", sparsity=zeros)
        x = net.depthwise(f"filter{i}", x, stride=stride, activation="relu6")
    return net.classify(x)


SPACE = make(8)
