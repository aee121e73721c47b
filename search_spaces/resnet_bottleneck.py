"""ResNet of bottlenecks (He et al., 2016, https://arxiv.org/abs/1512.03385), the family of ResNet-50.

Version 1.5, where the 3x3 convolution has the stride. Width and depth of four stages and the zeros of every
convolution but the first; a stage gives out four times its width. The first of the five strides are 1 until
four pixels a side are left at the end: for a side of 32 those of the stem, which then is 3x3 without a pool.
"""

from functools import partial

from sparsenas.blocks import (
    EIGHTFOLD,
    halvings,
    kernel_levels,
    pointwise_levels,
    residual_stem,
    shortcut,
    unstructured_levels,
)
from sparsenas.builder import Builder, Tensor
from sparsenas.dims import Dim, scaled
from sparsenas.space import Space
from sparsenas.sparsity.patterns import KernelPattern, Sparse

MULTIPLIERS = (0.5, 0.75, 1.0)
WIDTHS = (64, 128, 256, 512)
DEPTHS = (3, 4, 6, 3)
# Channels out over those of the 3x3 convolution.
EXPANSION = 4


def make(side: int) -> Space:
    """Returns the space for images of side x side pixels."""
    net = Builder("resnet_bottleneck", image=(side, side, 3), classes=1000)
    strides = halvings(side, 5)
    x = residual_stem(net, net.choice("stem.width", [scaled(64, m) for m in MULTIPLIERS]), strides[:2])
    for i, (channels, most, stride) in enumerate(zip(WIDTHS, DEPTHS, (1, *strides[2:]), strict=True), 1):
        width = net.choice(f"stage{i}.width", [scaled(channels, m) for m in MULTIPLIERS])
        depth = net.choice(f"stage{i}.depth", range(1, most + 1))
        x = block(net, f"stage{i}.block1", x, width, stride=stride)
        for j in range(2, most + 1):
            x = net.optional(depth >= j, x, partial(block, net, f"stage{i}.block{j}", width=width))
    return net.classify(x, references={"resnet50": {}, "resnet50-pattern": pattern()})


def block(net: Builder, name: str, x: Tensor, width: Dim, *, stride: int = 1) -> Tensor:
    """Adds a 3x3 convolution between two 1x1 ones, and the block's input."""
    levels = pointwise_levels(EIGHTFOLD)
    reduce = net.choice(f"{name}.reduce.sparsity", levels)
    conv = net.choice(f"{name}.conv.sparsity", kernel_levels())
    expand = net.choice(f"{name}.expand.sparsity", levels)
    y = net.conv1x1(f"{name}.reduce", x, width, activation="relu", sparsity=reduce)
    y = net.conv(f"{name}.conv", y, width, stride=stride, activation="relu", sparsity=conv)
    y = net.conv1x1(f"{name}.expand", y, width * EXPANSION, sparsity=expand)
    if not x.channels.equals(y.channels):
        # No blocks: a 1x1 convolution with a stride is a `conv`, which has none.
        sparsity = net.choice(f"{name}.shortcut.sparsity", unstructured_levels())
        x = shortcut(net, f"{name}.shortcut", x, width * EXPANSION, stride=stride, sparsity=sparsity)
    return net.add(f"{name}.add", x, y, activation="relu")


def pattern() -> dict[str, object]:
    """Returns an eighth of the weights, in kernel patterns (Ma et al., 2020,
    https://arxiv.org/abs/1909.05073), of 1x1 convolutions unstructured."""
    options: dict[str, object] = {}
    for i, most in enumerate(DEPTHS, 1):
        options[f"stage{i}.block1.shortcut.sparsity"] = Sparse(EIGHTFOLD)
        for j in range(1, most + 1):
            at = f"stage{i}.block{j}"
            options[f"{at}.conv.sparsity"] = Sparse(EIGHTFOLD, KernelPattern())
            options |= {f"{at}.{layer}.sparsity": Sparse(EIGHTFOLD) for layer in ("reduce", "expand")}
    return options


SPACE = make(224)
