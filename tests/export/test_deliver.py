"""Exports are checked before they count, and nothing half done remains."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from sparsenas.errors import UserError
from sparsenas.export import deliver
from sparsenas.export.check import difference, jax_outputs, noise
from sparsenas.export.deliver import FORMATS, Settings
from sparsenas.export.network import normalized, random_network, reference
from sparsenas.export.read import read
from sparsenas.networks.catalog import REFERENCES
from sparsenas.networks.pruning import uniform

MOST_LAYERS = 30
INSTALL = "needs packages: pip install 'sparsenas[peers]'"
PACKAGES = {"tflite": "ai_edge_litert", "onnx": "onnxruntime"}


@pytest.fixture(scope="module")
def network():
    layers = REFERENCES["mobilenet_v1"].layers(width=0.25, side=32, classes=7, rule=uniform(0.9))
    return normalized(random_network(layers, seed=0), noise((32, 32, 3), 2))


def write(network, format, out, **settings):
    force = settings.pop("force", False)
    images = noise(network.image, 3)
    return deliver.deliver(
        network, format, out, images=images, source="noise", settings=Settings(**settings), force=force
    )


def test_jax_computes_the_folded_network(subject):
    network, image, expected = subject
    if len(network.layers) > MOST_LAYERS:
        pytest.skip("compiling it takes long, and brings nothing new")
    found = jax_outputs(network, np.concatenate([image, image]))
    np.testing.assert_allclose(found, [expected] * 2, atol=5e-5 * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("format", ["snas", "tflite", "onnx", "stablehlo"])
def test_a_file_is_checked_by_its_engine_and_described(format, network, tmp_path):
    pytest.importorskip(PACKAGES.get(format, "jax"), reason=INSTALL)
    out = tmp_path / f"model.{format}"
    check = write(network, format, out)
    stored = json.loads((tmp_path / f"model.{format}.json").read_text())
    assert stored["file_bytes"] == check.file_bytes == out.stat().st_size
    assert stored["images"] == 3
    assert stored["max_abs_difference"] <= 1e-4
    assert stored["top1_agreement"] == 1
    assert stored["engine_version"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, f"{out.name}.json"]


def test_sparse_initializers_make_onnx_smaller(network, tmp_path):
    pytest.importorskip("onnxruntime", reason=INSTALL)
    sizes = [
        write(network, "onnx", tmp_path / f"{sparse}", sparse=sparse).file_bytes for sparse in (False, True)
    ]
    assert sizes[1] < 0.8 * sizes[0]


@pytest.mark.parametrize("format", ["snas", "tflite"])
def test_half_precision_is_smaller_and_exact_in_itself(format, network, tmp_path):
    pytest.importorskip(PACKAGES.get(format, "jax"), reason=INSTALL)
    full = write(network, format, tmp_path / f"full.{format}")
    half = write(network, format, tmp_path / f"half.{format}", float16=True)
    assert half.file_bytes < 0.75 * full.file_bytes
    assert half.max_abs_difference <= 1e-4
    assert 0 < half.rounding_max_abs_difference < 0.1


def test_half_precision_is_refused_where_there_is_none(network, tmp_path):
    with pytest.raises(UserError, match="`--float16` is for the formats snas, tflite, web, c, not for onnx"):
        write(network, "onnx", tmp_path / "model.onnx", float16=True)


def test_what_is_there_stays_unless_forced(network, tmp_path):
    out = tmp_path / "model.snas"
    out.write_bytes(b"old")
    with pytest.raises(UserError, match="exists; give another --out, or --force"):
        write(network, "snas", out)
    assert out.read_bytes() == b"old"
    write(network, "snas", out, force=True)
    assert read(out).image == network.image


def test_a_folder_that_is_no_export_is_never_replaced(network, tmp_path):
    out = tmp_path / "precious"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="is no export"):
        write(network, "snas", out, force=True)
    assert (out / "thesis.tex").read_text() == "years of work"


def test_an_engine_that_computes_something_else_leaves_nothing(network, tmp_path, monkeypatch):
    broken = {**FORMATS, "snas": replace(FORMATS["snas"], run=_wrong)}
    monkeypatch.setattr(deliver, "FORMATS", broken)
    with pytest.raises(UserError, match="SparseNAS computes something else than JAX: outputs differ"):
        write(network, "snas", tmp_path / "model.snas")
    assert list(tmp_path.iterdir()) == []


def _wrong(path, images):
    return reference(read(path), images).astype(np.float32) + 0.01


def test_outputs_that_are_no_numbers_are_a_difference():
    with pytest.raises(UserError, match="differ by up to nan"):
        difference(np.array([[np.nan]]), np.array([[1.0]]), engine="it")
    with pytest.raises(UserError, match=r"outputs \[1, 2\], JAX \[1, 1\]"):
        difference(np.zeros((1, 2)), np.zeros((1, 1)), engine="it")


def test_a_missing_engine_is_one_line_and_leaves_nothing(network, tmp_path, monkeypatch):
    pytest.importorskip("onnx", reason=INSTALL)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match="needs the package onnxruntime"):
        write(network, "onnx", tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
