"""ResNet of basic blocks (He et al., 2016, https://arxiv.org/abs/1512.03385), the family of ResNet-18.

Width and depth of four stages and the zeros of every 3x3 convolution. A residual joins the stem and the first
stage, so that they share a width; where later stages begin, a 1x1 convolution changes it. The first of the
five strides are 1 until four pixels a side are left at the end: for a side of 32 those of the stem, which
then is 3x3 without a pool.
"""

from functools import partial

from sparsenas.blocks import EIGHTFOLD, halvings, kernel_levels, residual_stem, shortcut
from sparsenas.builder import Builder, Tensor
from sparsenas.dims import Dim, scaled
from sparsenas.space import Space
from sparsenas.sparsity.patterns import DENSE, KernelPattern, Sparse

MULTIPLIERS = (0.125, 0.25, 0.5, 0.75, 1.0)
WIDTHS = (64, 128, 256, 512)
DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}


def make(side: int) -> Space:
    """Returns the space for images of side x side pixels."""
    net = Builder("resnet", image=(side, side, 3), classes=1000)
    strides = halvings(side, 5)
    width = net.choice("stage1.width", [scaled(WIDTHS[0], m) for m in MULTIPLIERS])
    x = residual_stem(net, width, strides[:2])
    for i, (channels, most, stride) in enumerate(
        zip(WIDTHS, DEPTHS["resnet34"], (1, *strides[2:]), strict=True), 1
    ):
        if i > 1:
            width = net.choice(f"stage{i}.width", [scaled(channels, m) for m in MULTIPLIERS])
        depth = net.choice(f"stage{i}.depth", range(1, most + 1))
        x = block(net, f"stage{i}.block1", x, width, stride=stride)
        for j in range(2, most + 1):
            x = net.optional(depth >= j, x, partial(block, net, f"stage{i}.block{j}", width=width))
    return net.classify(x, references=references())


def block(net: Builder, name: str, x: Tensor, width: Dim, *, stride: int = 1) -> Tensor:
    """Adds two 3x3 convolutions and the block's input."""
    first, second = (net.choice(f"{name}.conv{i}.sparsity", kernel_levels()) for i in (1, 2))
    y = net.conv(f"{name}.conv1", x, width, stride=stride, activation="relu", sparsity=first)
    y = net.conv(f"{name}.conv2", y, width, sparsity=second)
    if not x.channels.equals(width):
        x = shortcut(net, f"{name}.shortcut", x, width, stride=stride, sparsity=DENSE)
    return net.add(f"{name}.add", x, y, activation="relu")


def references() -> dict[str, dict[str, object]]:
    """Returns the dense networks, and one with an eighth of its weights (Ma et al., 2020,
    https://arxiv.org/abs/1909.05073)."""
    found: dict[str, dict[str, object]] = {
        name: {f"stage{i}.depth": depth for i, depth in enumerate(depths, 1)}
        for name, depths in DEPTHS.items()
    }
    pattern = Sparse(EIGHTFOLD, KernelPattern())
    found["resnet18-pattern"] = found["resnet18"] | {
        f"stage{i}.block{j}.conv{k}.sparsity": pattern
        for i, most in enumerate(DEPTHS["resnet34"], 1)
        for j in range(1, most + 1)
        for k in (1, 2)
    }
    return found


SPACE = make(224)
