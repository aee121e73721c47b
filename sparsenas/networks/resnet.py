"""ResNet-18 and ResNet-50 (He et al., 2016, https://arxiv.org/abs/1512.03385).

Version 1.5, where the 3x3 convolution of a bottleneck has the stride. Pruned are all 3x3 convolutions,
and in ResNet-50 the 1x1 ones.
"""

from sparsenas.dims import scaled
from sparsenas.networks.net import Net
from sparsenas.networks.pruning import Rule, dense
from sparsenas.space import IMAGE, Layer

# Channels of the 3x3 convolutions of each stage.
_STAGES = (64, 128, 256, 512)
# Output channels of a bottleneck over those of its 3x3 convolution.
_EXPANSION = 4


def resnet18(
    *, width: float = 1.0, side: int = 224, classes: int = 1000, rule: Rule = dense
) -> tuple[Layer, ...]:
    """Returns four stages of two blocks, each two 3x3 convolutions."""
    net, x = _stem(width=width, side=side, rule=rule)
    for stage, channels in enumerate(_STAGES, 1):
        for block in range(1, 3):
            stride = 2 if stage > 1 and block == 1 else 1
            x = _basic(net, f"stage{stage}.block{block}", x, scaled(channels, width), stride)
    return net.classify(x, classes)


def resnet50(
    *, width: float = 1.0, side: int = 224, classes: int = 1000, rule: Rule = dense
) -> tuple[Layer, ...]:
    """Returns 16 bottlenecks, each a 3x3 convolution between two 1x1 ones."""
    net, x = _stem(width=width, side=side, rule=rule)
    for stage, (channels, blocks) in enumerate(zip(_STAGES, (3, 4, 6, 3), strict=True), 1):
        for block in range(1, blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            x = _bottleneck(net, f"stage{stage}.block{block}", x, scaled(channels, width), stride)
    return net.classify(x, classes)


def _stem(*, width: float, side: int, rule: Rule) -> tuple[Net, int]:
    net = Net(side=side, rule=rule)
    x = net.add("stem", "conv_hwc", IMAGE, scaled(64, width), kernel=7, stride=2, activation="relu")
    return net, net.add("stem.pool", "max_pool", x, kernel=3, stride=2)


def _basic(net: Net, name: str, x: int, c_out: int, stride: int) -> int:
    y = net.add(f"{name}.conv1", "conv", x, c_out, kernel=3, stride=stride, activation="relu", pruned=True)
    y = net.add(f"{name}.conv2", "conv", y, c_out, kernel=3, pruned=True)
    x = _shortcut(net, name, x, c_out, stride, pruned=False)
    return net.add(f"{name}.add", "add", (x, y), activation="relu")


def _bottleneck(net: Net, name: str, x: int, channels: int, stride: int) -> int:
    y = net.add(f"{name}.reduce", "conv1x1", x, channels, activation="relu", pruned=True)
    y = net.add(f"{name}.conv", "conv", y, channels, kernel=3, stride=stride, activation="relu", pruned=True)
    y = net.add(f"{name}.expand", "conv1x1", y, channels * _EXPANSION, pruned=True)
    x = _shortcut(net, name, x, channels * _EXPANSION, stride, pruned=True)
    return net.add(f"{name}.add", "add", (x, y), activation="relu")


def _shortcut(net: Net, name: str, x: int, c_out: int, stride: int, *, pruned: bool) -> int:
    """Returns the block's input in the shape of its output."""
    if stride == 1 and net.shape(x)[-1] == c_out:
        return x
    # Only `conv` takes a stride.
    op = "conv1x1" if stride == 1 else "conv"
    return net.add(f"{name}.shortcut", op, x, c_out, stride=stride, pruned=pruned)
