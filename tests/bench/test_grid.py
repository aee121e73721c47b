"""Tables of every network, on a space of four."""

import dataclasses
import json

import numpy as np
import pytest

from sparsenas.bench.differentiable import bench_differentiable, drawn, judged, latencies, targets_of
from sparsenas.bench.grid import (
    GridSettings,
    all_networks,
    hard_digits,
    measured_table,
    train_grid,
    trained_table,
)
from sparsenas.bench.tabular import read_table, write_table
from sparsenas.builder import Builder
from sparsenas.errors import UserError
from sparsenas.latency.measure import MeasureSettings
from sparsenas.sparsity.patterns import DENSE, Sparse
from sparsenas.train import ArchitectureSettings, SupernetSettings

SETTINGS = GridSettings(images=200, noise=10.0, dense_steps=150, sparse_steps=40, learning_rate=0.03, seeds=2)


def small_space(widest=16):
    net = Builder("small", image=(8, 8, 3), classes=10)
    x = net.conv_hwc("stem", net.image, 8, stride=2, activation="relu6")
    zeros = net.choice("zeros", (DENSE, Sparse(0.9)))
    x = net.conv1x1("mix", x, net.choice("width", (8, widest)), activation="relu6", sparsity=zeros)
    return net.classify(net.depthwise("filter", x, activation="relu6"))


SPACE = small_space()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("grid")


@pytest.fixture(scope="module")
def trained(folder):
    return train_grid(SPACE, SETTINGS, folder)


@pytest.fixture(scope="module")
def table(trained):
    return measured_table(SPACE, trained_table(SPACE, SETTINGS, trained), MeasureSettings(rounds=2))


def test_every_network_is_trained_with_every_seed(trained):
    assert list(trained) == [(0, 0), (0, 1), (1, 0), (1, 1)] == all_networks(SPACE)
    for accuracies in trained.values():
        assert len(accuracies) == 2
        assert accuracies[0] != accuracies[1]
    # Far above chance without zeros.
    assert np.mean(trained[0, 1]) > 0.4


def test_digits_are_noisy_and_all_of_them():
    training, test = hard_digits(SETTINGS, 8)
    assert (len(training.labels), len(test.labels)) == (200, 1597)
    plain, _ = hard_digits(dataclasses.replace(SETTINGS, noise=0.0), 8)
    np.testing.assert_array_equal(plain.labels, training.labels)
    difference = training.images.astype(int) - plain.images
    inside = (plain.images > 50) & (plain.images < 205)
    assert difference[inside].std() == pytest.approx(10, rel=0.05)
    np.testing.assert_array_equal(training.images[..., 0], training.images[..., 2])


def test_an_interrupted_training_goes_on(folder, trained):
    before = (folder / "seed-0-0.json").stat().st_mtime_ns
    (folder / "seed-1-0.json").unlink()
    assert train_grid(SPACE, SETTINGS, folder) == trained
    assert (folder / "seed-0-0.json").stat().st_mtime_ns == before
    # Fewer seeds are a part of it.
    fewer = train_grid(SPACE, dataclasses.replace(SETTINGS, seeds=1), folder)
    assert fewer == {arch: found[:1] for arch, found in trained.items()}


def test_networks_trained_otherwise_are_refused(folder, trained):
    with pytest.raises(UserError, match="trained otherwise .*; name another with --folder"):
        train_grid(SPACE, dataclasses.replace(SETTINGS, noise=20.0), folder)


def test_the_table_survives_its_file(table, tmp_path):
    write_table(table, tmp_path / "grid.json")
    found = read_table(tmp_path / "grid.json")
    assert found.archs == table.archs
    np.testing.assert_allclose(found.accuracy, table.accuracy, rtol=1e-4)
    assert found.costs["macs"].tolist() == [sum(layer.macs for layer in SPACE.layers(a)) for a in table.archs]
    assert (found.costs["latency_ms"] > 0).all()
    assert found.how["trained"] == dataclasses.asdict(SETTINGS)
    assert found.how["measured"]["rounds"] == 2
    # Every figure of the file is JSON.
    json.loads((tmp_path / "grid.json").read_text())


