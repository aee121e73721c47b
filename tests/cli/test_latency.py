"""What a user sees of predictions: `sparsenas latency` and `sparsenas serve`."""

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from sparsenas.__main__ import main
from sparsenas.cli.lookup import find_space
from sparsenas.export.network import random_network
from sparsenas.export.snas import to_bytes
from sparsenas.latency.layer_text import bare
from sparsenas.latency.model import LatencyModel
from sparsenas.latency.planned import layers_of
from sparsenas.latency.table import save
from sparsenas.native import Model
from sparsenas.networks.catalog import REFERENCES
from sparsenas.networks.pruning import uniform
from sparsenas.report.sparsity import lines_of
from sparsenas.space import Layer
from sparsenas.sparsity.patterns import Block
from tests.latency.made_up import table_of_mobilenets, table_of_space

SPACE = find_space("tiny")
LAYER = "conv1x1 64x128@12 sparsity=0.9 block=4"


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    save(table_of_space(SPACE), folder / "one.json")
    save(replace(table_of_mobilenets(), device="two", kind="modelled"), folder / "two.json")
    return str(folder / "one.json"), str(folder / "two.json")


def fails(capsys, *args):
    assert main(list(args)) == 2
    found = capsys.readouterr().err
    assert found.startswith("sparsenas: error: ")
    assert found.count("\n") == 1
    return found


def test_a_layer_is_explained(capsys, tables):
    assert main(["latency", "--device", tables[1], "--layer", LAYER]) == 0
    text = capsys.readouterr().out
    us = LatencyModel.load(tables[1]).layer_us(_parsed(LAYER))
    assert f"{us:.3f}" in text
    assert "two (modelled)" in text
    assert "Nearest measurements" in text


def _parsed(text):
    from sparsenas.latency.layer_text import parse_layer

    return parse_layer(text)


