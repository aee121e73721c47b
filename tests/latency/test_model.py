import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from sparsenas.cli.lookup import find_space
from sparsenas.errors import UserError
from sparsenas.latency.check import checked
from sparsenas.latency.curve import never_falling
from sparsenas.latency.layer_text import parse_layer
from sparsenas.latency.model import LatencyModel
from sparsenas.latency.table import Table
from sparsenas.sparsity.patterns import PATTERNS
from tests.latency.made_up import (
    measured,
    network,
    reference_networks,
    table_of,
    table_of_mobilenets,
    table_of_space,
    true_us,
)

SPACE = find_space("tiny")


@pytest.fixture(scope="module")
def of_space() -> LatencyModel:
    return LatencyModel.from_table(table_of_space(SPACE))


@pytest.fixture(scope="module")
def mobilenets() -> LatencyModel:
    return LatencyModel.from_table(table_of_mobilenets())


def noisy() -> Table:
    """Times that are off by a tenth, so that fewer nonzeros often took longer."""
    layers = [m.layer for m in table_of_mobilenets(4).layers]
    more = [replace(layer, sparsity=z) for layer in layers if layer.sparsity for z in (0.75, 0.85, 0.92)]
    return table_of([*layers, *more], noise=0.1)


def archs(count: int, seed: int = 1):
    rng = np.random.default_rng(seed)
    return [SPACE.largest, SPACE.smallest, *(SPACE.sample(rng) for _ in range(count))]


def test_a_measured_layer_takes_what_it_took(of_space):
    for measurement in of_space.table.layers:
        found = of_space.layer(measurement.layer)
        assert found.measured
        assert not found.outside
        assert found.us == pytest.approx(measurement.us)
        assert (found.low_us, found.kernel) == (pytest.approx(found.us, rel=0.02), measurement.kernel)


def test_layers_never_measured_are_interpolated(mobilenets):
    known = {m.layer for m in mobilenets.table.layers}
    unseen = {
        layer for _, layers in reference_networks(6, seed=9) for layer in layers if layer.op == "conv1x1"
    }
    errors, covered = [], []
    for layer in unseen:
        found = mobilenets.layer(layer)
        if not found.measured and not found.outside:
            errors.append(abs(found.us / true_us(layer) - 1))
            covered.append(found.low_us <= true_us(layer) <= found.high_us)
    assert known
    assert len(errors) > 20
    # The formula is not made of the model's terms alone: it has no tiles.
    assert np.median(errors) < 0.04
    assert np.mean(covered) > 0.8


def test_tabulate_agrees_with_predict(of_space):
    chosen = archs(200)
    predicted = [of_space.predict(arch, SPACE) for arch in chosen]
    np.testing.assert_allclose(of_space.tabulate(SPACE)(chosen), predicted, rtol=1e-9)


def test_an_architecture_is_its_layers(of_space):
    arch = SPACE.largest
    assert of_space.predict(arch, SPACE) == of_space.predict(SPACE.layers(arch))


def test_breakdown_adds_up_to_the_prediction(of_space):
    shares = of_space.breakdown(SPACE.layers(SPACE.largest))
    total = of_space.fixed_us(SPACE.largest, SPACE) + sum(us for _, us, _ in shares)
    assert 0 <= of_space.fixed_us(SPACE.largest, SPACE) < total / 4
    assert total / 1e3 == pytest.approx(of_space.predict(SPACE.largest, SPACE))


def test_predictions_lie_in_their_interval(of_space):
    for arch in archs(20):
        predicted = of_space.predict(arch, SPACE)
        assert predicted.low_ms <= predicted <= predicted.high_ms
        assert predicted.notes == ()


def test_networks_are_corrected(mobilenets):
    unseen = reference_networks(10, seed=5)
    errors = [mobilenets.predict(layers) / (network("", layers).us / 1e3) - 1 for _, layers in unseen]
    assert np.mean(np.abs(errors)) < 0.04
    alone = [sum(map(true_us, layers)) / network("", layers).us - 1 for _, layers in unseen]
    assert np.mean(np.abs(errors)) < np.mean(np.abs(alone)) / 2


