"""A network that was written and read is the same network."""

import gzip
from dataclasses import replace

import numpy as np
import pytest

from sparsenas import native
from sparsenas.errors import UserError
from sparsenas.export.network import random_network
from sparsenas.export.read import from_bytes, read
from sparsenas.export.snas import to_bytes
from sparsenas.space import IMAGE, Layer
from sparsenas.sparsity.patterns import Block, Dense, KernelPattern, NByM, Unstructured
from tests.export.conftest import CASES


def test_a_read_network_is_the_one_that_was_written(subject):
    network, _, _ = subject
    found = from_bytes(to_bytes(network))
    assert (found.classes, found.image) == (network.classes, network.image)
    for layer, other in zip(network.layers, found.layers, strict=True):
        # The file has the true fraction of zeros, and padding only where it is not the usual.
        assert replace(layer, sparsity=0, pad=None) == replace(other, sparsity=0, pad=None)
        assert layer.padding == other.padding
    for one, other in zip(network.weights, found.weights, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_array_equal(one.weight, other.weight)
            np.testing.assert_array_equal(one.bias, other.bias)


@pytest.mark.parametrize(
    ("op", "pattern", "sparsity"),
    [
        ("conv1x1", Dense(), 0.0),
        ("conv1x1", Unstructured(), 0.99),
        ("conv1x1", Block(2), 0.8),
        ("fully_connected", Block(4), 0.9),
        ("fully_connected", NByM(2, 4), 0.5),
        ("conv", KernelPattern(), 0.85),
    ],
)
def test_every_pattern_is_read(op, pattern, sparsity):
    side = 1 if op == "fully_connected" else 4
    # Rows that are no multiple of a block, columns further apart than a byte, rows without any.
    layer = Layer(
        name="a", op=op, inputs=(IMAGE,), c_in=603, c_out=7, height=side, width=side,
        kernel=3 if op == "conv" else 1, pattern=pattern, sparsity=sparsity,
    )  # fmt: skip
    network = random_network([layer], seed=0, classes=[])
    data = to_bytes(network)
    found = from_bytes(data)
    np.testing.assert_array_equal(found.weights[0].weight, network.weights[0].weight)
    assert found.layers[0].sparsity == pytest.approx(sparsity, abs=0.01)
    assert to_bytes(found) == data
    halves = to_bytes(network, float16=True)
    assert to_bytes(from_bytes(halves), float16=True) == halves


def test_compressed_files_are_read_everywhere(tmp_path):
    network = random_network(CASES["paddings"], seed=0)
    data = to_bytes(network)
    path = tmp_path / "model.snas.gz"
    path.write_bytes(gzip.compress(data))
    assert to_bytes(read(path)) == data
    image = np.zeros((1, *network.image), np.float32)
    np.testing.assert_array_equal(
        native.Model.open(path).run(image), native.Model.from_bytes(data).run(image)
    )


def test_bad_files_are_one_line(tmp_path):
    data = gzip.compress(to_bytes(random_network(CASES["paddings"], seed=0)))
    path = tmp_path / "model.snas.gz"
    path.write_bytes(data[:-40])
    with pytest.raises(UserError, match="Cannot expand model .*model.snas.gz"):
        read(path)
    path.write_bytes(b"no model")
    with pytest.raises(UserError, match="expected"):
        read(path)
    with pytest.raises(UserError, match="Cannot read model .*none.snas.*No such file"):
        read(tmp_path / "none.snas")
    with pytest.raises(UserError, match="none.snas"):
        native.Model.open(tmp_path / "none.snas")
