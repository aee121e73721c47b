"""A short disturbance of a real cluster; the whole one is `sparsenas bench chaos`."""

import contextlib
import dataclasses
import json
import subprocess
import sys

import pytest

from sparsenas.bench import chaos
from sparsenas.bench.chaos import Round, _before
from sparsenas.bench.chaos_monkey import ChaosSettings, Done
from sparsenas.bench.chaos_trace import Event, between_trainings_ms, duplicated, lost, resume_seconds
from sparsenas.errors import UserError
from sparsenas.trial_list import Row
from sparsenas.trials import Trial


def test_disturbed_search_finds_the_same(tmp_path):
    """In a process of its own: Ray reads its variables when it is imported."""
    command = [
        sys.executable, "-m", "sparsenas", "bench", "chaos", "--candidates", "14", "--steps", "80",
        "--kills", "2", "--driver-kills", "1", "--node-kills", "1", "--frozen", "0", "--no-exits",
        "--cut", "0", "--no-full-disk", "--no-scaling", "--folder", str(tmp_path / "chaos"),
         "--json", str(tmp_path / "chaos.json"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "chaos.json").read_text())
    assert list(found) == [
        "machine", "version", "candidates", "worker_kills", "driver_kills", "node_kills", "frozen_nodes",
        "cut_nodes", "full_disks", "commit_points", "lost", "duplicated", "identical_population", "searches",
        "starts", "resume_seconds", "resume_seconds_median", "overhead_ms", "scaling_2_workers",
    ]  # fmt: skip
    assert found["candidates"] >= 14
    assert (found["lost"], found["duplicated"], found["identical_population"]) == (0, 0, True)
    assert found["worker_kills"] + found["driver_kills"] + found["node_kills"] >= 2
    assert found["node_kills"] == 1


def events(*told):
    return [Event(label, what, 1, float(i)) for i, (label, what) in enumerate(told)]


def test_training_again_after_a_commit_is_a_duplicate():
    assert duplicated(events(("trained", "a"), ("trained", "a"), ("linked", "a"))) == 0
    assert duplicated(events(("trained", "a"), ("linked", "a"), ("trained", "a"), ("trained", "b"))) == 1


def test_resume_is_the_time_to_the_first_attempt_less_joining():
    def told(pid, at, **labels):
        return [Event(label, "a", pid, at + after) for label, after in labels.items()]

    trace = told(7, 10, joins=1, joined=3, attempted=4) + told(8, 20, joins=1, joined=5, attempted=7)
    trace += told(9, 30, joins=1) + told(7, 40, joins=2, joined=3, attempted=3.5)
    assert resume_seconds(trace, [(7, 10), (8, 20), (9, 30), (7, 40)]) == [3, 2.5]


def test_time_between_trainings_is_from_end_to_begin():
    told = [("begun", "a", 1.0), ("trained", "a", 2.0), ("linked", "a", 2.1), ("begun", "b", 2.25)]
    told += [("recorded", "a", 2.5), ("trained", "b", 3.0), ("begun", "c", 3.0), ("trained", "c", 5.0)]
    assert between_trainings_ms([Event(label, what, 1, at) for label, what, at in told]) == [250.0, 0.0]
    assert between_trainings_ms([]) == []


def test_stopped_benchmark_refuses_other_settings(tmp_path):
    settings = ChaosSettings(kills=1)
    this = Round(settings=settings, done=Done(acted=3, launches=[(1, 2.0)]))
    state = {"settings": dataclasses.asdict(settings), "rounds": [dataclasses.asdict(this)]}
    (tmp_path / "chaos.json").write_text(json.dumps(state))
    (found,) = _before(tmp_path, settings)
    assert found.done.acted == 3
    assert found.settings == settings
    with pytest.raises(UserError, match="is of other settings"):
        _before(tmp_path, ChaosSettings(kills=2))
    (tmp_path / "chaos.json").write_text("[]")
    with pytest.raises(UserError, match="Cannot read .*; give another --folder"):
        _before(tmp_path, settings)


def test_stopped_benchmark_goes_on_with_what_was_not_done(tmp_path, monkeypatch):
    settings = ChaosSettings(kills=6)
    # A search that ended with two things done, and the next one, stopped after three more.
    rounds = [Round(settings=settings, done=Done(acted=2, is_over=True))]
    rounds.append(Round(settings=settings, done=Done(acted=3)))
    state = {"settings": dataclasses.asdict(settings), "rounds": list(map(dataclasses.asdict, rounds))}
    (tmp_path / "chaos.json").write_text(json.dumps(state))
    played = []

    def play(place, cluster, this, number, actions, **said):
        played.append((number, this.done.acted, actions))
        this.done.acted, this.done.is_over = len(actions), True

    monkeypatch.setattr(chaos, "nodes", contextlib.nullcontext)
    monkeypatch.setattr(chaos, "_play", play)
    monkeypatch.setattr(chaos, "_figures", lambda place, rounds: {})
    chaos.bench_chaos(settings, folder=tmp_path)
    assert played == [(2, 3, settings.actions()[2:])]


def test_what_was_asked_or_committed_and_is_not_known_islost():
    def row(number, candidate, metrics):
        trial = Trial(number, "0", metrics)
        return Row(trial=trial, candidate=candidate, node="", seconds=None, attempts=1)

    rows = [row(0, "a", {"accuracy": 1.0}), row(1, "b", None)]
    assert lost(rows[:1], events(("linked", "a-0"))) == 0
    assert lost(rows, []) == 1
    assert lost(rows, events(("linked", "c-0"), ("trained", "d-0"))) == 2


@pytest.mark.parametrize("bad", [{"candidates": 3}, {"kills": -1}])
def test_bad_settings_are_one_line(bad):
    (name,) = bad
    with pytest.raises(UserError, match=f"`{name}` must be"):
        ChaosSettings(**bad)