def test_without_networks_a_prediction_is_the_sum_of_layers():
    model = LatencyModel.from_table(table_of(SPACE.layer_variants()))
    layers = SPACE.layers(SPACE.smallest)
    assert model.predict(layers) == pytest.approx(sum(map(true_us, layers)) / 1e3)


def test_fewer_nonzeros_never_take_longer():
    model = LatencyModel.from_table(noisy())
    rng = np.random.default_rng(3)
    pairs = 0
    for op, kernel in (("conv1x1", 1), ("conv1x1", 1), ("fully_connected", 1)):
        for name in ("unstructured", "block2", "block4"):
            for _ in range(12):
                c_in, c_out = (int(c) for c in 2 ** rng.uniform(2, 10, size=2))
                side = int(rng.integers(1, 40)) if op == "conv1x1" else 1
                base = parse_layer(f"{op} {c_in}x{c_out}@{side} kernel={kernel}")
                zeros = np.sort(rng.uniform(0.001, 0.999, size=12))
                layers = [replace(base, pattern=PATTERNS[name], sparsity=float(z)) for z in zeros]
                for fuller, emptier in itertools.combinations(layers, 2):
                    assert model.layer_us(emptier) <= model.layer_us(fuller), (emptier, fuller)
                    assert model.predict([emptier]) <= model.predict([fuller])
                    pairs += 1
    assert pairs > 5000


def test_measured_layers_between_others_keep_the_order():
    model = LatencyModel.from_table(noisy())
    groups = {}
    for m in model.table.layers:
        if m.layer.sparsity:
            groups.setdefault(replace(m.layer, sparsity=0.0), []).append(m.layer.sparsity)
    assert min(map(len, groups.values())) > 2
    for shape, sparsities in groups.items():
        zeros = sorted({*sparsities, *np.linspace(0.5, 0.99, 9).tolist()})
        us = [model.layer_us(replace(shape, sparsity=z)) for z in zeros]
        assert us == sorted(us, reverse=True)


def test_zeros_never_make_an_interpolated_layer_slower_than_dense(mobilenets):
    dense = parse_layer("conv1x1 72x200@13")
    for zeros in (0.01, 0.3, 0.6, 0.9):
        sparse = replace(dense, pattern=PATTERNS["unstructured"], sparsity=zeros)
        assert mobilenets.layer_us(sparse) <= mobilenets.layer_us(dense) * (1 + 1e-9)


def test_extrapolation_is_said_and_widens_the_interval(mobilenets):
    inside = mobilenets.layer(parse_layer("conv1x1 64x128@12 sparsity=0.9"))
    outside = mobilenets.layer(parse_layer("conv1x1 64x30000@12 sparsity=0.9"))
    assert not inside.outside
    assert any("output channels 30000" in reason for reason in outside.outside)
    assert outside.high_us / outside.us > 2 * (inside.high_us / inside.us)
    predicted = mobilenets.predict([parse_layer("conv1x1 64x30000@12 sparsity=0.9")])
    assert "output channels 30000" in predicted.notes[0]
    assert mobilenets.uncovered([parse_layer("conv1x1 64x30000@12"), parse_layer("conv1x1 64x128@12")]) == [
        parse_layer("conv1x1 64x30000@12")
    ]


def test_a_kernel_never_measured_is_said(mobilenets):
    found = mobilenets.layer(parse_layer("depthwise 64x64@14 kernel=7"))
    assert "kernel 7 with stride 1 never measured" in found.outside
    found = mobilenets.layer(parse_layer("conv1x1 64x64@14 block2=0.8"))
    assert any("no block2 conv1x1 measured" in reason for reason in found.outside)


def test_an_operator_never_measured_is_refused(mobilenets):
    with pytest.raises(UserError, match=r"no measurement of any max_pool, .*max_pool 8x8@8x8 kernel=2"):
        mobilenets.layer(parse_layer("max_pool 8x8@8 kernel=2 stride=2"))
    assert mobilenets.uncovered([parse_layer("max_pool 8x8@8 kernel=2")])