def test_tables_of_other_spaces_are_refused(table):
    with pytest.raises(UserError, match="of another space than 'small'"):
        measured_table(small_space(24), table, MeasureSettings(rounds=1))


def test_latencies_are_one_array_over_all_choices(table):
    found = latencies(table)
    np.testing.assert_allclose(found(table.archs), table.costs["latency_ms"])
    shares = [np.array([0.25, 0.75]), np.array([0.5, 0.5])]
    expected = sum(
        shares[0][arch[0]] * shares[1][arch[1]] * ms
        for arch, ms in zip(table.archs, table.costs["latency_ms"], strict=True)
    )
    assert found.expected(shares) == pytest.approx(expected)
    with pytest.raises(UserError, match="has no latencies yet; measure them"):
        latencies(dataclasses.replace(table, costs={}))


def test_the_best_finalist_is_judged_by_the_best_within_the_target(table):
    accuracy = np.array([[0.9, 0.9], [0.95, 0.95], [0.7, 0.7], [0.8, 0.8]])
    known = dataclasses.replace(
        table, accuracy=accuracy, costs={"latency_ms": np.array([1.0, 4.0, 2.0, 3.0])}
    )
    found = judged(known, "darts", 3.5, 7, [(1, 0), (1, 1)])
    assert (found.arch, found.latency_ms, found.seed) == ("1-1", 3.0, 7)
    assert (found.best_accuracy, found.accuracy) == (0.9, 0.8)
    assert found.regret == pytest.approx(10)
    assert found.first_regret == pytest.approx(20)
    assert targets_of(known, 2) == [1.0, 3.0]


def test_searches_meet_their_targets_by_the_table(table):
    settings = ArchitectureSettings(steps=40, batch=16, shift=1)
    result = bench_differentiable(
        SPACE,
        table,
        strategies=("darts", "proxyless", "predictor", "random"),
        targets=2,
        seed=3,
        finalists=2,
        evaluations=4,
        measure=3,
        settings=settings,
        ranking=SupernetSettings(steps=20, batch=16, shift=1),
    )
    assert {one["seed"] for one in result["records"]} == {3}
    assert [one["strategy"] for one in result["records"]] == ["darts", "proxyless", "predictor", "random"] * 2
    returned = {one["arch"]: one for one in result["records"]}
    assert 1 <= len(result["measured"]) <= 3
    for one in result["measured"]:
        assert one["table_ms"] == returned[one["arch"]]["latency_ms"]
        assert one["within_target"] == (one["measured_ms"] <= 1.03 * one["target_ms"])
    for one in result["records"]:
        assert one["latency_ms"] <= one["target_ms"]
        assert one["first_regret"] >= one["regret"] >= 0
    for one in result["summary"]:
        assert (one["searches"], one["within_target"]) == (2, 2)


def test_random_finalists_are_all_that_land_in_another_order_for_each_seed(table):
    ms = table.costs["latency_ms"]
    (target_ms,) = targets_of(table, 1)
    expected = {table.archs[i] for i in np.flatnonzero((ms <= target_ms) & (ms > 0.97 * target_ms))}
    orders = [drawn(table, target_ms, seed=seed) for seed in range(5)]
    for order in orders:
        assert len(order) == len(expected)
        assert set(order) == expected
    assert len(expected) < 3 or len(set(map(tuple, orders))) > 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": 0}, "`images` must be at least 1, found 0"),
        ({"noise": -1.0}, "`noise` must be at least 0, found -1.0"),
        ({"learning_rate": 0.0}, "`learning_rate` must be above 0, found 0.0"),
    ],
)
def test_settings_are_checked(changes, message):
    with pytest.raises(UserError, match=message):
        GridSettings(**changes)
    with pytest.raises(UserError, match="`images` must be from 1 to 1796, found 1797"):
        hard_digits(GridSettings(images=1797), 8)
