"""EfficientNet (Tan and Le, 2019, https://arxiv.org/abs/1905.11946): inverted residuals whose channels are
squeezed and excited, with swish.

Width and depth of seven stages around those of B0; kernel, expansion and the zeros of both 1x1 convolutions
of every block. The first of the five strides are 1 until four pixels a side are left at the end: two of them
for a side of 32.
"""

import math

from sparsenas.blocks import halvings, mobile_stage, pointwise_levels
from sparsenas.builder import Builder
from sparsenas.dims import scaled
from sparsenas.space import Space

MULTIPLIERS = (0.5, 0.75, 1.0)
# Expansion, kernel, output channels and blocks of B0, and whether the first one halves the image.
STAGES = (
    (1, 3, 16, 1, False), (6, 3, 24, 2, True), (6, 5, 40, 2, True), (6, 3, 80, 3, True),
    (6, 5, 112, 3, False), (6, 5, 192, 4, True), (6, 3, 320, 1, False),
)  # fmt: skip
EXPANSIONS = (3, 4, 6)
# How much deeper than B0 each network is.
DEEPER = {"efficientnet_b0": 1.0, "efficientnet_b1": 1.1}


def make(side: int) -> Space:
    """Returns the space for images of side x side pixels."""
    net = Builder("efficientnet", image=(side, side, 3), classes=1000)
    first, *strides = halvings(side, 1 + sum(halves for *_, halves in STAGES))
    stem = net.choice("stem.width", widths(32))
    x = net.conv_hwc("stem", net.image, stem, stride=first, activation="swish")
    for i, (expansion, _, channels, blocks, halves) in enumerate(STAGES, 1):
        x = mobile_stage(
            net,
            f"stage{i}",
            x,
            widths=widths(channels),
            depths=range(1, depth(blocks, max(DEEPER.values())) + 1),
            expansions=EXPANSIONS if expansion > 1 else (1,),
            stride=strides.pop(0) if halves else 1,
            activation="swish",
            squeeze=True,
        )
    head = net.choice("head.width", widths(1280))
    sparsity = net.choice("head.sparsity", pointwise_levels())
    x = net.conv1x1("head", x, head, activation="swish", sparsity=sparsity)
    return net.classify(x, references={name: reference(deeper) for name, deeper in DEEPER.items()})


def widths(channels: int) -> list[int]:
    return sorted({scaled(channels, m) for m in MULTIPLIERS})


def depth(blocks: int, deeper: float) -> int:
    return math.ceil(deeper * blocks)


def reference(deeper: float) -> dict[str, object]:
    """Returns the options of the dense network of width 1 and a depth multiplier."""
    options: dict[str, object] = {}
    for i, (_, kernel, _, blocks, _) in enumerate(STAGES, 1):
        options[f"stage{i}.depth"] = depth(blocks, deeper)
        options |= {
            f"stage{i}.block{j}.kernel": kernel for j in range(1, depth(blocks, max(DEEPER.values())) + 1)
        }
    return options


SPACE = make(224)
