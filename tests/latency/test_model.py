import itertools
import json
import re

import numpy as np
import pytest

from sparsenas.cli.lookup import find_space
from sparsenas.errors import UserError
from sparsenas.latency.model import Correction, Entry, LatencyModel, corrected, load, save
from sparsenas.space import Builder
from sparsenas.sparsity.patterns import DENSE, Sparse

SPACE = find_space("tiny")


def made_up(space, *, seed=0, network=Correction()):
    rng = np.random.default_rng(seed)
    return LatencyModel(
        device="made-up",
        machine={"cpu": "none", "isa": "scalar"},
        build="0",
        version="0",
        how={"date": "never"},
        network=network,
        entries={layer.key: Entry(float(rng.uniform(1, 50)), "kernel") for layer in space.layer_variants()},
    )


def test_tabulate_agrees_with_predict():
    model = made_up(SPACE, network=Correction(fixed_us=3.0, scale=1.1))
    rng = np.random.default_rng(1)
    archs = [SPACE.largest, SPACE.smallest, *(SPACE.sample(rng) for _ in range(200))]
    predicted = [model.predict(SPACE.layers(arch)) for arch in archs]
    np.testing.assert_allclose(model.tabulate(SPACE)(archs), predicted, rtol=1e-12)


def test_breakdown_adds_up_to_the_prediction():
    model = made_up(SPACE, network=Correction(fixed_us=3.0, scale=1.1))
    layers = SPACE.layers(SPACE.largest)
    total = 3.0 + sum(us for _, us, _ in model.breakdown(layers))
    assert total / 1e3 == pytest.approx(model.predict(layers))


def test_fastest_is_the_minimum_over_all_architectures():
    net = Builder("small", image=(8, 8, 3), classes=10)
    width, depth = net.choice("width", (8, 16, 24)), net.choice("depth", (1, 2))
    levels = (DENSE, Sparse(0.5), Sparse(0.9))
    x = net.conv_hwc("stem", net.image, width)
    x = net.conv1x1("one", x, width * 2, sparsity=net.choice("one.zeros", levels))
    x = net.optional(
        depth >= 2, x, lambda x: net.conv1x1("two", x, width * 2, sparsity=net.choice("two.zeros", levels))
    )
    space = net.classify(net.conv1x1("three", x, net.choice("last", (4, 12))))
    everything = list(itertools.product(*(range(len(c.options)) for c in space.choices)))
    for seed in range(5):
        table = made_up(space, seed=seed, network=Correction(fixed_us=7.0, scale=1.2)).tabulate(space)
        arch, ms = table.fastest(len(space.choices))
        assert ms == pytest.approx(table(everything).min())
        assert table([arch])[0] == pytest.approx(ms)


def test_corrected_recovers_a_fixed_time_and_a_scale():
    sums = np.array([10.0, 25.0, 40.0, 80.0])
    fitted = corrected(made_up(SPACE), sums, 5.0 + 1.25 * sums).network
    assert (fitted.fixed_us, fitted.scale) == pytest.approx((5.0, 1.25))
    assert fitted.error < 1e-9


def test_corrected_never_takes_time_away():
    sums = np.array([10.0, 20.0, 40.0])
    fitted = corrected(made_up(SPACE), sums, 1.5 * sums - 6.0).network
    assert fitted.fixed_us == 0.0
    assert 0 < fitted.scale < 1.5
    assert fitted.error > 0.05  # It cannot fit these, and says so.


def test_table_survives_the_disk(tmp_path):
    model = made_up(SPACE, network=Correction(fixed_us=3.0, scale=1.1, networks=4, error=0.01))
    save(model, tmp_path / "table.json")
    found = load(tmp_path / "table.json")
    assert (found.device, found.machine, found.network) == (model.device, model.machine, model.network)
    assert found.entries.keys() == model.entries.keys()
    assert [p.name for p in tmp_path.iterdir()] == ["table.json"]
    lines = (tmp_path / "table.json").read_text().splitlines()
    assert sum('"op"' in line for line in lines) == len(model.entries)


def edit(change):
    def damage(text):
        table = json.loads(text)
        change(table)
        return json.dumps(table)

    return damage


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda text: text[: len(text) // 2], "is not complete JSON"),
        (lambda text: "[]", "Expected a latency table"),
        (edit(lambda t: t.update(format=9)), "has format 9, this version reads 1"),
        (edit(lambda t: t.pop("machine")), "lacks machine"),
        (edit(lambda t: t["layers"][2].update(us=-1)), "Layer 3 .* above 0 us, found -1"),
        (edit(lambda t: t["layers"][2].update(us=float("nan"))), "Layer 3 .* found nan"),
        (edit(lambda t: t["layers"][0].pop("kernel_name")), "Layer 1 .* not complete"),
        (edit(lambda t: t["network"].update(more=1)), "`network` is not complete"),
    ],
)
def test_damaged_tables_are_refused(tmp_path, damage, says):
    path = tmp_path / "table.json"
    save(made_up(SPACE), path)
    path.write_text(damage(path.read_text()))
    with pytest.raises(UserError, match=says) as error:
        load(path)
    assert "\n" not in str(error.value)
    assert re.search(r"table\.json", str(error.value))


def test_unmeasured_layers_are_named():
    layer = SPACE.layers(SPACE.largest)[0]
    model = LatencyModel(**{**vars(made_up(SPACE)), "entries": {}})
    with pytest.raises(
        UserError, match=r"no measurement of conv_hwc 3x16@32x32 kernel=3 stride=2 relu6; measure"
    ):
        model.layer_us(layer)
