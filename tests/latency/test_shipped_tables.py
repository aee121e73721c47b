"""The tables that come with the package."""

import pytest

from sparsenas.cli.lookup import find_space
from sparsenas.latency.check import checked
from sparsenas.latency.library import known_devices
from sparsenas.latency.model import LatencyModel
from sparsenas.latency.table import load

TINY = find_space("tiny")


def test_there_are_measured_and_modelled_ones():
    tables = [load(path) for path in known_devices().values()]
    assert {table.kind for table in tables} == {"measured", "modelled"}
    measured = {table.machine["isa"] for table in tables if table.kind == "measured"}
    assert {"avx512", "avx2"} < measured
    assert any(isa.startswith("wasm") for isa in measured)


@pytest.mark.parametrize("name", sorted(known_devices()))
def test_table_says_what_it_is_and_how_far_it_is_off(name):
    table = load(known_devices()[name])
    assert table.device == name
    # As the file says, from what no model of it learns from.
    assert checked(table).error == pytest.approx(table.error, rel=1e-3)
    if table.kind == "measured":
        assert table.error["networks"] >= 50
        assert table.error["spearman"] >= 0.99
        assert table.error["within_10_percent"] >= 0.95


@pytest.mark.parametrize("name", sorted(known_devices()))
def test_table_knows_the_default_space(name):
    model = LatencyModel.load(name)
    least, most = (model.predict(arch, TINY) for arch in (TINY.smallest, TINY.largest))
    assert 0 < least < most
    assert not least.notes
