"""What the documents tell people to type works."""

import re
import subprocess
import sys
from pathlib import Path

from sparsenas.cli.lookup import find_space, known_spaces

ROOT = Path(__file__).parent.parent


def python_block(document):
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
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
