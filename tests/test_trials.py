import multiprocessing
import os
import sqlite3

import pytest

from sparsenas.errors import UserError
from sparsenas.trials import Trial, TrialLog


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
    assert next(iter(log)).metrics == {"accuracy": 0.5}


def _write_and_die(path):
    log = TrialLog(path)
    log.propose(["a", "b"])
    log.record({0: {"accuracy": 0.5}})
    os._exit(9)  # As kill -9: nothing is closed.


def test_log_survives_a_kill(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=_write_and_die, args=(tmp_path / "log",))
    process.start()
    process.join()
    assert [trial.metrics for trial in TrialLog(tmp_path / "log")] == [{"accuracy": 0.5}, None]


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "log"
    path.write_text("these are not the trials you are looking for" * 100)
    with pytest.raises(UserError, match="Expected a log of trials in .*log, found something else"):
        TrialLog(path)


def test_newer_logs_are_refused(tmp_path):
    db = sqlite3.connect(tmp_path / "log")
    db.execute("pragma user_version=7")
    db.close()
    with pytest.raises(UserError, match="has format 7, this version reads 1"):
        TrialLog(tmp_path / "log")
