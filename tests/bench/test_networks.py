"""Whole networks beside other engines: the same fields every time, and nothing timed that is wrong."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from sparsenas.bench.networks import bench_networks, summarize, variants
from sparsenas.bench.peers import contest, process
from sparsenas.bench.peers.process import OURS, EngineError, Timing
from sparsenas.errors import UserError

# What figures are compared by from one version to the next.
MACHINE = {"cpu", "isa", "cores", "peak_gflops", "l1d_bytes", "l2_bytes"}
FIELDS = {
    "network", "sparsity", "pattern", "engine", "engine_version", "threads", "ms", "peak_memory_mb",
    "max_abs_difference", "batch", "load_ms", "file_mb", "speedup_over_one_thread",
}  # fmt: skip
SMALL = {"width": 0.25, "side": 32, "classes": 10}
PEERS = [
    peer
    for peer, modules in {"onnxruntime": ("onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}.items()
    if all(map(importlib.util.find_spec, modules))
]


def small_bench(**settings):
    return bench_networks(networks=["mobilenet_v1"], rounds=1, **SMALL, **settings)


def test_variants_are_dense_and_each_pattern_at_each_sparsity():
    names = [one.name for one in variants("mobilenet_v1", (0, 0.9, 0.8), ("published", "unstructured"))]
    assert names == [
        "mobilenet_v1 dense",
        "mobilenet_v1 unstructured 0.8", "mobilenet_v1 unstructured 0.9",
        "mobilenet_v1 published 0.8", "mobilenet_v1 published 0.9",
    ]  # fmt: skip
    # Kernel patterns are for one fraction only, and dense means dense.
    names = [one.name for one in variants("resnet18", (0.8, 0.9), ("pattern", "published"))]
    assert names == ["resnet18 pattern 0.876"]
    assert [one.name for one in variants("resnet18", (0,), ("pattern",))] == ["resnet18 dense"]


def test_a_run_has_the_fields_that_versions_are_compared_by():
    progress = []
    result = small_bench(
        sparsities=[0, 0.9], patterns=["unstructured"], peers=PEERS, report=lambda *at: progress.append(at)
    )
    assert set(result) == {"machine", "version", "records"}
    assert set(result["machine"]) == MACHINE
    assert progress == [
        (0, 2, "mobilenet_v1 dense"), (1, 2, "mobilenet_v1 unstructured 0.9"), (2, 2, ""),
    ]  # fmt: skip
    found = [(one["pattern"], one["sparsity"], one["engine"]) for one in result["records"]]
    engines = [OURS, *PEERS]
    assert found == [("dense", 0, e) for e in engines] + [("unstructured", 0.9, e) for e in engines]
    for record in result["records"]:
        assert set(record) == FIELDS
        assert record["ms"] > 0
        assert record["max_abs_difference"] < 1e-4
        assert (record["threads"], record["batch"], record["speedup_over_one_thread"]) == (1, 1, 1.0)
        assert record["file_mb"] > 0
        assert (record["load_ms"] is None) == (record["engine"] != OURS)
    for row in summarize(result["records"]):
        assert list(row.ms) == engines
        assert row.over_dense > 0
        assert row.load_ms > 0
    # A model of mostly zeros is a smaller file for us, and as large a one for an engine of dense tensors.
    sizes = {(one["engine"], one["pattern"]): one["file_mb"] for one in result["records"]}
    assert sizes[OURS, "unstructured"] < 0.6 * sizes[OURS, "dense"]
    if "onnxruntime" in PEERS:
        assert sizes["onnxruntime", "unstructured"] == sizes["onnxruntime", "dense"]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_each_engine_takes_turns_with_itself_on_several_threads():
    result = small_bench(sparsities=[0], peers=PEERS, threads=[2])
    found = [(one["engine"], one["threads"]) for one in result["records"]]
    assert sorted(found) == sorted((engine, threads) for engine in [OURS, *PEERS] for threads in (1, 2))
    one, two = summarize(result["records"])
    assert (one.threads, two.threads) == (1, 2)
    assert one.over_one_thread == 1
    assert two.over_one_thread == pytest.approx(one.ms[OURS] / two.ms[OURS])


def test_a_batch_is_computed_by_all_and_a_time_is_that_of_an_image():
    notes = []
    result = small_bench(sparsities=[0], peers=PEERS, batch=3, note=notes.append)
    # What engines compute is compared for each image.
    assert [one["engine"] for one in result["records"]] == [OURS, *PEERS], notes
    assert {one["batch"] for one in result["records"]} == {3}


def test_our_dense_twin_is_always_measured():
    result = small_bench(sparsities=[0.9], patterns=["published"], peers=[])
    assert [(one["pattern"], one["engine"]) for one in result["records"]] == [
        ("dense", OURS), ("published", OURS),
    ]  # fmt: skip


def test_speedups_are_over_the_fastest():
    def record(sparsity, engine, ms):
        pattern = "unstructured" if sparsity else "dense"
        return {
            "network": "n", "sparsity": sparsity, "pattern": pattern, "threads": 1, "engine": engine,
            "ms": ms,
        }  # fmt: skip

    dense, sparse = summarize([
        record(0.0, OURS, 6.0), record(0.0, "openvino", 3.0),
        record(0.9, OURS, 2.0), record(0.9, "openvino", 5.0), record(0.9, "litert", 4.0),
        record(0.9, "deepsparse", 1.0),
    ])  # fmt: skip
    assert (dense.over_dense, dense.over_dense_peers, dense.over_peers) == (1.0, 0.5, 0.5)
    assert (sparse.over_dense, sparse.over_dense_peers, sparse.over_peers) == (3.0, 2.0, 0.5)
    (alone,) = summarize([record(0.9, OURS, 2.0)])
    assert (alone.over_dense, alone.over_dense_peers, alone.over_peers) == (None, None, None)


def test_a_missing_engine_is_one_line_and_the_others_go_on(monkeypatch):
    def missing(engine):
        raise EngineError(f"{engine} is left out, it is not installed: `make peers`")

    monkeypatch.setattr(process, "find_python", missing)
    notes = []
    result = small_bench(sparsities=[0], peers=["deepsparse", "openvino"], note=notes.append)
    assert [one["engine"] for one in result["records"]] == [OURS]
    assert [note.split()[0] for note in notes if "not installed" in note] == ["deepsparse", "openvino"]


def test_an_engine_that_computes_something_else_is_not_timed(monkeypatch):
    monkeypatch.setattr(contest, "reference", lambda network, images: np.ones((1, 10)))
    notes = []
    result = small_bench(sparsities=[0], peers=[], note=notes.append)
    assert result["records"] == []
    assert "mobilenet_v1 dense: sparsenas is not timed, its outputs are off by" in notes[0]
    assert "expected at most 0.001" in notes[0]


def test_a_crowded_core_is_said():
    class Crowded:
        def run(self, times):
            return Timing(np.full(times, 2e-3), np.full(times, 1e-3))

    (variant,) = variants("mobilenet_v1", (0,), (), **SMALL)
    entrant = contest.Entrant(OURS, variant, Path("model.snas"), 1, Crowded(), difference=0.0, runs=3)
    notes = []
    assert contest.take_turns([entrant], 2, notes.append, one_core=True) == [entrant]
    # What the core gave it, not what passed.
    assert entrant.visits == pytest.approx([1.0, 1.0])
    assert "something else had the core for 50% of the time" in notes[0]
    contest.take_turns([entrant], 1, notes.append, one_core=False)
    assert entrant.visits[-1] == pytest.approx(2.0)


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(
        UserError, match="None of resnet18 has zeros in pattern published; there are: pattern"
    ):
        bench_networks(networks=["resnet18"], sparsities=[0.9], patterns=["published"])
    many = len(os.sched_getaffinity(0)) + 1
    with pytest.raises(UserError, match=f"`threads` must be from 1 to {many - 1}, .* found {many}"):
        small_bench(threads=[many])
