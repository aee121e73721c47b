import json
import math
from dataclasses import replace

import pytest

from sparsenas.cli.lookup import find_space
from sparsenas.errors import UserError
from sparsenas.latency import campaign
from sparsenas.latency.design import Design, NamedNetwork, of_space
from sparsenas.latency.device import Lost, Round
from sparsenas.latency.layer_text import parse_layer
from sparsenas.latency.local import Local
from sparsenas.latency.table import load, save
from sparsenas.space import IMAGE

LAYERS = tuple(
    parse_layer(text)
    for text in (
        "conv1x1 8x16@4",
        "conv1x1 16x8@4 sparsity=0.9",
        "add 8x8@4",
        "multiply 8x8@4",
        "max_pool 8x8@4",
    )
)
NETWORK = NamedNetwork(name="one layer", layers=(replace(LAYERS[0], name="only", inputs=(IMAGE,)),))
DESIGN = Design(
    name="small", layers=LAYERS[:4], held_out_layers=LAYERS[4:], held_out_networks=(NETWORK,), rounds=6
)


class Told:
    """A device whose times are told: a microsecond for every byte of a model, and what `slow` adds.

    Args:
        lost: rounds after which the connection breaks, each once.
        slow: from the number of a round, since the start, and the place in it to a factor.
    """

    name, kind, build, capacity = "told", "measured", "b", 2**30

    def __init__(self, *, lost=(), slow=lambda number, place: 1.0, build="b", capacity=2**30):
        self.machine = {"cpu": "none", "isa": "scalar", "cores": 1, "l1d_bytes": 0, "l2_bytes": 0}
        self.build, self.capacity = build, capacity
        self.calls, self.visited, self.reconnected = [], 0, 0
        self._lost, self._slow = set(lost), slow

    def rounds(self, models, *, threads, count):
        self.calls.append((len(models), threads, count))
        for _ in range(count):
            if self.visited in self._lost:
                self._lost.remove(self.visited)
                raise Lost("Cannot reach told")
            us = tuple(len(model) * self._slow(self.visited, i) for i, model in enumerate(models))
            self.visited += 1
            yield Round(us=us, kernels=("k",) * len(models))

    def reconnect(self):
        self.reconnected += 1

    def circumstances(self):
        return {}


def run(device, journal=None, design=DESIGN, **settings):
    return campaign.run(design, device, journal=journal, sleep=lambda seconds: None, **settings)


def times(table):
    return {one.layer: one.us for one in (*table.layers, *table.held_out_layers)}


def test_table_has_every_layer_and_network_where_it_belongs(tmp_path):
    with Local(busy=True) as device:
        table = run(device, design=replace(DESIGN, rounds=2))
    assert [one.layer for one in table.layers] == list(LAYERS[:4])
    assert [one.layer for one in table.held_out_layers] == list(LAYERS[4:])
    assert [(one.name, one.role) for one in table.networks] == [("one layer", "held_out")]
    kernels = [one.kernel.split("_")[0] for one in table.layers]
    assert kernels == ["conv1x1", "conv1x1", "add", "multiply"]
    assert all(0 < one.low_us <= one.us <= one.high_us for one in table.layers)
    save(table, tmp_path / "here.json")
    assert [one.layer for one in load(tmp_path / "here.json").layers] == list(LAYERS[:4])


def test_slow_moment_of_the_device_changes_nothing():
    quiet = run(Told())
    # Half of the rounds take from half more to five times as long.
    disturbed = run(Told(slow=lambda number, place: 1.0 if number % 2 else 1.5 + number))
    assert times(disturbed) == pytest.approx(times(quiet))


def test_what_had_no_quiet_moment_is_measured_again_until_it_has():
    # Somebody else uses the device during most of one batch: those visits are alike, and wrong.
    slow = dict.fromkeys((2, 3, 4, 5, 6, 7, 8), 1.4)

    def factor(number, place):
        return slow.get(number, 1.0) * (1 + 0.5 * (number % 3) if number < 6 and place == 3 else 1.0)

    table = run(Told(slow=factor), design=replace(DESIGN, repeats=3))
    assert times(table) == pytest.approx(times(run(Told())))
    assert 0 < table.how["drift"]["disturbed"] < 1


def test_noisy_layers_are_measured_again_and_steady_ones_are_not():
    # The first batch visits the references, everything in some order, the references; one place is noisy.
    device = Told(slow=lambda number, place: 1 + 0.5 * (number % 3) if number < 6 and place == 3 else 1.0)
    table = run(device, design=replace(DESIGN, repeats=3))
    assert device.calls == [(10, 1, 6), (5, 1, 6)]
    assert table.how["measured_again"] == 1
    assert table.how["still_noisy"] == 0
    assert times(table) == pytest.approx(times(run(Told())))


