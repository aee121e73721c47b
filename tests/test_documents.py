"""What the documents tell people to type works."""

import re
import subprocess
import sys
from pathlib import Path

from sparsenas.cli.lookup import find_space

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
