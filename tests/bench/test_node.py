import shutil
from pathlib import Path

import pytest

import sparsenas
from sparsenas import cross
from sparsenas.bench import kernels, node
from sparsenas.bench.node import bench_node
from sparsenas.errors import UserError

BUILD = Path(sparsenas.__file__).resolve().parents[1] / "build" / "wasm" / "build.ninja"


@pytest.mark.skipif(not (shutil.which("node") and BUILD.is_file()), reason="needs node and `make test-wasm`")
def test_kernels_run_in_node(monkeypatch):
    monkeypatch.setattr(kernels, "POINTWISE", ((8, 16, 7), (16, 8, 5)))
    done = []
    result = bench_node(
        ops=["conv1x1"], sparsities=[0.9], rounds=1, report=lambda *progress: done.append(progress)
    )
    assert done == [(1, 2), (2, 2)]
    assert result["machine"]["isa"] == "wasm128"
    assert "node v" in result["machine"]["cpu"]
    assert len(result["records"]) == 8
    for record in result["records"]:
        assert record["kernel_name"].endswith("_wasm128")
        assert 0 < record["fraction_of_peak"] < 1.5  # A small layer between two measurements of the peak.


def test_an_old_node_is_one_line_with_what_to_install(monkeypatch):
    monkeypatch.setattr(node, "run", lambda command: "v18.20.4\n")
    monkeypatch.setattr(node, "tool", cross.tool if shutil.which("node") else lambda *args: "node")
    with pytest.raises(UserError, match="needs node 20 or newer, found v18.20.4: install"):
        node.find_node()
