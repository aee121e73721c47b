"""AlexNet in one column (Krizhevsky, 2014, https://arxiv.org/abs/1404.5997).

Pruned are all layers but the first convolution and the classifier; the published fractions are those of
Park et al. (2017, https://arxiv.org/abs/1608.01409).
"""

from sparsenas.dims import scaled
from sparsenas.errors import UserError
from sparsenas.networks.net import Net
from sparsenas.networks.pruning import Rule, dense
from sparsenas.space import IMAGE, Layer
from sparsenas.sparsity.patterns import Sparse, Sparsity

# Output channels and kernel of the convolutions; the first, second and last are followed by a pool.
_CONVOLUTIONS = ((64, 11), (192, 5), (384, 3), (256, 3), (256, 3))
_POOLED = (1, 2, 5)
_HIDDEN = 4096
_LEAST_SIDE = 63

# Zeros at 57.5 % top-1.
_PUBLISHED = {
    "conv2": 0.856, "conv3": 0.931, "conv4": 0.918, "conv5": 0.885,
    "hidden1": 0.903, "hidden2": 0.844,
}  # fmt: skip
PUBLISHED_MEAN = 0.8857
"""Fraction of zeros of all pruned weights at the published fractions."""


def alexnet(
    *, width: float = 1.0, side: int = 224, classes: int = 1000, rule: Rule = dense
) -> tuple[Layer, ...]:
    """Returns five convolutions and three fully connected layers, of which the first reads all pixels."""
    if side < _LEAST_SIDE:
        raise UserError(f"`side` of AlexNet's image must be at least {_LEAST_SIDE}, found {side}.")
    net = Net(side=side, rule=rule)
    x = IMAGE
    for i, (channels, kernel) in enumerate(_CONVOLUTIONS, 1):
        first = {"stride": 4, "pad": 2} if i == 1 else {}
        x = net.add(
            f"conv{i}", "conv_hwc" if i == 1 else "conv", x, scaled(channels, width), kernel=kernel,
            activation="relu", pruned=i > 1, **first,
        )  # fmt: skip
        if i in _POOLED:
            x = net.add(f"pool{i}", "max_pool", x, kernel=3, stride=2, pad=0)
    for i in range(1, 3):
        hidden = scaled(_HIDDEN, width)
        x = net.add(f"hidden{i}", "fully_connected", x, hidden, activation="relu", pruned=True)
    net.add("classifier", "fully_connected", x, classes)
    return net.layers


def alexnet_published(fraction: float) -> Rule:
    """Prunes each layer by the published fraction; `fraction` is what they come to, `PUBLISHED_MEAN`."""

    def rule(layer: Layer) -> Sparsity:
        return Sparse(_PUBLISHED[layer.name])

    return rule
