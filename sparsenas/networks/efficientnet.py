"""EfficientNet B0 and B1 (Tan and Le, 2019, https://arxiv.org/abs/1905.11946) and its lite form.

Pruned are all 1x1 convolutions but those of squeeze-and-excite, which are fully connected here.
"""

import math

from sparsenas.dims import scaled
from sparsenas.networks.net import Net
from sparsenas.networks.pruning import Rule, dense
from sparsenas.space import IMAGE, Layer

# Expansion, kernel, output channels, blocks and the first one's stride of each stage.
_STAGES = (
    (1, 3, 16, 1, 1), (6, 3, 24, 2, 2), (6, 5, 40, 2, 2), (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1), (6, 5, 192, 4, 2), (6, 3, 320, 1, 1),
)  # fmt: skip
# Squeezed channels for each channel that the block reads.
_SQUEEZE = 0.25


def efficientnet_b0(
    *, width: float = 1.0, side: int = 224, classes: int = 1000, rule: Rule = dense
) -> tuple[Layer, ...]:
    """Returns the network that the others are scaled from."""
    return _efficientnet(width=width, depth=1.0, side=side, classes=classes, rule=rule)


def efficientnet_b1(
    *, width: float = 1.0, side: int = 240, classes: int = 1000, rule: Rule = dense
) -> tuple[Layer, ...]:
    """Returns the network that is deeper, for larger images."""
    return _efficientnet(width=width, depth=1.1, side=side, classes=classes, rule=rule)


def efficientnet_lite0(
    *, width: float = 1.0, side: int = 224, classes: int = 1000, rule: Rule = dense
) -> tuple[Layer, ...]:
    """Returns B0 without squeeze-and-excite, with relu6, whose first and last layer ignore the width.

    (https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite)
    """
    return _efficientnet(width=width, depth=1.0, side=side, classes=classes, rule=rule, lite=True)


def _efficientnet(
    *, width: float, depth: float, side: int, classes: int, rule: Rule, lite: bool = False
) -> tuple[Layer, ...]:
    net = Net(side=side, rule=rule)
    activation = "relu6" if lite else "swish"
    ends = 1.0 if lite else width
    x = net.add("stem", "conv_hwc", IMAGE, scaled(32, ends), kernel=3, stride=2, activation=activation)
    i = 0
    for expansion, kernel, channels, blocks, first_stride in _STAGES:
        for repeat in range(math.ceil(depth * blocks)):
            i += 1
            x = _block(
                net, f"block{i}", x, scaled(channels, width), expansion=expansion, kernel=kernel,
                stride=1 if repeat else first_stride, activation=activation, squeeze=not lite,
            )  # fmt: skip
    x = net.add("head", "conv1x1", x, scaled(1280, ends), activation=activation, pruned=True)
    return net.classify(x, classes)


def _block(
    net: Net,
    name: str,
    x: int,
    c_out: int,
    *,
    expansion: int,
    kernel: int,
    stride: int,
    activation: str,
    squeeze: bool,
) -> int:
    y, c_in = x, net.shape(x)[-1]
    if expansion > 1:
        y = net.add(f"{name}.expand", "conv1x1", y, c_in * expansion, activation=activation, pruned=True)
    y = net.add(f"{name}.depthwise", "depthwise", y, kernel=kernel, stride=stride, activation=activation)
    if squeeze:
        s = net.add(f"{name}.pool", "global_average_pool", y)
        squeezed = max(1, int(c_in * _SQUEEZE))
        s = net.add(f"{name}.squeeze", "fully_connected", s, squeezed, activation=activation)
        s = net.add(f"{name}.excite", "fully_connected", s, net.shape(y)[-1], activation="sigmoid")
        y = net.add(f"{name}.scale", "multiply", (y, s))
    y = net.add(f"{name}.project", "conv1x1", y, c_out, pruned=True)
    return net.add(f"{name}.add", "add", (x, y)) if stride == 1 and c_in == c_out else y
