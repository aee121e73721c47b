"""What a user sees of `sparsenas bench training`."""

import json

from sparsenas.__main__ import main
from sparsenas.cli import bench_training

RESULT = {
    "machine": {"cpu": "Some CPU"},
    "version": "1",
    "records": [
        {"network": "tiny", "batch": 8, "threads": 2, "jax_step_ms": 40.0, "torch_step_ms": 80.0,
         "torch_version": "2", "forward_ms": 10.0, "gradient_ms": 38.0},
        {"network": "mobilenet_v2", "batch": 8, "threads": 2, "jax_step_ms": 300.0, "torch_step_ms": None,
         "torch_version": None, "forward_ms": 100.0, "gradient_ms": 290.0},
    ],
    "primitives": [
        {"primitive": "depthwise", "shape": (8, 4, 4, 3), "out": 3, "stride": 1, "threads": 2,
         "forward_ms": 1.25, "gradient_ms": 2.5, "xla_forward_ms": 20.0, "xla_gradient_ms": 50.0,
         "torch_forward_ms": None, "torch_gradient_ms": None},
    ],
}  # fmt: skip


def test_tables_and_the_file(monkeypatch, capsys, tmp_path):
    given = {}

    def bench(networks, **settings):
        given.update(settings, networks=networks)
        return RESULT

    monkeypatch.setattr(bench_training, "bench_training", bench)
    path = tmp_path / "training.json"
    assert not main(["bench", "training", "--threads", "1,2", "--batch", "8", "--json", str(path)])
    assert (given["threads"], given["batch"]) == ((1, 2), 8)
    assert [layers[-1].op for layers in given["networks"].values()] == ["fully_connected"] * 2
    # MobileNet v2 at 32x32 as at 224x224, stage for stage, but for ten classes.
    layers = {layer.name: layer for layer in given["networks"]["mobilenet_v2"]}
    assert layers["stage1.block1.project"].macs == 32 * 16 * 32 * 32
    assert layers["head"].macs == 320 * 1280 * 4 * 4
    assert layers["classifier"].c_out == 10
    assert sum(layer.op == "depthwise" for layer in layers.values()) == 17
    shown = " ".join(capsys.readouterr().out.split())
    for part in ("8 images of 32x32", "40.0", "0.50", "4.0", "300.0", "8x4x4x3", "1.25"):
        assert part in shown
    assert json.loads(path.read_text())["records"] == RESULT["records"]


def test_bad_numbers_are_one_line(capsys):
    assert main(["bench", "training", "--rounds", "0"]) == 2
    assert "`--rounds` must be at least 1, found 0." in capsys.readouterr().err
