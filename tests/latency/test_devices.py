from dataclasses import replace

import pytest

from sparsenas import native
from sparsenas.builder import Builder
from sparsenas.cli.lookup import find_space
from sparsenas.errors import UserError
from sparsenas.latency.devices import merged, ready_device
from sparsenas.latency.layer_text import bare
from sparsenas.latency.library import local_table_path
from sparsenas.latency.table import load, save
from tests.latency.made_up import table_of_space

SPACE = find_space("tiny")


def small(name, channels):
    net = Builder(name, image=(8, 8, 3), classes=4)
    return net.classify(net.conv_hwc("stem", net.image, channels))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_this_machine_is_measured_once_for_each_space():
    told = []

    def report(done, total):
        told.append(total)

    first = ready_device("local", small("one", 8), report=report)
    assert told
    assert not first.uncovered(small("one", 8).layer_variants())
    told.clear()
    ready_device("local", small("one", 8), report=report)
    assert not told
    both = ready_device("local", small("two", 16), report=report)
    assert told
    layers = {one.layer for one in both.table.layers}
    for space in (small("one", 8), small("two", 16)):
        assert layers >= {bare(layer) for layer in space.layer_variants()}
    assert load(local_table_path()) == both.table


def test_table_that_does_not_reach_a_space_is_refused(tmp_path):
    table = replace(table_of_space(SPACE), machine=native.cpu(), build=native.build_id(), kind="measured")
    save(table, tmp_path / "mine.json")
    assert ready_device(str(tmp_path / "mine.json"), SPACE).table == load(tmp_path / "mine.json")
    with pytest.raises(UserError, match=r"does not reach \d+ layers of space 'wide', such as conv_hwc 3x500"):
        ready_device(str(tmp_path / "mine.json"), small("wide", 500))


def test_merged_table_has_the_fresh_time_of_what_both_have():
    old = table_of_space(SPACE)
    layer = old.layers[0]
    fresh = replace(
        old, layers=(replace(layer, us=3 * layer.us, high_us=3 * layer.us),), networks=(), build="fresh"
    )
    found = merged(old, fresh)
    assert found.build == "fresh"
    assert len(found.layers) == len(old.layers)
    assert found.layers[0].us == 3 * layer.us
    assert found.networks == old.networks
    assert found.held_out_layers == old.held_out_layers
