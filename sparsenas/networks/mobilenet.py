"""MobileNet v1 (Howard et al., 2017, https://arxiv.org/abs/1704.04861) and v2 (Sandler et al., 2018,
https://arxiv.org/abs/1801.04381).

Pruned are all 1x1 convolutions, as Elsen et al. do (2020, https://arxiv.org/abs/1911.09723).
"""

from sparsenas.dims import scaled
from sparsenas.networks.net import Net
from sparsenas.networks.pruning import Rule, dense, from_block
from sparsenas.space import IMAGE, Layer
from sparsenas.sparsity.patterns import Block

# Output channels and stride of each block.
_V1 = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
# Expansion, output channels, blocks and the first one's stride of each stage.
_V2 = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip


def mobilenet_v1(
    *, width: float = 1.0, side: int = 224, classes: int = 1000, rule: Rule = dense
) -> tuple[Layer, ...]:
    """Returns a filter for every channel and a 1x1 convolution, 13 times."""
    net = Net(side=side, rule=rule)
    x = net.add("stem", "conv_hwc", IMAGE, scaled(32, width), kernel=3, stride=2, activation="relu6")
    for i, (channels, stride) in enumerate(_V1, 1):
        x = net.add(f"block{i}.depthwise", "depthwise", x, kernel=3, stride=stride, activation="relu6")
        c_out = scaled(channels, width)
        x = net.add(f"block{i}.pointwise", "conv1x1", x, c_out, activation="relu6", pruned=True)
    return net.classify(x, classes)


def mobilenet_v2(
    *, width: float = 1.0, side: int = 224, classes: int = 1000, rule: Rule = dense
) -> tuple[Layer, ...]:
    """Returns 17 inverted residuals; the last 1x1 convolution grows with the width, but never shrinks."""
    net = Net(side=side, rule=rule)
    x = net.add("stem", "conv_hwc", IMAGE, scaled(32, width), kernel=3, stride=2, activation="relu6")
    i = 0
    for expansion, channels, blocks, first_stride in _V2:
        for repeat in range(blocks):
            i += 1
            stride = 1 if repeat else first_stride
            x = _inverted_residual(net, f"block{i}", x, scaled(channels, width), expansion, stride)
    head = scaled(1280, max(1.0, width))
    x = net.add("head", "conv1x1", x, head, activation="relu6", pruned=True)
    return net.classify(x, classes)


def _inverted_residual(net: Net, name: str, x: int, c_out: int, expansion: int, stride: int) -> int:
    y, c_in = x, net.shape(x)[-1]
    if expansion > 1:
        y = net.add(f"{name}.expand", "conv1x1", y, c_in * expansion, activation="relu6", pruned=True)
    y = net.add(f"{name}.depthwise", "depthwise", y, kernel=3, stride=stride, activation="relu6")
    y = net.add(f"{name}.project", "conv1x1", y, c_out, pruned=True)
    return net.add(f"{name}.add", "add", (x, y)) if stride == 1 and c_in == c_out else y


def mobilenet_v1_published(fraction: float) -> Rule:
    """Blocks of 4x1 in the last block, unstructured before (Elsen et al., 2020)."""
    return from_block(13, Block(4), fraction)


def mobilenet_v2_published(fraction: float) -> Rule:
    """Blocks of 2x1 from the 11th block on, unstructured before (Elsen et al., 2020)."""
    return from_block(11, Block(2), fraction)
