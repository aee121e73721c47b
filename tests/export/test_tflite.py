"""LiteRT computes what the plain forward pass computes, and zeros stay out of the file."""

import sys

import numpy as np
import pytest

from sparsenas.errors import UserError
from sparsenas.export.network import random_network
from sparsenas.export.tflite import to_tflite
from sparsenas.networks.catalog import REFERENCES
from sparsenas.networks.net import Net
from sparsenas.networks.pruning import uniform
from sparsenas.space import IMAGE

INSTALL = "needs packages: pip install 'sparsenas[peers]'"


@pytest.fixture
def litert():
    return pytest.importorskip("ai_edge_litert.interpreter", reason=INSTALL)


def operators(litert, data):
    """Returns the names of a model's operators, in the order they run."""
    model = litert.Interpreter(
        model_content=data,
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    return [one["op_name"] for one in model._get_ops_details()]


def test_litert_agrees(subject, litert):
    network, image, expected = subject
    model = litert.Interpreter(model_content=to_tflite(network), num_threads=1)
    model.allocate_tensors()
    (given,), (answer,) = model.get_input_details(), model.get_output_details()
    model.set_tensor(given["index"], image)
    model.invoke()
    found = model.get_tensor(answer["index"])
    last = network.layers[-1]
    shape = (1, last.c_out) if network.classes else (1, last.out_height, last.out_width, last.c_out)
    assert found.shape == shape
    if not network.classes:  # Outputs of ours are channel by channel.
        found = np.moveaxis(found, -1, 1)
    # Single precision through up to 100 layers, in another order of additions.
    np.testing.assert_allclose(found.ravel(), expected, atol=5e-5 * np.abs(expected).max())


def test_only_layers_of_mostly_zeros_are_sparse(litert):
    made = REFERENCES["mobilenet_v1"]
    data = {
        zeros: to_tflite(random_network(made.layers(width=0.5, side=32, rule=uniform(zeros)), seed=0))
        for zeros in (0.6, 0.7, 0.9)
    }
    assert [operators(litert, one).count("DENSIFY") for one in data.values()] == [0, 13, 13]
    # A nonzero takes five or six bytes, one or two of them for its column.
    weights = sum(layer.nonzeros for layer in made.layers(width=0.5, side=32) if layer.op == "conv1x1")
    saved = len(data[0.6]) - len(data[0.9])
    assert 4 * weights * 0.8 < saved < 4 * weights * 0.9


def test_strides_come_after_explicit_padding(litert):
    layers = REFERENCES["mobilenet_v1"].layers(width=0.25, side=32)
    names = operators(litert, to_tflite(random_network(layers, seed=0)))
    assert names[:2] == ["PAD", "CONV_2D"]
    assert names.count("PAD") == sum(layer.stride == 2 for layer in layers)
    assert names[-2:] == ["MEAN", "FULLY_CONNECTED"]


def test_padding_of_a_maximum_is_below_every_number(litert):
    net = Net(side=8, rule=uniform(0.9))
    x = net.add("stem", "conv_hwc", IMAGE, 8, kernel=3)
    x = net.add("linear", "max_pool", x, kernel=3, stride=2, activation="relu")
    net.add("positive", "max_pool", x, kernel=3, stride=2)
    names = operators(litert, to_tflite(random_network(net.layers, seed=0)))
    assert [name for name in names if name.startswith("PAD")] == ["PADV2", "PAD"]


def test_a_missing_package_is_one_line(monkeypatch):
    network = random_network(REFERENCES["mobilenet_v1"].layers(width=0.25, side=32), seed=0)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.schema_py_generated", None)
    with pytest.raises(UserError, match=r"needs the package ai-edge-litert, .*'sparsenas\[peers\]'"):
        to_tflite(network)
