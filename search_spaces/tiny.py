"""Inverted residuals on 32x32 images, small enough to search in two minutes on a laptop.

Width and depth of two stages, and how sparse every 1x1 convolution is. Strides are the same for every side.
"""

from functools import partial

from sparsenas.blocks import inverted_residual
from sparsenas.builder import Builder, Tensor
from sparsenas.dims import Dim
from sparsenas.space import Space
from sparsenas.sparsity.patterns import Sparse

LEVELS = (Sparse(0.7), Sparse(0.8), Sparse(0.9), Sparse(0.95))


def make(side: int) -> Space:
    """Returns the space for images of side x side pixels, ten classes."""
    net = Builder("tiny", image=(side, side, 3), classes=10)
    x = net.conv_hwc("stem", net.image, 16, stride=2, activation="relu6")
    x = stage(net, "stage1", x, widths=(16, 24, 32), most=2)
    x = stage(net, "stage2", x, widths=(32, 48, 64), most=3, stride=2)
    return net.classify(x)


def stage(
    net: Builder, name: str, x: Tensor, *, widths: tuple[int, ...], most: int, stride: int = 1
) -> Tensor:
    """Adds one to `most` blocks of one width."""
    width = net.choice(f"{name}.width", widths)
    depth = net.choice(f"{name}.depth", range(1, most + 1))
    x = block(net, f"{name}.block1", x, width, stride=stride)
    for i in range(2, most + 1):
        x = net.optional(depth >= i, x, partial(block, net, f"{name}.block{i}", width=width))
    return x


def block(net: Builder, name: str, x: Tensor, width: Dim, *, stride: int = 1) -> Tensor:
    return inverted_residual(
        net,
        name,
        x,
        width,
        expansion=4,
        stride=stride,
        expand_sparsity=net.choice(f"{name}.expand.sparsity", LEVELS),
        project_sparsity=net.choice(f"{name}.project.sparsity", LEVELS),
    )


SPACE = make(32)
