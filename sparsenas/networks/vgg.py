"""VGG-16 (Simonyan and Zisserman, 2015, https://arxiv.org/abs/1409.1556).

Pruned are all convolutions but the first and the first two fully connected layers.
"""

from sparsenas.dims import scaled
from sparsenas.errors import UserError
from sparsenas.networks.net import Net
from sparsenas.networks.pruning import Rule, dense
from sparsenas.space import IMAGE, Layer

# Channels and convolutions of each stage; each ends in a pool.
_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
_HIDDEN = 4096


def vgg16(
    *, width: float = 1.0, side: int = 224, classes: int = 1000, rule: Rule = dense
) -> tuple[Layer, ...]:
    """Returns 13 convolutions and three fully connected layers, of which the first reads all pixels."""
    if side < 2 ** len(_STAGES):
        raise UserError(
            f"`side` of VGG-16's image must be at least {2 ** len(_STAGES)}, as five pools halve it, "
            f"found {side}."
        )
    net = Net(side=side, rule=rule)
    x = IMAGE
    for stage, (channels, convolutions) in enumerate(_STAGES, 1):
        for i in range(1, convolutions + 1):
            x = net.add(
                f"stage{stage}.conv{i}", "conv_hwc" if x == IMAGE else "conv", x, scaled(channels, width),
                kernel=3, activation="relu", pruned=x != IMAGE,
            )  # fmt: skip
        x = net.add(f"stage{stage}.pool", "max_pool", x, kernel=2, stride=2)
    for i in range(1, 3):
        hidden = scaled(_HIDDEN, width)
        x = net.add(f"hidden{i}", "fully_connected", x, hidden, activation="relu", pruned=True)
    net.add("classifier", "fully_connected", x, classes)
    return net.layers