def test_time_that_is_up_leaves_a_whole_table_of_few_rounds():
    device = Told()
    table = run(device, design=replace(DESIGN, rounds=1000, repeats=3, seconds=0.0))
    assert device.visited == 5
    assert len(table.layers) == 4


def test_small_device_gets_its_models_in_batches():
    device = Told(capacity=1)
    assert times(run(device)) == pytest.approx(times(run(Told())))
    assert [models for models, _, _ in device.calls] == [5] * 6


def test_lost_device_goes_on_with_the_round_it_was_lost_in():
    device = Told(lost=(2, 4))
    assert times(run(device)) == pytest.approx(times(run(Told())))
    assert device.reconnected == 2
    assert device.visited == 6


def test_device_that_stays_lost_leaves_a_journal_to_go_on_from(tmp_path):
    journal = tmp_path / "t.json.part"
    device = Told(lost=(3,))
    device.reconnect = lambda: (_ for _ in ()).throw(Lost("Cannot reach told"))
    with pytest.raises(
        UserError, match=r"^Cannot reach told; 30 of 60 visits are made: run the same command"
    ):
        run(device, journal)
    again = Told()
    assert times(run(again, journal)) == pytest.approx(times(run(Told())))
    assert again.calls == [(10, 1, 3)]


def test_interrupted_measurement_goes_on_after_its_last_whole_round(tmp_path):
    journal = tmp_path / "t.json.part"

    def interrupt(done, total, note):
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Told(), journal, report=interrupt)
    with journal.open("a") as file:
        file.write('{"seconds": 1.0, "us": [3')
    again = Told()
    assert times(run(again, journal)) == pytest.approx(times(run(Told())))
    assert again.calls == [(10, 1, 4)]


@pytest.mark.parametrize(
    ("device", "design", "says"),
    [
        (Told(build="c"), DESIGN, "build is 'b' there, 'c' here"),
        (Told(), replace(DESIGN, layers=LAYERS[:3]), "design is 'small, "),
        (Told(), replace(DESIGN, rounds=7), "rounds is 6 there, 7 here"),
    ],
)
def test_journal_of_another_measurement_is_refused(tmp_path, device, design, says):
    journal = tmp_path / "t.json.part"
    run(Told(), journal)
    before = journal.read_bytes()
    with pytest.raises(UserError, match=says) as raised:
        run(device, journal, design=design)
    assert "\n" not in str(raised.value)
    assert journal.read_bytes() == before


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace('"order"', '"odrer"'),
        lambda text: text.replace('"us": [', '"us": [1.0, '),
        lambda text: "[]\n" + text,
        lambda text: "nonsense\n" + text,
    ],
)
def test_damaged_journal_is_refused(tmp_path, spoil):
    journal = tmp_path / "t.json.part"
    run(Told(), journal)
    journal.write_text(spoil(journal.read_text()))
    with pytest.raises(UserError, match="delete it to measure from the start"):
        run(Told(), journal)


@pytest.mark.parametrize("factor", [0.0, -1.0, math.nan, math.inf])
def test_times_that_cannot_be_are_refused(factor):
    with pytest.raises(UserError, match="expected one above 0"):
        run(Told(slow=lambda number, place: factor))


def test_some_layers_are_measured_with_more_threads():
    # The reference is faster as well; that is no drift.
    device = Told(slow=lambda number, place: 1.0 if number < 6 else 0.5)
    table = run(device, design=replace(DESIGN, layers=LAYERS, held_out_layers=(), threads=(1, 2)))
    assert table.how["drift"]["last_to_first"] == 1.0
    threaded = [one.layer for one in table.layers if one.threads == 2]
    assert threaded == [max(LAYERS, key=lambda layer: layer.macs)]
    assert [threads for _, threads, _ in device.calls] == [1, 2]


def test_journal_is_lines_of_json(tmp_path):
    journal = tmp_path / "t.json.part"
    run(Told(), journal)
    header, batch, *rounds = [json.loads(line) for line in journal.read_text().splitlines()]
    assert header["device"] == "told"
    assert sorted(batch["order"]) == [-2, -2, -1, -1, 0, 1, 2, 3, 4, 5]
    assert len(rounds) == 6


def test_design_of_a_space_is_all_of_its_layers():
    space = find_space("tiny")
    design = of_space(space, seed=0, networks=5, rounds=1)
    assert {layer.key for layer in design.layers} == {layer.key for layer in space.layer_variants()}
    assert len(design.networks) == 5
