"""What the documents tell people to type works."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from sparsenas.cli.export import Options
from sparsenas.cli.lookup import find_space, known_spaces
from sparsenas.cli.parse import parse
from sparsenas.export.network import random_network
from sparsenas.export.stablehlo import to_stablehlo

ROOT = Path(__file__).parent.parent


def python_blocks(document):
    return re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)


def python_block(document):
    (block,) = python_blocks(document)
    return block


def test_readme_example_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    short = (
        'SearchSettings(space="tiny", dataset="digits", trials=8, finalists=1, '
        "supernet=SupernetSettings(steps=20), network=NetworkSettings(steps=20))"
    )
    code = "from sparsenas.train import NetworkSettings, SupernetSettings\n" + python_block("README.md")
    assert code.count('SearchSettings(space="tiny", dataset="digits")') == 1
    (tmp_path / "example.py").write_text(
        code.replace('SearchSettings(space="tiny", dataset="digits")', short)
    )
    done = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "x faster than dense" in done.stdout
    assert (tmp_path / "runs" / "mine" / "best" / "model.snas").exists()


def test_contributing_example_is_a_space(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(python_block("CONTRIBUTING.md"))
    space = find_space(str(path))
    assert space.size == 4
    assert {layer.sparsity for layer in space.layers(space.smallest)} == {0.0, 0.9}


def test_example_of_a_space_is_one(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(python_block("docs/spaces.md"))
    space = find_space(str(path))
    assert space.image == (32, 32, 3)
    assert find_space(str(path), 64).image == (64, 64, 3)
    names = [layer.name for layer in space.layers(space.references["plain"])]
    assert names == ["stem", "filter", "mix", "pool", "classifier"]
    assert "more" in [layer.name for layer in space.layers(space.largest)]


def test_spaces_and_references_are_listed():
    listed = {
        row.split("|")[1].strip(" `"): set(re.findall(r"`([^`]+)`", row.split("|")[4]))
        for row in (ROOT / "docs/spaces.md").read_text().splitlines()
        if row.startswith("| `")
    }
    assert listed.keys() == set(known_spaces())
    for name, references in listed.items():
        known = set(find_space(name).references)
        # Those that differ in their fraction of zeros alone are listed once.
        assert references <= known
        assert {one.partition("-published")[0] for one in known} <= references | {""}


def test_every_command_of_exporting_is_one():
    lines = [
        line.split("#")[0].strip()
        for line in (ROOT / "docs/exporting.md").read_text().splitlines()
        if line.startswith("    sparsenas export ")
    ]
    formats = {parse(Options, shlex.split(line)[2:], command="export").format for line in lines}
    assert formats == {"snas", "tflite", "onnx", "stablehlo", "web", "c"}


def test_python_of_exporting_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels, stablehlo = python_blocks("docs/exporting.md")
    Image.new("RGB", (40, 30), "white").save("image.png")
    exec(pixels, {})
    np.testing.assert_array_equal(np.fromfile("image.f32", np.float32), np.ones(32 * 32 * 3))
    space = find_space("tiny")
    network = random_network(space.layers(space.smallest), seed=0)
    (tmp_path / "model.stablehlo").write_bytes(to_stablehlo(network))
    found = {}
    exec(stablehlo, found)
    assert found["logits"].shape == (5, 10)
