import json
import multiprocessing
import os
import sqlite3

import pytest

from sparsenas.errors import UserError
from sparsenas.trial_list import read_rows
from sparsenas.trials import FORMAT, Trial, TrialLog, candidate_id


def test_log_remembers_proposals_and_results(tmp_path):
    log = TrialLog(tmp_path / "log")
    assert log.propose(["a", "b"]) == [0, 1]
    log.record({1: {"accuracy": 0.5}})
    assert log.propose(["c"]) == [2]
    log.close()
    assert list(TrialLog(tmp_path / "log")) == [
        Trial(0, "a", None),
        Trial(1, "b", {"accuracy": 0.5}),
        Trial(2, "c", None),
    ]


def test_first_result_of_a_trial_stays(tmp_path):
    log = TrialLog(tmp_path / "log")
    log.propose(["a"])
    log.record({0: {"accuracy": 0.5}})
    log.record({0: {"accuracy": 0.9}})
    log.finish(candidate_id({"arch": "a"}), 0, error="too late")
    assert next(iter(log)) == Trial(0, "a", {"accuracy": 0.5})


def test_each_rung_has_one_result(tmp_path):
    log = TrialLog(tmp_path / "log")
    log.propose(["a", "a", "a"], rungs=[0, 1, 0], candidates=["x", "x", "x"])
    log.finish("x", 0, metrics={"accuracy": 0.5}, node="n", seconds=1.5)
    assert [trial.state for trial in log] == ["done", "open", "done"]
    assert log.open_candidates() == {("x", 1)}
    log.finish("x", 1, error="it bites")
    assert [trial.state for trial in log] == ["done", "failed", "done"]
    assert log.result("x", 0) == ({"accuracy": 0.5}, None)
    assert log.result("x", 1) == (None, "it bites")
    assert log.result("x", 2) is None


def test_attempts_are_counted(tmp_path):
    log = TrialLog(tmp_path / "log")
    assert log.begin("x", 0, node="") == 1
    assert log.begin("x", 0, node="") == 2
    log.end("x", 0, 1, node="n", outcome="crashed")
    assert log.outcomes("x", 0) == [("n", "crashed"), ("", None)]
    assert log.outcomes("x", 1) == []


def _write_and_die(path):
    log = TrialLog(path)
    log.propose(["a", "b"])
    log.record({0: {"accuracy": 0.5}})
    os._exit(9)  # As kill -9: nothing is closed.


def test_log_survives_a_kill(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=_write_and_die, args=(tmp_path / "log",))
    process.start()
    process.join()
    assert [row.trial.metrics for row in read_rows(tmp_path / "log")] == [{"accuracy": 0.5}, None]
    assert [trial.metrics for trial in TrialLog(tmp_path / "log")] == [{"accuracy": 0.5}, None]


def test_one_controller_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr("sparsenas.trials._SECONDS_FOR_LOCK", 0.1)
    first = TrialLog(tmp_path / "log")
    with pytest.raises(UserError, match=rf"Another search works on .*: process {os.getpid()} on .*\. Wait"):
        TrialLog(tmp_path / "log")
    first.close()
    TrialLog(tmp_path / "log").close()


def test_rows_are_read_while_a_controller_writes(tmp_path):
    log = TrialLog(tmp_path / "log")
    log.propose(["a", "b"], candidates=["x", "y"])
    log.begin("x", 0, node="n")
    log.finish("x", 0, metrics={"accuracy": 0.5}, node="n", seconds=2.0)
    one, two = read_rows(tmp_path / "log")
    assert (one.trial.metrics, one.node, one.seconds, one.attempts) == ({"accuracy": 0.5}, "n", 2.0, 1)
    assert (two.trial.state, two.candidate, two.attempts) == ("open", "y", 0)


def test_rows_of_no_log_are_one_line(tmp_path):
    with pytest.raises(UserError, match="found none; give the folder of a run"):
        read_rows(tmp_path / "log")


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "log"
    path.write_text("these are not the trials you are looking for" * 100)
    with pytest.raises(UserError, match="Expected a log of trials in .*log, found something else"):
        TrialLog(path)


def test_newer_logs_are_refused(tmp_path):
    db = sqlite3.connect(tmp_path / "log")
    db.execute("pragma user_version=7")
    db.close()
    for reader in (TrialLog, read_rows):
        with pytest.raises(UserError, match="has format 7, this version reads up to 2: a newer version"):
            reader(tmp_path / "log")


def test_logs_of_format_1_go_on(tmp_path):
    path = tmp_path / "log"
    db = sqlite3.connect(path)
    db.executescript(
        "create table proposal (number integer primary key, arch text not null) strict;"
        "create table result (number integer primary key references proposal, metrics text not null) strict;"
        "insert into proposal values (0, 'a'), (1, 'b'), (2, 'a'), (3, 'c');"
        """insert into result values (0, '{"accuracy": 0.5}'), (2, '{"accuracy": 0.5}');"""
        """insert into result values (3, '{"accuracy": 0.75}');"""
        "pragma user_version=1;"
    )
    db.close()
    with pytest.raises(UserError, match="has format 1; `sparsenas search --resume .*` brings it to format 2"):
        read_rows(path)
    log = TrialLog(path)
    assert [(t.arch, t.metrics) for t in log] == [
        ("a", {"accuracy": 0.5}),
        ("b", None),
        ("a", {"accuracy": 0.5}),
        ("c", {"accuracy": 0.75}),
    ]
    assert log.propose(["d"]) == [4]
    log.close()
    assert sqlite3.connect(path).execute("pragma user_version").fetchone() == (FORMAT,)


def _filled(path, count):
    log = TrialLog(path)
    log.propose([f"{i}-{'0' * 40}" for i in range(count)])
    log.record({i: {"accuracy": i / count, "latency_ms": 1.0} for i in range(count)})
    log.close()


@pytest.mark.parametrize("part", [0.35, 0.6, 0.9])
def test_damaged_logs_keep_what_can_be_read(tmp_path, part):
    path = tmp_path / "log"
    _filled(path, 2000)
    whole = path.read_bytes()
    at = int(part * len(whole)) // 4096 * 4096
    damaged = whole[:at] + b"\xff" * 8192 + whole[at + 8192 :]
    path.write_bytes(damaged)
    log = TrialLog(path)
    trials = list(log)
    assert "was damaged; it is kept as" in log.notice
    assert f"Of it {len(trials)} proposals" in log.notice
    assert (tmp_path / "log.damaged-1").read_bytes() == damaged
    assert [trial.number for trial in trials] == list(range(len(trials)))
    known = [trial for trial in trials if trial.metrics is not None]
    assert len(trials) + len(known) > 400
    assert all(t.metrics == {"accuracy": t.number / 2000, "latency_ms": 1.0} for t in known)
    log.close()
    assert TrialLog(path).notice == ""


def test_ids_follow_from_the_spec_alone():
    one = candidate_id({"arch": "0-1", "training": {"steps": 3, "batch": 4}})
    assert one == candidate_id(json.loads('{"training": {"batch": 4, "steps": 3}, "arch": "0-1"}'))
    assert one != candidate_id({"arch": "0-1", "training": {"steps": 3, "batch": 5}})
    with pytest.raises(ValueError, match="not JSON compliant"):
        candidate_id({"rate": float("nan")})
