"""How a run goes is there as text, and as events that TensorBoard's own reader finds."""

import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sparsenas.errors import UserError
from sparsenas.record import EVENTS, TRAININGS, Record, best_so_far, read_trainings


def events(folder, name):
    """Returns what TensorBoard shows of a group: for each tag its steps and values."""
    found = EventAccumulator(str(folder / EVENTS / name), size_guidance={"scalars": 0})
    found.Reload()
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_what_is_noted_is_text_and_events(tmp_path):
    with Record(tmp_path) as record:
        for step in (8, 16, 24):
            record.note("supernet", step, {"loss": 1 / step, "accuracy": step / 32})
        record.whole("0-1", [(4, {"loss": 2.0}), (8, {"loss": 1.5})])
    assert read_trainings(tmp_path) == {
        "0-1": [(4, {"loss": 2.0}), (8, {"loss": 1.5})],
        "supernet": [(step, {"loss": 1 / step, "accuracy": step / 32}) for step in (8, 16, 24)],
    }
    assert json.loads((tmp_path / TRAININGS / "0-1.jsonl").read_text().splitlines()[0]) == {
        "step": 4,
        "loss": 2.0,
    }
    found = events(tmp_path, "supernet")
    assert found.keys() == {"loss", "accuracy"}
    assert found["loss"] == [(step, pytest.approx(1 / step)) for step in (8, 16, 24)]
    assert events(tmp_path, "0-1") == {"loss": [(4, 2.0), (8, 1.5)]}


def test_training_that_goes_on_replaces_what_it_does_again(tmp_path):
    with Record(tmp_path) as record:
        for step in (1, 2, 3, 4):
            record.note("supernet", step, {"loss": float(step)})
    with Record(tmp_path) as record:
        for step in (3, 4, 5):
            record.note("supernet", step, {"loss": 10.0 + step})
    expected = [(1, 1.0), (2, 2.0), (3, 13.0), (4, 14.0), (5, 15.0)]
    assert [(step, one["loss"]) for step, one in read_trainings(tmp_path)["supernet"]] == expected
    assert events(tmp_path, "supernet")["loss"] == expected


def test_training_that_is_done_once_more_in_one_start_replaces_the_first(tmp_path):
    with Record(tmp_path) as record:
        for value in (1.0, 2.0):
            for step in (1, 2, 3):
                record.note("supernet", step, {"loss": value})
    assert [one["loss"] for _, one in read_trainings(tmp_path)["supernet"]] == [2.0] * 3
    assert events(tmp_path, "supernet")["loss"] == [(1, 2.0), (2, 2.0), (3, 2.0)]


def test_line_that_was_cut_off_is_left_out(tmp_path):
    with Record(tmp_path) as record:
        record.whole("a", [(1, {"loss": 1.0}), (2, {"loss": 0.5})])
    path = tmp_path / TRAININGS / "a.jsonl"
    path.write_text(path.read_text()[:-5])
    assert read_trainings(tmp_path) == {"a": [(1, {"loss": 1.0})]}
    assert read_trainings(tmp_path / "elsewhere") == {}


def test_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / TRAININGS).write_text("a file")
    with Record(tmp_path) as record, pytest.raises(UserError, match="Cannot write"):
        record.note("supernet", 1, {"loss": 1.0})


def test_best_so_far_counts_what_is_within_the_target():
    trials = [
        {"accuracy": 0.9, "latency_ms": 3.0},
        {"accuracy": 0.5, "latency_ms": 1.0},
        {"accuracy": 0.4, "latency_ms": 2.0},
        {"accuracy": 0.6, "latency_ms": 2.0},
    ]
    rows = best_so_far(trials, target_ms=2.0)
    assert [step for step, _ in rows] == [1, 2, 3, 4]
    assert [row.get("best_accuracy") for _, row in rows] == [None, 0.5, 0.5, 0.6]
