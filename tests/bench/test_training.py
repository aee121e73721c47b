"""The benchmark of training steps: the same networks in both libraries, and the same fields every time."""

from dataclasses import replace

import pytest

from sparsenas.bench import training
from sparsenas.bench.trained import space_of
from sparsenas.bench.training import bench_training
from sparsenas.builder import Builder
from sparsenas.cli.lookup import find_space
from sparsenas.errors import UserError

# What figures are compared by from one version to the next.
FIELDS = {
    "network", "batch", "threads", "jax_step_ms", "torch_step_ms", "torch_version", "forward_ms",
    "gradient_ms",
}  # fmt: skip
PRIMITIVE_FIELDS = {
    "primitive", "shape", "out", "stride", "threads", "forward_ms", "gradient_ms", "xla_forward_ms",
    "xla_gradient_ms", "torch_forward_ms", "torch_gradient_ms",
}  # fmt: skip


def small():
    net = Builder("small", image=(8, 8, 3), classes=4)
    x = net.conv_hwc("stem", net.image, 8, stride=2, activation="relu6")
    y = net.depthwise("filter", x, activation="relu6")
    y = net.conv1x1("project", y, 8)
    return net.classify(net.add("add", x, y)).layers(())


def test_a_network_is_built_again_from_its_layers():
    space = find_space("mobilenet_v2", 32)
    layers = space.layers(space.references["1.0"])
    fields = ("op", "inputs", "c_in", "c_out", "height", "width", "kernel", "stride", "activation")
    described = [{field: getattr(layer, field) for field in fields} for layer in layers]
    again = space_of(described, layers[-1].c_out).layers(())
    assert [replace(layer, name="") for layer in again] == [replace(layer, name="") for layer in layers]


def test_other_operators_are_refused():
    layers = [{"op": "max_pool", "inputs": [-1], "height": 8, "width": 8, "c_in": 3, "kernel": 2, "stride": 2,
               "activation": "none"}] * 3  # fmt: skip
    with pytest.raises(ValueError, match="Expected layers of inverted residuals, found 'max_pool'."):
        space_of(layers, 4)


def test_a_run_has_the_fields_that_versions_are_compared_by(monkeypatch):
    primitives = [("depthwise", (2, 4, 4, 3), 3, 2), ("convolution", (2, 4, 4, 3), 5, 1)]
    monkeypatch.setattr(training, "PRIMITIVES", primitives)
    progress, notes = [], []
    result = bench_training(
        {"small": small()}, batch=4, threads=[1], rounds=1,
        report=lambda *at: progress.append(at), note=notes.append,
    )  # fmt: skip
    assert set(result) == {"machine", "version", "records", "primitives"}
    at = [(done, total) for done, total, _ in progress]
    assert at == sorted(at)
    assert (at[0], at[-1]) == ((0, 2), (2, 2))
    for what in ("start", "sparsenas trains", "gradient pass", "depthwise"):
        assert any(note == f"small, threads: 1, {what}" for *_, note in progress)
    (record,) = result["records"]
    assert set(record) == FIELDS
    assert (record["network"], record["batch"], record["threads"]) == ("small", 4, 1)
    assert min(record["jax_step_ms"], record["forward_ms"], record["gradient_ms"]) > 0
    assert [part["primitive"] for part in result["primitives"]] == ["depthwise", "convolution"]
    for part in result["primitives"]:
        assert set(part) == PRIMITIVE_FIELDS
        assert part["gradient_ms"] > 0
        assert (part["torch_forward_ms"] is None) == (record["torch_step_ms"] is None)
    assert (record["torch_step_ms"] is None) == any("PyTorch is left out" in note for note in notes)


def test_missing_pytorch_is_one_line_and_ours_goes_on(monkeypatch, tmp_path):
    monkeypatch.setattr(training, "TORCH", tmp_path / "python")
    monkeypatch.setattr(training.importlib.util, "find_spec", lambda name: None)
    notes = []
    result = bench_training(
        {"small": small()}, batch=4, threads=[1], rounds=1, primitives=False, note=notes.append
    )
    assert [note.split()[0] for note in notes] == ["PyTorch"]
    assert result["records"][0]["torch_step_ms"] is None
    assert result["records"][0]["jax_step_ms"] > 0
    assert result["primitives"] == []


def test_a_library_that_fails_is_one_line(monkeypatch):
    monkeypatch.setattr(training, "PRIMITIVES", [("fold", (2, 4, 4, 3), 3, 1)])
    with pytest.raises(UserError, match="^small cannot be measured: sparsenas: KeyError: 'fold'.$"):
        bench_training({"small": small()}, batch=4, threads=[1], rounds=1, torch=False)
