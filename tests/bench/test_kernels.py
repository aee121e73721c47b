import pytest

from sparsenas import native
from sparsenas.bench import kernels
from sparsenas.bench.kernels import bench_kernels, layer_groups, records_of, summarize
from sparsenas.bench.machine import copy_gbytes, instruction_set
from sparsenas.errors import UserError

# What figures are compared by from one version to the next; `cache` says more.
MACHINE = {"cpu", "isa", "cores", "peak_gflops", "l1d_bytes", "l2_bytes"}
FIELDS = {
    "op", "pattern", "c_in", "c_out", "height", "width", "kernel", "stride", "sparsity", "isa", "kernel_name",
    "us", "dense_us", "useful_gflops", "fraction_of_peak", "speedup_over_dense", "cache",
}  # fmt: skip


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


def test_summaries_are_geometric_means_over_shapes():
    base = {"op": "conv1x1", "pattern": "block2", "sparsity": 0.9, "cache": "hot"}
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
