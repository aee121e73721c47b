"""ONNX Runtime computes what the plain forward pass computes."""

import sys

import numpy as np
import pytest

from sparsenas.errors import UserError
from sparsenas.export.network import normalized, random_network, reference
from sparsenas.export.onnx import to_onnx
from sparsenas.networks.catalog import REFERENCES

INSTALL = "needs packages: pip install 'sparsenas[peers]'"


def test_onnxruntime_agrees(subject):
    onnx = pytest.importorskip("onnx", reason=INSTALL)
    onnxruntime = pytest.importorskip("onnxruntime", reason=INSTALL)
    network, image, expected = subject
    data = to_onnx(network)
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    # What the oldest of the engines reads.
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 13)]
    assert model.ir_version == 7
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"image": np.ascontiguousarray(image.transpose(0, 3, 1, 2))})
    last = network.layers[-1]
    shape = (1, last.c_out) if network.classes else (1, last.c_out, last.out_height, last.out_width)
    assert found.shape == shape
    # Single precision through up to 100 layers, in another order of additions.
    np.testing.assert_allclose(found.ravel(), expected, atol=5e-5 * np.abs(expected).max())


def test_onnxruntime_takes_as_many_images_as_the_model_is_made_for():
    onnx = pytest.importorskip("onnx", reason=INSTALL)
    onnxruntime = pytest.importorskip("onnxruntime", reason=INSTALL)
    images = np.random.default_rng(0).random((3, 32, 32, 3), np.float32)
    layers = REFERENCES["mobilenet_v1"].layers(width=0.25, side=32, classes=5)
    network = normalized(random_network(layers, seed=0), images)
    data = to_onnx(network, batch=3)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"image": np.ascontiguousarray(images.transpose(0, 3, 1, 2))})
    np.testing.assert_allclose(found, reference(network, images), atol=1e-4)


def test_a_missing_package_is_one_line(monkeypatch):
    network = random_network(REFERENCES["mobilenet_v1"].layers(width=0.25, side=32), seed=0)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"needs the package onnx, .*pip install 'sparsenas\[peers\]'"):
        to_onnx(network)
