from dataclasses import replace

import pytest

from sparsenas.bench.latency import architectures_per_second, bench_latency, transfers
from sparsenas.bench.service import bench_service
from sparsenas.cli.lookup import find_space
from sparsenas.errors import UserError
from sparsenas.latency.layer_text import describe
from sparsenas.latency.model import LatencyModel
from sparsenas.latency.table import save
from tests.latency.made_up import network, reference_networks, table_of_mobilenets, table_of_space

SPACE = find_space("tiny")


def two_devices():
    """The second one is 3 times slower."""
    drawn = reference_networks(30, seed=1)
    table = table_of_mobilenets()

    def networks(slower):
        roles = ["fit" if i < 10 else "held_out" for i in range(len(drawn))]
        return tuple(
            network(name, layers, role=role, slower=slower)
            for (name, layers), role in zip(drawn, roles, strict=True)
        )

    fast = replace(table, device="fast", networks=networks(1.0))
    slow = replace(
        table,
        device="slow",
        layers=tuple(
            replace(m, us=3 * m.us, low_us=3 * m.low_us, high_us=3 * m.high_us) for m in table.layers
        ),
        networks=networks(3.0),
    )
    return fast, slow


def test_tables_are_carried_either_way_by_ten_networks():
    records = [record.as_json() for record in transfers(two_devices())]
    assert [(r["from"], r["to"], r["samples"]) for r in records] == [
        ("fast", "slow", 10),
        ("slow", "fast", 10),
    ]
    assert all(r["spearman"] > 0.97 and r["mape"] < 0.05 for r in records)


def test_what_was_not_measured_is_not_carried():
    fast, slow = two_devices()
    assert transfers([fast, replace(slow, kind="modelled")]) == []
    assert transfers([fast, replace(slow, networks=slow.networks[:9])])[0].to_device == "fast"


def test_architectures_are_counted():
    model = LatencyModel.from_table(table_of_space(SPACE))
    assert architectures_per_second(model, {"tiny": SPACE}) > 0


def test_the_service_is_asked(tmp_path):
    table = table_of_space(SPACE)
    save(table, tmp_path / "table.json")
    layers = [describe(m.layer) for m in table.layers[:5]]
    record = bench_service(tmp_path / "table.json", layers, requests=40)
    assert record.requests_per_second > 0
    assert record.p99_ms > 0


def test_a_service_that_does_not_start_is_one_line(tmp_path):
    with pytest.raises(UserError, match="The service did not start: .*No device named"):
        bench_service(tmp_path / "none.json", ["conv1x1 8x8@4"])


def test_a_table_of_other_kernels_is_refused(tmp_path):
    save(table_of_space(SPACE), tmp_path / "table.json")
    with pytest.raises(UserError, match="of build 0 of the kernels; expected one that was measured here"):
        bench_latency(tmp_path / "table.json", {"tiny": SPACE}, busy=True)
    with pytest.raises(UserError, match="`rounds` must be at least 5, found 1"):
        bench_latency(tmp_path / "table.json", {"tiny": SPACE}, rounds=1)
