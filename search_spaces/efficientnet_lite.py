"""EfficientNet without squeeze-and-excite, with relu6, whose first and last layer keep their width
(https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite).

Width and depth of seven stages; kernel, expansion and the zeros of both 1x1 convolutions of every block. The
first of the five strides are 1 until four pixels a side are left at the end: two of them for a side of 32.
"""

from sparsenas.blocks import halvings, mobile_stage, pointwise_levels
from sparsenas.builder import Builder
from sparsenas.dims import scaled
from sparsenas.space import Space

MULTIPLIERS = (0.5, 0.75, 1.0)
# Expansion, kernel, output channels and blocks of Lite0, and whether the first one halves the image.
STAGES = (
    (1, 3, 16, 1, False), (6, 3, 24, 2, True), (6, 5, 40, 2, True), (6, 3, 80, 3, True),
    (6, 5, 112, 3, False), (6, 5, 192, 4, True), (6, 3, 320, 1, False),
)  # fmt: skip
EXPANSIONS = (3, 4, 6)


def make(side: int) -> Space:
    """Returns the space for images of side x side pixels."""
    net = Builder("efficientnet_lite", image=(side, side, 3), classes=1000)
    first, *strides = halvings(side, 1 + sum(halves for *_, halves in STAGES))
    x = net.conv_hwc("stem", net.image, 32, stride=first, activation="relu6")
    for i, (expansion, _, channels, blocks, halves) in enumerate(STAGES, 1):
        x = mobile_stage(
            net,
            f"stage{i}",
            x,
            widths=sorted({scaled(channels, m) for m in MULTIPLIERS}),
            depths=range(1, blocks + 1),
            expansions=EXPANSIONS if expansion > 1 else (1,),
            stride=strides.pop(0) if halves else 1,
        )
    sparsity = net.choice("head.sparsity", pointwise_levels())
    x = net.conv1x1("head", x, 1280, activation="relu6", sparsity=sparsity)
    kernels = {
        f"stage{i}.block{j}.kernel": kernel
        for i, (_, kernel, _, blocks, _) in enumerate(STAGES, 1)
        for j in range(1, blocks + 1)
    }
    return net.classify(x, references={"efficientnet_lite0": kernels})


SPACE = make(224)
