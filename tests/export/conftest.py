"""Networks that other engines must compute alike."""

import numpy as np
import pytest

from sparsenas.export.network import normalized, random_network, reference
from sparsenas.networks.catalog import REFERENCES
from sparsenas.networks.net import Net
from sparsenas.networks.pruning import uniform
from sparsenas.space import ACTIVATIONS, IMAGE, Layer
from sparsenas.sparsity.patterns import KernelPattern


def every_operator(activation):
    """A network with every operator that other formats have, each with an activation."""
    net = Net(side=13, rule=uniform(0.8))
    x = net.add("stem", "conv_hwc", IMAGE, 8, kernel=3, stride=2, activation=activation)
    # Before a maximum that has negative numbers among its inputs.
    x = net.add("linear", "conv1x1", x, 12)
    x = net.add("max3", "max_pool", x, kernel=3, stride=2, activation=activation)
    x = net.add("mean3", "average_pool", x, kernel=3, activation=activation)
    x = y = net.add("conv3", "conv", x, 16, kernel=3, activation=activation, pruned=True)
    x = net.add("filter", "depthwise", x, kernel=5, activation=activation)
    s = net.add("pool", "global_average_pool", x, activation=activation)
    s = net.add("squeeze", "fully_connected", s, 4, activation=activation)
    s = net.add("excite", "fully_connected", s, 16, activation="sigmoid")
    x = net.add("scale", "multiply", (x, s), activation=activation)
    x = net.add("sum", "add", (x, y), activation=activation)
    x = net.add("mean2", "average_pool", x, kernel=2, stride=2, activation=activation)
    # All pixels, in the midst of the network and at its end.
    g = net.add("gate", "fully_connected", x, 16, activation=activation)
    x = net.add("gated", "multiply", (x, g), activation=activation)
    x = net.add("hidden", "fully_connected", x, 9, activation=activation, pruned=True)
    net.add("classifier", "fully_connected", x, 5)
    return net.layers


def paddings():
    """Windows that pad by more or less than half of them."""
    net = [
        Layer(name="stem", op="conv_hwc", inputs=(IMAGE,), c_in=3, c_out=8, height=23, width=23, kernel=11,
              stride=2, pad=2, activation="relu"),
        Layer(name="max3", op="max_pool", inputs=(0,), c_in=8, c_out=8, height=9, width=9, kernel=3,
              stride=2, pad=0),
        Layer(name="mean5", op="average_pool", inputs=(1,), c_in=8, c_out=8, height=4, width=4, kernel=5,
              stride=1, pad=1, activation="relu"),
        Layer(name="classifier", op="fully_connected", inputs=(2,), c_in=8, c_out=5, height=2, width=2),
    ]  # fmt: skip
    return tuple(net)


def strides():
    """Windows that leave out pixels."""
    net = Net(side=12, rule=uniform(0.8))
    x = net.add("stem", "conv_hwc", IMAGE, 8, kernel=7, stride=2)
    x = net.add("mean", "average_pool", x, kernel=3, stride=2)
    x = net.add("filter", "depthwise", x, kernel=3, stride=2)
    net.add("project", "conv", x, 6, stride=2)
    return net.layers


CASES = {f"every operator, {name}": every_operator(name) for name in ACTIVATIONS}
CASES["strides, no classifier"] = strides()
CASES["paddings"] = paddings()
for name, width in (("mobilenet_v1", 0.25), ("efficientnet_b0", 0.25), ("resnet50", 0.25), ("vgg16", 0.125)):
    CASES[name] = REFERENCES[name].layers(width=width, side=32, classes=7, rule=uniform(0.9))
CASES["pattern"] = REFERENCES["resnet18"].layers(width=0.25, side=32, rule=uniform(0.9, KernelPattern()))


@pytest.fixture(params=CASES)
def subject(request):
    """A network, an image [1, H, W, C] and what it makes of that, [outputs]."""
    layers = CASES[request.param]
    side = layers[0].height
    images = np.random.default_rng(0).random((2, side, side, 3), np.float32)
    network = normalized(random_network(layers, seed=0), images)
    return network, images[:1], reference(network, images[:1])[0]
