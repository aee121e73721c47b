"""What the command says of a space is what the space says."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from sparsenas import survey
from sparsenas.__main__ import main
from sparsenas.cli.lookup import find_space
from sparsenas.latency.library import local_table_path
from sparsenas.latency.model import LatencyModel
from sparsenas.latency.table import save
from tests.latency.made_up import table_of_mobilenets, table_of_space

SVG = "{http://www.w3.org/2000/svg}"
TINY = find_space("tiny")
MINE = """
from sparsenas.builder import Builder
net = Builder("<mine>", image=(8, 6, 3), classes=2)
x = net.conv_hwc("stem & all", net.image, net.choice("how <wide>", (8, 16)))
SPACE = net.classify(x)
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *args):
    """Runs the command and returns what it printed and its figures."""
    assert main(["space", *args, "--json", "space.json"]) == 0
    return capsys.readouterr().out, json.loads(Path("space.json").read_text())


def fails(capsys, *args):
    assert main(["space", *args]) == 2
    found = capsys.readouterr().err
    assert found.startswith("sparsenas: error: ")
    assert found.count("\n") == 1
    return found


def test_choices_counts_and_extremes(home, capsys):
    text, found = run(capsys, "tiny")
    assert "10,692,864 different networks in 56,623,104 combinations" in text
    assert re.search(r"stage\*\.block\*\.expand\.sparsity +│ +5 │ unstructured 0\.7 0\.8 0\.9 0\.95", text)
    assert (found["architectures"], found["combinations"]) == (survey.architectures(TINY), TINY.size)
    assert [choice["name"] for choice in found["choices"]] == [choice.name for choice in TINY.choices]
    for position, name in enumerate(("macs", "parameters")):
        for end in ("least", "most"):
            arch = found["ranges"][name][f"{end}_arch"]
            assert arch in text
            assert survey.totals(TINY.layers(TINY.parse(arch)))[position] == found["ranges"][name][end]
    assert "latency_ms" not in found["ranges"]
    assert "No latencies: This machine has no latency table yet" in text


def test_a_table_that_does_not_reach_is_no_error_where_none_was_named(home, capsys):
    local_table_path().parent.mkdir(parents=True)
    save(table_of_mobilenets(), local_table_path())
    text, found = run(capsys, "alexnet", "--side", "32")
    assert "No latencies: The latency table of device 'made-up' has no measurement of any max_pool" in text
    assert found["ranges"].keys() == {"macs", "parameters"}
    assert "latency_ms" not in found["references"]["alexnet"]
    _, found = run(capsys, "mobilenet_v1", "--side", "32")
    assert found["references"]["1.0"]["latency_ms"] <= found["ranges"]["latency_ms"]["most"]
    assert found["device"]["extrapolated"] > 0


def test_latencies_are_those_of_a_table(home, capsys):
    save(table_of_space(TINY), home / "one.json")
    model = LatencyModel.load("one.json")
    text, found = run(capsys, "tiny", "--device", "one.json", "--arch", "smallest")
    latency = found["ranges"]["latency_ms"]
    for end in ("least", "most"):
        ms = model.predict(TINY.parse(latency[f"{end}_arch"]), TINY)
        assert latency[end] == pytest.approx(float(ms))
        assert f"{ms:.4f} ms" in text
    assert latency["least"] < latency["most"]
    assert found["network"]["latency_ms"] == pytest.approx(float(model.predict(TINY.smallest, TINY)))
    assert found["device"] == {"name": "made-up", "kind": "measured", "layers": 132, "extrapolated": 0}
    assert "0 of 132 kinds of layers lie outside" in text
    us = sum(layer["us"] for layer in found["network"]["layers"]) + model.fixed_us(TINY.smallest, TINY)
    assert us / 1e3 == pytest.approx(found["network"]["latency_ms"])


def test_layers_of_a_reference_and_of_a_side(home, capsys):
    text, found = run(capsys, "mobilenet_v1", "--side", "32", "--reference", "0.25")
    space = find_space("mobilenet_v1", 32)
    layers = space.layers(space.references["0.25"])
    assert [layer["name"] for layer in found["network"]["layers"]] == [layer.name for layer in layers]
    assert (found["network"]["macs"], found["network"]["parameters"]) == survey.totals(layers)
    assert found["image"] == [32, 32, 3]
    assert found["references"].keys() == space.references.keys()
    assert "depthwise 8x8@32x32 kernel=3 relu6" in text


def test_names_of_a_users_file_are_text_and_no_markup(home, capsys):
    (home / "mine.py").write_text(MINE)
    text, found = run(capsys, "mine.py", "--svg", "mine.svg")
    assert "<mine>: images of 8 x 6 x 3, 2 classes; 1 choices" in text
    assert found["space"] == "<mine>"
    texts = {one.text for one in ET.fromstring((home / "mine.svg").read_text()).iter(f"{SVG}text")}
    assert {"stem & all", "how <wide>"} <= texts


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (
            ["huge"],
            "No space named 'huge'. There are: alexnet, efficientnet, efficientnet_lite, grid, mobilenet_v1",
        ),
        (["none.py"], "No file 'none.py' to read the space from."),
        (["tiny", "--side", "0"], "`side` of the image must be at least 1, found 0"),
        (["alexnet", "--side", "14"], "Layer 'pool5' of space 'alexnet' has windows of 3 x 3"),
        (["tiny", "--arch", "0-1"], "has 14 option indices, found 2"),
        (["tiny", "--arch", "tall"], "No architecture of space 'tiny' is named 'tall'"),
        (["tiny", "--reference", "1.0"], "Space 'tiny' has no reference '1.0'; there are: none."),
        (["mobilenet_v2", "--reference", "2.0"], "has no reference '2.0'; there are: 0.35, 0.5, 0.75, 1.0"),
        (["tiny", "--arch", "largest", "--reference", "1.0"], "Expected --arch or --reference, found both"),
        (["tiny", "--svg", "tiny.png"], "ends in .svg, found 'tiny.png'"),
        (["tiny", "--device", "nowhere"], "No device named 'nowhere'"),
        (["alexnet", "--device", "few.json"], "has no measurement of any max_pool"),
    ],
)
def test_bad_input_is_one_line(home, capsys, args, says):
    save(table_of_mobilenets(), home / "few.json")
    assert says in fails(capsys, *args)
    assert {path.name for path in home.iterdir()} == {"few.json"}
