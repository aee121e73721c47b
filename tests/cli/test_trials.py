import csv
import io
import json

import pytest

from sparsenas.__main__ import main
from sparsenas.trials import TrialLog


@pytest.fixture
def run(tmp_path):
    log = TrialLog(tmp_path / "trials.sqlite")
    log.propose(["0-0", "0-1", "1-0", "0-1"], rungs=[0, 0, 0, 1], candidates=["a", "b", "c", "b"])
    log.begin("a", 0, node="one")
    log.finish("a", 0, metrics={"accuracy": 0.25, "latency_ms": 2.0}, node="one", seconds=1.5)
    log.begin("b", 0, node="one")
    log.begin("b", 0, node="two")
    log.finish("b", 0, metrics={"accuracy": 0.75, "latency_ms": 1.0}, node="two", seconds=2.5)
    log.finish("c", 0, error="it bites")
    log.close()
    return tmp_path


def rows(capsys, run, *args):
    assert main(["trials", str(run), "--csv", "-", *args]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def test_trials_are_listed(run, capsys):
    assert main(["trials", str(run)]) == 0
    text = capsys.readouterr().out
    assert "4 trials: 2 done, 1 failed, 1 open" in text
    assert "2: it bites" in text


def test_rows_have_all_that_is_known(run, capsys):
    found = rows(capsys, run)
    assert [row["state"] for row in found] == ["done", "done", "failed", "open"]
    assert found[1] == {
        "number": "1",
        "arch": "0-1",
        "rung": "0",
        "state": "done",
        "attempts": "2",
        "node": "two",
        "seconds": "2.5",
        "error": "",
        "candidate": "b",
        "accuracy": "0.75",
        "latency_ms": "1.0",
    }


@pytest.mark.parametrize(
    ("args", "numbers"),
    [
        (["--state", "failed"], [2]),
        (["--state", "done"], [0, 1]),
        (["--node", "two"], [1]),
        (["--rung", "1"], [3]),
        (["--sort", "accuracy"], [1, 0, 2, 3]),
        (["--sort", "latency_ms"], [0, 1, 2, 3]),
        (["--sort", "arch"], [0, 1, 3, 2]),
        (["--sort", "accuracy", "--limit", "1"], [1]),
        (["--node", "three"], []),
    ],
)
def test_rows_are_filtered_and_sorted(run, capsys, args, numbers):
    assert [int(row["number"]) for row in rows(capsys, run, *args)] == numbers


def test_json_has_the_same_rows(run, tmp_path, capsys):
    assert main(["trials", str(run), "--json", str(tmp_path / "rows.json")]) == 0
    found = json.loads((tmp_path / "rows.json").read_text())
    assert [row["accuracy"] for row in found] == [0.25, 0.75, None, None]
    assert found[2]["error"] == "it bites"


def test_table_says_how_many_rows_it_leaves_out(run, capsys):
    assert main(["trials", str(run), "--limit", "2"]) == 0
    assert "2 of 4 rows shown" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--sort", "beauty"], "No column named 'beauty'. There are: number, arch"),
        (["--limit", "0"], "`--limit` must be at least 1, found 0"),
        (["--state", "lost"], "--state"),
    ],
)
def test_bad_options_are_one_line(run, capsys, args, says):
    assert main(["trials", str(run), *args]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_folder_without_a_log_is_one_line(tmp_path, capsys):
    assert main(["trials", str(tmp_path)]) == 2
    assert "found none; give the folder of a run" in capsys.readouterr().err
