"""Inverted residuals on 32x32 images in three stages, each with half the pixels a side of the one before.

A weight of a late stage meets fewer pixels than one of an early stage and is cheaper, so that it pays to
have other zeros there. Width and depth of three stages, and how sparse every 1x1 convolution is, from not at
all. Strides are the same for every side.
"""

from functools import partial

from sparsenas.blocks import inverted_residual
from sparsenas.builder import Builder, Tensor
from sparsenas.dims import Dim
from sparsenas.space import Space
from sparsenas.sparsity.patterns import DENSE, Sparse

LEVELS = (DENSE, Sparse(0.7), Sparse(0.8), Sparse(0.9), Sparse(0.95))
# Widths and stride of each stage.
STAGES = (((16, 24), 1), ((32, 48, 64), 2), ((64, 96, 128), 2))


def make(side: int) -> Space:
    """Returns the space for images of side x side pixels, ten classes."""
    net = Builder("small", image=(side, side, 3), classes=10)
    x = net.conv_hwc("stem", net.image, 16, stride=2, activation="relu6")
    for i, (widths, stride) in enumerate(STAGES, 1):
        x = stage(net, f"stage{i}", x, widths=widths, stride=stride)
    return net.classify(x)


def stage(net: Builder, name: str, x: Tensor, *, widths: tuple[int, ...], stride: int) -> Tensor:
    """Adds one or two blocks of one width."""
    width = net.choice(f"{name}.width", widths)
    depth = net.choice(f"{name}.depth", (1, 2))
    x = block(net, f"{name}.block1", x, width, stride=stride)
    return net.optional(depth >= 2, x, partial(block, net, f"{name}.block2", width=width))


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
