"""Which layers LiteRT is said to compute sparse, and why not."""

import pytest

from sparsenas.export.litert_path import obstacles
from sparsenas.export.network import random_network
from sparsenas.networks.catalog import REFERENCES
from sparsenas.networks.net import Net
from sparsenas.networks.pruning import uniform
from sparsenas.space import IMAGE


def found(name, zeros, **settings):
    layers = REFERENCES[name].layers(width=0.25, side=64, rule=uniform(zeros), **settings)
    return obstacles(random_network(layers, seed=0))


def net(*, stride=2, kernel=3, depthwise=3, pool=True, zeros=0.9):
    made = Net(side=16, rule=uniform(zeros))
    x = made.add("stem", "conv_hwc", IMAGE, 8, kernel=kernel, stride=stride, activation="relu6")
    x = made.add("filter", "depthwise", x, kernel=depthwise, activation="relu6")
    x = made.add("mix", "conv1x1", x, 64, pruned=True)
    if pool:
        x = made.add("pool", "global_average_pool", x)
    made.add("head", "fully_connected", x, 5, pruned=True)
    return obstacles(random_network(made.layers, seed=0))


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "efficientnet_lite0"])
def test_mobile_networks_are_computed_sparse(name):
    # A narrow classifier of many classes has most weights, none of them 0.
    assert found(name, 0.9, classes=10) == {}


def test_what_a_network_lacks_is_said_of_each_layer():
    assert net() == {}
    assert "the image, which must be a convolution of 3 x 3 pixels with stride 2" in net(stride=1)["mix"]
    assert "the image" in net(kernel=5)["mix"]
    assert "'filter' is a depthwise convolution of 7 x 7 pixels" in net(depthwise=7)["mix"]
    assert "no mean over all pixels" in net(pool=False)["mix"]


def test_too_few_zeros_are_said():
    few = found("mobilenet_v1", 0.6, classes=10)
    assert all("from more than 67% on" in why for why in few.values())
    assert len(few) == 13


def test_windows_are_computed_dense():
    many = found("resnet18", 0.9)
    assert many
    assert all("type max_pool" in why or "3 x 3" in why for why in many.values())
    assert any("only 1x1 are sparse" in why for why in many.values())