def test_threads_never_measured_are_refused():
    with pytest.raises(UserError, match="no layers measured with 4 threads, only with 1"):
        LatencyModel.from_table(table_of_space(SPACE), threads=4)


def test_threads_are_predicted_apart():
    table = table_of_space(SPACE)
    two = tuple(replace(m, threads=2, us=m.us / 2, low_us=m.us / 3) for m in table.layers)
    table = replace(table, layers=table.layers + two)
    layer = table.layers[0].layer
    one, other = (LatencyModel.from_table(table, threads=n).layer_us(layer) for n in (1, 2))
    assert other == pytest.approx(one / 2)


def test_explain_shows_the_nearest(mobilenets):
    known = next(m.layer for m in mobilenets.table.layers if m.layer.sparsity)
    explained = mobilenets.explain(known)
    assert explained.nearest[0][0].layer == known
    assert explained.nearest[0][1] == 0
    distances = [distance for _, distance in explained.nearest]
    assert distances == sorted(distances)
    assert 0 <= explained.error < 0.2


def test_ten_networks_carry_a_table_to_another_device(mobilenets):
    drawn = reference_networks(40, seed=11)
    there = [network(name, layers, slower=2.7) for name, layers in drawn]
    carried = mobilenets.transfer(there[:10], device="other")
    predicted = [carried.predict(n.layers) for n in there[10:]]
    errors = [p / (n.us / 1e3) - 1 for p, n in zip(predicted, there[10:], strict=True)]
    assert np.mean(np.abs(errors)) < 0.05
    assert spearmanr(predicted, [n.us for n in there[10:]]).statistic > 0.97
    assert (carried.device, carried.table.kind) == ("other", "modelled")
    with pytest.raises(UserError, match="at least one network"):
        mobilenets.transfer([], device="other")


def test_checked_states_the_error_on_what_was_held_out():
    table = table_of_mobilenets()
    unseen = reference_networks(6, seed=21)
    table = replace(
        table,
        networks=(*table.networks, *(network(n, layers, role="held_out") for n, layers in unseen)),
        held_out_layers=tuple(measured(layer) for layer in unseen[0][1]),
    )
    error = checked(table).error
    assert error["networks"] == 6
    assert error["layers"] == len(unseen[0][1])
    model = LatencyModel.from_table(table)
    mape = np.mean([abs(model.predict(layers) / (network("", layers).us / 1e3) - 1) for _, layers in unseen])
    assert error["mape"] == pytest.approx(mape, abs=1e-4)
    assert {"within_5_percent", "within_10_percent", "spearman", "layer_within_15_percent"} < error.keys()


def test_a_model_is_found_by_name_or_path(tmp_path, monkeypatch):
    from sparsenas.latency.table import save

    save(table_of_space(SPACE), tmp_path / "mine.json")
    assert LatencyModel.load(str(tmp_path / "mine.json")).device == "made-up"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UserError, match="has no latency table yet"):
        LatencyModel.load("local")
    with pytest.raises(UserError, match="No device named 'nowhere'"):
        LatencyModel.load("nowhere")
    assert "local" not in LatencyModel.devices()


def test_never_falling_is_the_nearest_in_squares():
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = rng.normal(size=rng.integers(1, 8))
        found = never_falling(values)
        assert (np.diff(found) >= -1e-12).all()
        # Any other that does not fall is farther away.
        for _ in range(20):
            other = np.sort(values + rng.normal(size=values.shape) * 0.3)
            assert ((values - found) ** 2).sum() <= ((values - other) ** 2).sum() + 1e-12
    assert never_falling(np.zeros(0)).shape == (0,)


def test_latency_counts_as_a_number(of_space):
    predicted = of_space.predict(SPACE.smallest, SPACE)
    assert isinstance(predicted, float)
    assert f"{predicted:.3f}" == f"{float(predicted):.3f}"
    assert math.isfinite(predicted)
