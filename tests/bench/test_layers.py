"""Single layers beside other engines: what is measured is the layer, and nothing timed that is wrong."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

from sparsenas import native
from sparsenas.bench import kernels, layers
from sparsenas.bench.layers import added_us, bench_layers, compare, layers_of, models_of
from sparsenas.bench.peers import contest, process
from sparsenas.bench.peers.process import OURS
from sparsenas.errors import UserError
from sparsenas.export.network import random_network
from sparsenas.export.snas import to_bytes
from sparsenas.space import IMAGE, Layer

FIELDS = {
    "op", "pattern", "c_in", "c_out", "height", "width", "kernel", "stride", "sparsity", "isa", "kernel_name",
    "us", "dense_us", "useful_gflops", "fraction_of_peak", "speedup_over_dense", "cache", "threads",
    "speedup_over_one_thread", "engine", "engine_version", "arrangement", "max_abs_difference",
}  # fmt: skip
SQUARE = Layer(
    name="layer", op="conv1x1", inputs=(IMAGE,), c_in=8, c_out=8, height=7, width=7, activation="relu6"
)
WIDER = replace(SQUARE, c_out=16)
HALVED = replace(SQUARE, op="depthwise", kernel=3, stride=2)

needs_onnxruntime = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("onnx", "onnxruntime"))),
    reason="needs packages: pip install 'sparsenas[peers]'",
)


@pytest.fixture
def small(monkeypatch):
    """One layer of each arrangement, large enough to take longer than the clock is coarse."""
    monkeypatch.setattr(kernels, "POINTWISE", ((64, 128, 14),))
    monkeypatch.setattr(layers, "DEPTHWISE", ((64, 28, 1),))


def test_copies_are_a_chain_where_a_layer_takes_what_it_gives():
    models = models_of(SQUARE)
    assert set(models) == {"one", "many"}
    assert [layer.inputs for layer in models["many"]] == [(IMAGE,), (0,), (1,), (2,), (3,)]
    assert models["many"][:1] == models["one"]


@pytest.mark.parametrize("layer", [WIDER, HALVED], ids=["wider", "halved"])
def test_other_copies_stand_side_by_side_and_one_pixel_of_each_is_added_up(layer):
    models = models_of(layer)
    assert set(models) == {"one", "many", "one pixel", "many pixels"}
    network = random_network(models["many"], seed=0)
    image = np.random.default_rng(0).random((1, 7, 7, 8), np.float32)
    found = native.Model.from_bytes(to_bytes(network)).run(image)[0]
    copies = [i for i, one in enumerate(network.layers) if one.op == layer.op]
    assert len(copies) == 5
    corners = []
    for copy, weights in ((network.layers[i], network.weights[i]) for i in copies):
        alone = replace(network, layers=(copy,), weights=(weights,))
        corners.append(native.Model.from_bytes(to_bytes(alone)).run(image).reshape(layer.c_out, -1)[:, 0])
    np.testing.assert_allclose(found, np.sum(corners, axis=0), rtol=1e-5)


def test_pixels_alone_are_those_of_as_large_an_image():
    pixels = models_of(HALVED)["many pixels"]
    assert [layer.op for layer in pixels] == ["max_pool", *["max_pool", "add"] * 4]
    assert {(layer.height, layer.c_in) for layer in pixels if layer.op == "max_pool"} == {(4, 8)}
    # No two are the same, so that no engine computes them once.
    assert len({layer.stride for layer in pixels if layer.op == "max_pool"}) == 5
    image = np.random.default_rng(0).random((1, 4, 4, 8), np.float32)
    found = native.Model.from_bytes(to_bytes(random_network(pixels, seed=0))).run(image)
    np.testing.assert_allclose(found[0], 5 * image[0, 0, 0], rtol=1e-6)


def test_a_layer_takes_what_four_more_add_without_their_pixels():
    chain = {"one": [1.0, 1.1, 1.0], "many": [1.8, 1.9, 9.0]}
    assert added_us(chain) == pytest.approx(200)
    beside = chain | {"one pixel": [0.1, 0.1, 0.1], "many pixels": [0.3, 0.3, 0.3]}
    assert added_us(beside) == pytest.approx(150)


def test_layers_are_those_of_mobilenet_at_both_strides():
    found = [(layer.c_in, layer.height, layer.stride) for layer in layers_of("depthwise")]
    assert (512, 14, 1) in found
    assert (96, 112, 2) in found
    assert {layer.kernel for layer in layers_of("depthwise")} == {3}
    assert len(list(layers_of("conv1x1"))) == len(kernels.POINTWISE)


@needs_onnxruntime
def test_onnxruntime_computes_the_same_and_has_a_time(small):
    progress, notes = [], []
    result = bench_layers(
        ops=["conv1x1", "depthwise"], peers=["onnxruntime"], rounds=3, note=notes.append,
        report=lambda *at: progress.append(at),
    )  # fmt: skip
    assert progress == [(1, 2), (2, 2)]
    found = [(one["op"], one["arrangement"], one["engine"]) for one in result["records"]]
    assert found == [
        ("conv1x1", "side by side", OURS), ("conv1x1", "side by side", "onnxruntime"),
        ("depthwise", "chain", OURS), ("depthwise", "chain", "onnxruntime"),
    ], notes  # fmt: skip
    for record in result["records"]:
        assert set(record) == FIELDS
        assert record["us"] > 0
        assert record["max_abs_difference"] < 1e-4
        assert record["cache"] == "network"
        ours = record["engine"] == OURS
        assert (record["isa"], bool(record["kernel_name"])) == (
            (native.isa(), True) if ours else (None, False)
        )
    rows, groups = compare(result["records"])
    assert [row.layer for row in rows] == ["conv1x1 1x1/1 64x128@14", "depthwise 3x3/1 64x64@28"]
    assert [(group.op, group.peer, group.layers) for group in groups] == [
        ("conv1x1", "onnxruntime", 1), ("depthwise", "onnxruntime", 1),
    ]  # fmt: skip


def test_a_missing_peer_is_said_and_ours_goes_on(small, monkeypatch):
    monkeypatch.setattr(process.importlib.util, "find_spec", lambda name: None)
    notes = []
    result = bench_layers(ops=["depthwise"], peers=["onnxruntime"], rounds=2, note=notes.append)
    assert "onnxruntime is left out, it is not installed" in notes[0]
    assert [one["engine"] for one in result["records"]] == [OURS]
    assert compare(result["records"])[1] == []


def test_what_computes_something_else_has_no_time(small, monkeypatch):
    monkeypatch.setattr(contest, "reference", lambda network, images: np.ones((1, 64 * 28 * 28)))
    notes = []
    result = bench_layers(ops=["depthwise"], peers=[], rounds=1, note=notes.append)
    assert result["records"] == []
    assert "depthwise 3x3 64x64@28 (one) dense: sparsenas is not timed, its outputs are off by" in notes[0]


def test_a_time_that_is_none_is_said(small, monkeypatch):
    monkeypatch.setattr(layers, "added_us", lambda visits: -1.0)
    notes = []
    result = bench_layers(ops=["depthwise"], peers=[], rounds=1, note=notes.append)
    assert result["records"] == []
    assert any("sparsenas has no time, more copies took less" in note for note in notes)


def test_groups_are_geometric_means_of_an_operator_and_stride():
    def record(engine, us, **changed):
        layer = {"op": "depthwise", "c_in": 8, "c_out": 8, "height": 7, "width": 7, "kernel": 3, "stride": 1}
        return layer | changed | {"engine": engine, "us": us, "arrangement": "chain"}

    rows, (one, two) = compare([
        record(OURS, 10.0), record("onnxruntime", 20.0),
        record(OURS, 10.0, height=14), record("onnxruntime", 80.0, height=14),
        record(OURS, 10.0, stride=2), record("onnxruntime", 5.0, stride=2),
        record("onnxruntime", 5.0, op="conv"),
    ])  # fmt: skip
    assert [row.over_peers for row in rows] == [
        {"onnxruntime": 2.0}, {"onnxruntime": 8.0}, {"onnxruntime": 0.5}, {},
    ]  # fmt: skip
    assert (one.stride, one.layers, one.speedup, one.least) == (1, 2, pytest.approx(4.0), 2.0)
    assert (two.stride, two.layers, two.speedup, two.least) == (2, 1, 0.5, 0.5)


def test_a_core_that_is_not_there_is_refused():
    with pytest.raises(UserError):
        bench_layers(ops=["conv"], peers=[], core=10**6)
