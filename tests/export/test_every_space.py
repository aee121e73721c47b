"""Random architectures of every space, in every format that is one file, in the engine of each."""

from dataclasses import replace

import numpy as np
import pytest
from jax import export

from sparsenas import native
from sparsenas.cli.lookup import find_space, known_spaces
from sparsenas.export.network import normalized, random_network, reference
from sparsenas.export.onnx import to_onnx
from sparsenas.export.read import from_bytes
from sparsenas.export.snas import to_bytes
from sparsenas.export.stablehlo import to_stablehlo
from sparsenas.export.tflite import to_tflite
from sparsenas.space import IMAGE

SIDE = 32
ARCHITECTURES = 50
# Tracing takes JAX long.
STABLEHLO = 5
# Channels matter little to what a format can say, and much to how long this takes.
THINNER = 8
LEAST = 16


def thin(layers):
    """The same network with an eighth of the channels."""

    def fewer(channels):
        return max(LEAST, channels // THINNER)

    return tuple(
        replace(
            layer,
            c_in=layer.c_in if IMAGE in layer.inputs else fewer(layer.c_in),
            c_out=fewer(layer.c_out),
        )
        for layer in layers
    )


def networks(name, count):
    space = find_space(name, SIDE)
    for seed in range(count):
        layers = thin(space.layers(space.sample(np.random.default_rng(seed))))
        image = np.random.default_rng(seed).random((1, *space.image), np.float32)
        yield normalized(random_network(layers, seed=seed), image), image


@pytest.fixture(scope="module")
def litert():
    return pytest.importorskip("ai_edge_litert.interpreter", reason="pip install 'sparsenas[peers]'")


@pytest.fixture(scope="module")
def onnxruntime():
    return pytest.importorskip("onnxruntime", reason="pip install 'sparsenas[peers]'")


@pytest.mark.parametrize("name", known_spaces())
def test_every_format_computes_the_same(name, litert, onnxruntime):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    for network, image in networks(name, ARCHITECTURES):
        expected = reference(network, image)
        # Single precision through up to 100 layers, in another order of additions.
        close = {"atol": 5e-5 * np.abs(expected).max(), "rtol": 0}

        data = to_bytes(network)
        np.testing.assert_allclose(native.Model.from_bytes(data).run(image), expected, **close)
        assert to_bytes(from_bytes(data)) == data

        model = litert.Interpreter(model_content=to_tflite(network), num_threads=1)
        model.allocate_tensors()
        model.set_tensor(model.get_input_details()[0]["index"], image)
        model.invoke()
        np.testing.assert_allclose(
            model.get_tensor(model.get_output_details()[0]["index"]), expected, **close
        )

        session = onnxruntime.InferenceSession(
            to_onnx(network, batch=None, sparse=True), options, providers=["CPUExecutionProvider"]
        )
        (outputs,) = session.run(None, {"image": np.ascontiguousarray(image.transpose(0, 3, 1, 2))})
        np.testing.assert_allclose(outputs, expected, **close)


@pytest.mark.parametrize("name", known_spaces())
def test_stablehlo_computes_the_same(name):
    """All that is different between architectures is in the function that this is made of."""
    for network, image in networks(name, STABLEHLO):
        run = export.deserialize(bytearray(to_stablehlo(network)))
        assert [str(size) for size in run.in_avals[0].shape] == ["N", *map(str, network.image)]
        batch = np.concatenate([image, 1 - image, image / 2])
    expected = reference(network, batch)
    outputs = np.asarray(run.call(batch))
    np.testing.assert_allclose(outputs, expected, atol=5e-5 * np.abs(expected).max(), rtol=0)
