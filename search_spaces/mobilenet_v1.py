"""MobileNet v1 (Howard et al., 2017, https://arxiv.org/abs/1704.04861): a filter for every channel and a 1x1
convolution, over and over.

Width and depth of five stages; the filter's kernel and the zeros of the 1x1 convolution of every block. The
first of the five strides are 1 until four pixels a side are left at the end: two of them for a side of 32.
"""

from functools import partial

from sparsenas.blocks import choice, halvings, pointwise_levels
from sparsenas.builder import Builder, Tensor
from sparsenas.dims import Dim, scaled
from sparsenas.space import Space
from sparsenas.sparsity.patterns import Block, Sparse

MULTIPLIERS = (0.25, 0.5, 0.75, 1.0)
# Output channels and blocks of each stage; each but the first halves the image.
STAGES = ((64, 1), (128, 2), (256, 2), (512, 6), (1024, 2))


def make(side: int) -> Space:
    """Returns the space for images of side x side pixels."""
    net = Builder("mobilenet_v1", image=(side, side, 3), classes=1000)
    first, *strides = halvings(side, len(STAGES))
    stem = net.choice("stem.width", [scaled(32, m) for m in MULTIPLIERS])
    x = net.conv_hwc("stem", net.image, stem, stride=first, activation="relu6")
    for i, (stride, (channels, most)) in enumerate(zip((1, *strides), STAGES, strict=True), 1):
        x = stage(net, f"stage{i}", x, channels=channels, most=most, stride=stride)
    references = {f"{m:g}" if m < 1 else "1.0": reference(m) for m in MULTIPLIERS}
    for fraction in (0.8, 0.9):
        references[f"1.0-published-{fraction}"] = reference(1.0) | published(fraction)
    return net.classify(x, references=references)


def stage(net: Builder, name: str, x: Tensor, *, channels: int, most: int, stride: int) -> Tensor:
    """Adds one to `most` blocks of one width."""
    width = net.choice(f"{name}.width", [scaled(channels, m) for m in MULTIPLIERS])
    depth = choice(net, f"{name}.depth", range(1, most + 1))
    x = block(net, f"{name}.block1", x, width, stride=stride)
    for i in range(2, most + 1):
        x = net.optional(depth >= i, x, partial(block, net, f"{name}.block{i}", width=width))
    return x


def block(net: Builder, name: str, x: Tensor, width: Dim, *, stride: int = 1) -> Tensor:
    kernel = net.choice(f"{name}.kernel", (3, 5, 7))
    sparsity = net.choice(f"{name}.pointwise.sparsity", pointwise_levels())
    x = net.depthwise(f"{name}.depthwise", x, kernel=kernel, stride=stride, activation="relu6")
    return net.conv1x1(f"{name}.pointwise", x, width, activation="relu6", sparsity=sparsity)


def reference(multiplier: float) -> dict[str, object]:
    """Returns the options of the dense network of a width multiplier."""
    options: dict[str, object] = {"stem.width": scaled(32, multiplier)}
    for i, (channels, most) in enumerate(STAGES, 1):
        options[f"stage{i}.width"] = scaled(channels, multiplier)
        options |= {f"stage{i}.block{j}.kernel": 3 for j in range(1, most + 1)}
    return options


def published(fraction: float) -> dict[str, object]:
    """Returns zeros as Elsen et al. have them (2020, https://arxiv.org/abs/1911.09723): 4x1 in the end."""
    options: dict[str, object] = {
        f"stage{i}.block{j}.pointwise.sparsity": Sparse(fraction)
        for i, (_, most) in enumerate(STAGES, 1)
        for j in range(1, most + 1)
    }
    return options | {f"stage5.block{STAGES[-1][1]}.pointwise.sparsity": Sparse(fraction, Block(4))}


SPACE = make(224)