def test_json_of_a_layer(capsys, tables):
    assert main(["latency", "--compare", ",".join(tables), "--layer", LAYER, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["layer"] == "conv1x1 64x128@12x12 block4=0.9"
    assert [(p["device"], p["kind"]) for p in found["predictions"]] == [
        ("made-up", "measured"), ("two", "modelled"),
    ]  # fmt: skip
    assert found["predictions"][1]["us"] == LatencyModel.load(tables[1]).layer_us(_parsed(LAYER))


def test_devices_beside_each_other(capsys, tables):
    assert main(["latency", "largest", "--compare", ",".join(tables)]) == 0
    text = capsys.readouterr().out
    for path in tables:
        assert f"{LatencyModel.load(path).predict(SPACE.largest, SPACE):.4f}" in text


def test_json_of_a_network(capsys, tables):
    assert main(["latency", "smallest", "--device", tables[0], "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["predictions"]
    assert found["ms"] == LatencyModel.load(tables[0]).predict(SPACE.smallest, SPACE)
    assert found["ms"] == pytest.approx(
        (found["fixed_us"] + sum(layer["us"] for layer in found["layers"])) / 1e3
    )


def test_extrapolation_is_printed(capsys, tables):
    assert main(["latency", "largest", "--device", tables[1]]) == 0
    assert "Extrapolated: " in capsys.readouterr().out


def test_a_model_file_and_a_run_are_their_layers(capsys, tables, tmp_path):
    layers = SPACE.layers(SPACE.smallest)
    best = tmp_path / "run" / "best" / "model.snas"
    best.parent.mkdir(parents=True)
    best.write_bytes(to_bytes(random_network(layers, seed=0)))
    ms = LatencyModel.load(tables[0]).predict(layers_of(Model.open(best)))
    assert ms == pytest.approx(LatencyModel.load(tables[0]).predict(layers), rel=0.02)
    for given in (best, tmp_path / "run"):
        assert main(["latency", str(given), "--device", tables[0]]) == 0
        assert f"Predicted {ms:.4f} ms" in capsys.readouterr().out


@pytest.mark.parametrize(
    "layers",
    [
        SPACE.layers(SPACE.largest),
        REFERENCES["mobilenet_v2"].layers(width=0.25, side=64, rule=uniform(0.9, Block(4))),
        REFERENCES["alexnet"].layers(width=0.1, side=128),
        REFERENCES["resnet18"].layers(width=0.25, side=64),
    ],
    ids=["tiny", "mobilenet_v2", "alexnet", "resnet18"],
)
def test_layers_of_a_model_file_are_those_it_was_made_of(layers):
    found = layers_of(Model.from_bytes(to_bytes(random_network(layers, seed=0))))

    def shape(layer: Layer) -> Layer:
        return replace(bare(layer), sparsity=0.0)

    assert list(map(shape, found)) == list(map(shape, layers))
    for one, other in zip(found, layers, strict=True):
        assert one.nonzeros == pytest.approx(other.nonzeros, abs=4)


def test_a_picture_shows_where_sparse_pays(capsys, tables, tmp_path):
    path = tmp_path / "layer.svg"
    assert main(["latency", "--device", tables[1], "--layer", LAYER, "--plot", str(path)]) == 0
    assert f"Wrote {path}" in capsys.readouterr().out
    root = ET.fromstring(path.read_text())
    text = "".join(root.itertext())
    dense_us, lines = lines_of(LatencyModel.load(tables[1]), _parsed(LAYER))
    assert "block4" in text
    # In the made-up device a nonzero takes 1.3 times as long as a weight of the dense kernel.
    (block4,) = (line for line in lines if line.pattern == "block4")
    assert block4.us[-1] < dense_us
    assert block4.pays_from is not None
    assert f"pays from {block4.pays_from:.0%}" in text
    assert len(root.findall(".//{http://www.w3.org/2000/svg}path[@class='line']")) == len(lines)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--layer", "conv1x1 64x128"], "A layer is written like"),
        (["--layer", "max_pool 8x8@8 kernel=2"], "no measurement of any max_pool"),
        (["--layer", LAYER, "largest"], "a network or --layer, found both"),
        (["--plot", "x.svg"], "draws one --layer"),
        (["--layer", LAYER, "--plot", "x.png"], "ends in .svg"),
        (["0-1"], "has 14 option indices, found 2"),
        (["none.snas"], "none.snas"),
        (["."], "Expected a finished run in '.'"),
        (["--threads", "3"], "no layers measured with 3 threads"),
    ],
)
def test_bad_input_of_latency_is_one_line(capsys, tables, tmp_path, monkeypatch, args, says):
    monkeypatch.chdir(tmp_path)
    assert re.search(says, fails(capsys, "latency", "--device", tables[0], *args))
    assert not list(tmp_path.iterdir())


def test_unknown_devices_are_one_line(capsys):
    assert "No device named 'nowhere'" in fails(capsys, "latency", "--compare", "nowhere,local")


def test_a_damaged_table_is_one_line(capsys, tables, tmp_path):
    path = tmp_path / "table.json"
    path.write_text(Path(tables[0]).read_text()[:5000])
    for command in ("latency", "serve"):
        assert "is not complete JSON" in fails(capsys, command, "--device", str(path))


@pytest.mark.parametrize(
    ("args", "token", "says"),
    [
        (["--host", "0.0.0.0"], "", "needs a token: set SPARSENAS_TOKEN"),
        (["--host", "::"], "", "needs a token"),
        (["--host", "example.org"], "", "needs a token"),
        (["--host", "0.0.0.0"], "short", "at least 16 printable characters"),
        (["--token-file", "none.txt"], "", "Cannot read the token file 'none.txt'"),
        (["--port", "65536"], "", "A port is a number up to 65535"),
        (["--device"], "", "at least one device"),
    ],
)
def test_bad_input_of_serve_is_one_line(capsys, tables, tmp_path, monkeypatch, args, token, says):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPARSENAS_TOKEN", token)
    device = [] if "--device" in args else ["--device", tables[0]]
    assert says in fails(capsys, "serve", *device, *args)
