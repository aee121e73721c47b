import os

import pytest

from sparsenas import native
from sparsenas.bench import kernels
from sparsenas.bench.kernels import bench_kernels, layer_groups, records_of, scaling, summarize
from sparsenas.bench.machine import copy_gbytes, cores_of, instruction_set, on_cores
from sparsenas.errors import UserError

# What figures are compared by from one version to the next; `cache` says more.
MACHINE = {"cpu", "isa", "cores", "peak_gflops", "l1d_bytes", "l2_bytes"}
FIELDS = {
    "op", "pattern", "c_in", "c_out", "height", "width", "kernel", "stride", "sparsity", "isa", "kernel_name",
    "us", "dense_us", "useful_gflops", "fraction_of_peak", "speedup_over_dense", "cache", "threads",
    "speedup_over_one_thread",
}  # fmt: skip
CORES = os.sched_getaffinity(0)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(kernels, "POINTWISE", ((8, 16, 7),))
    monkeypatch.setattr(kernels, "DEPTHWISE", ((8, 7, 3, 1),))


def test_every_shape_starts_dense_and_has_each_pattern_at_each_sparsity():
    groups = list(layer_groups(["conv1x1", "conv"], [0.8, 0.9]))
    assert len(groups) == 21 + 4
    for group in groups:
        assert group[0].pattern.name == "dense"
        assert {(layer.c_in, layer.c_out, layer.height) for layer in group} == {
            (group[0].c_in, group[0].c_out, group[0].height)
        }
    names = [(kernels.pattern_name(layer), layer.sparsity) for layer in groups[0]]
    patterns = ("unstructured", "block2", "block4")
    assert names == [("dense", 0.0), *((p, s) for p in patterns for s in (0.8, 0.9))]
    # Also where PCONV has it: four entries of 28 % of the kernels.
    assert [kernels.pattern_name(layer) for layer in groups[-1]] == [
        "dense",
        *["direct"] * 2,
        *["pattern"] * 3,
    ]
    assert groups[-1][4].sparsity == pytest.approx(1 - 0.28 * 4 / 9, abs=1e-4)


def test_a_record_follows_from_time_and_peak():
    dense, sparse = next(layer_groups(["conv1x1"], [0.9]))[:2]
    records = records_of([dense, sparse], ["a", "b"], [100.0, 25.0], isa="avx2", peak=50.0)
    assert records[1].speedup_over_dense == 4
    assert records[1].dense_us == 100
    assert records[1].useful_gflops == pytest.approx(2 * sparse.nonzeros * 112 * 112 / 25e3)
    assert records[1].fraction_of_peak == pytest.approx(records[1].useful_gflops / 50)
    assert (records[1].threads, records[1].speedup_over_one_thread) == (1, 1.0)


def test_threads_have_the_peak_of_as_many_cores():
    (dense, *_) = next(layer_groups(["conv1x1"], [0.9]))
    (record,) = records_of([dense], ["a"], [50.0], isa="avx2", peak=50.0, threads=2, one_us=[90.0])
    assert record.speedup_over_one_thread == pytest.approx(1.8)
    assert record.fraction_of_peak == pytest.approx(record.useful_gflops / 100)
    assert record.speedup_over_dense == 1.0


def test_scaling_is_that_of_large_layers_on_several_threads():
    def record(mflop, speedup, *, pattern="dense", threads=2):
        return {
            "op": "conv1x1", "pattern": pattern, "threads": threads, "us": 300.0,
            "useful_gflops": mflop / 300 * 1e3, "speedup_over_one_thread": speedup,
        }  # fmt: skip

    dense, block = scaling([
        record(500, 1.0, threads=1),
        record(20, 1.6), record(40, 1.8), record(30, 1.5, pattern="block2"),
        record(19, 0.5),
    ])  # fmt: skip
    assert (dense.op, dense.pattern, dense.threads, dense.layers) == ("conv1x1", "dense", 2, 2)
    assert dense.speedup == pytest.approx((1.6 * 1.8) ** 0.5)
    assert dense.least == 1.6
    assert (block.pattern, block.layers, block.least) == ("block2", 1, 1.5)


def test_summaries_are_geometric_means_over_shapes():
    base = {"op": "conv1x1", "pattern": "block2", "sparsity": 0.9, "cache": "hot", "threads": 1}
    records = [
        {**base, "fraction_of_peak": 0.2, "speedup_over_dense": 2.0},
        {**base, "fraction_of_peak": 0.8, "speedup_over_dense": 8.0},
        {**base, "cache": "cold", "fraction_of_peak": 0.1, "speedup_over_dense": 1.0},
    ]
    hot, cold = summarize(records)
    assert (hot.cache, hot.shapes, cold.cache) == ("hot", 2, "cold")
    assert hot.fraction_of_peak == pytest.approx(0.4)
    assert hot.speedup_over_dense == pytest.approx(4.0)
    assert hot.slowest_over_dense == 2.0


@pytest.mark.parametrize("isa", native.isas())
def test_a_run_has_the_fields_that_versions_are_compared_by(small, isa):
    result = bench_kernels(ops=["conv1x1", "depthwise"], sparsities=[0.9], isa=isa, rounds=1)
    assert set(result) == {"machine", "version", "records"}
    assert set(result["machine"]) == MACHINE
    assert result["machine"]["isa"] == isa
    # Dense, three patterns and depthwise, each hot and cold.
    assert len(result["records"]) == 10
    for record in result["records"]:
        assert set(record) == FIELDS
        assert record["isa"] == isa
        assert record["us"] > 0


@pytest.mark.skipif(len(CORES) < 2, reason="needs two cores")
def test_several_threads_take_turns_with_one(small):
    result = bench_kernels(ops=["conv1x1"], sparsities=[0.9], threads=[2], rounds=1)
    found = [(record["cache"], record["threads"], record["pattern"]) for record in result["records"]]
    patterns = ("dense", "unstructured", "block2", "block4")
    # Another core's caches are not emptied.
    turns = [("hot", 1), ("hot", 2), ("cold", 1)]
    assert found == [(*turn, pattern) for turn in turns for pattern in patterns]
    for one, two in zip(result["records"][:4], result["records"][4:8], strict=True):
        assert two["speedup_over_one_thread"] == pytest.approx(one["us"] / two["us"])
        assert one["speedup_over_one_thread"] == 1
    assert {(s.cache, s.threads) for s in summarize(result["records"])} == set(turns)
    assert os.sched_getaffinity(0) == CORES


def test_threads_need_as_many_cores():
    many = len(CORES) + 1
    with pytest.raises(UserError, match=f"`threads` must be from 1 to {many - 1}, .* found {many}"):
        bench_kernels(ops=["conv1x1"], threads=[many], rounds=1)
    assert cores_of(1, None) == [max(CORES)]
    assert cores_of(len(CORES), None) == sorted(CORES)


def test_cores_are_for_a_while():
    with on_cores([max(CORES)]):
        assert os.sched_getaffinity(0) == {max(CORES)}
    assert os.sched_getaffinity(0) == CORES


def test_an_instruction_set_is_for_a_while():
    before = native.isa()
    with instruction_set("scalar") as name:
        assert name == native.isa() == "scalar"
    assert native.isa() == before
    with pytest.raises(UserError, match="must name"), instruction_set("sse9"):
        pass
    assert native.isa() == before


def test_copying_has_a_rate():
    assert copy_gbytes(2**16, repeats=2) > 0
