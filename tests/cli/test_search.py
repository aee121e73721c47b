import io

import pytest
from rich.console import Console

from sparsenas.__main__ import main
from sparsenas.cli import show
from sparsenas.cli.show import TerminalProgress, of_nodes, summary
from sparsenas.progress import Status
from sparsenas.run_folder import open_run
from sparsenas.search_settings import SearchSettings
from sparsenas.train import CandidateSettings


@pytest.fixture
def run(tmp_path):
    settings = SearchSettings(trials=7, seed=3, candidate=CandidateSettings(steps=50), dataset="gone")
    open_run(tmp_path / "run", settings)
    return tmp_path / "run"


def said(capsys, *args):
    assert main(["search", *args]) == 2
    found = capsys.readouterr().err
    assert found.count("\n") == 1
    return found


def test_changed_experiment_is_refused_with_the_differences(run, capsys):
    text = said(capsys, "--resume", str(run), "--trials", "9", "--seed", "3", "--candidate.steps", "60")
    assert "--trials is 7 there, 9 here; --candidate.steps is 50 there, 60 here. Leave" in text
    assert "--seed" not in text


def test_usual_value_that_is_given_is_another_one(run, capsys):
    usual = SearchSettings()
    text = said(capsys, "--resume", str(run), f"--trials={usual.trials}", "--candidate.steps", "50")
    assert f"--trials is 7 there, {usual.trials} here. Leave" in text


def test_same_options_may_be_given_again(run, capsys):
    text = said(capsys, "--resume", str(run), "--trials", "7", "--candidate.steps", "50")
    assert "No data set named 'gone'" in text


def test_unreachable_cluster_is_one_line_and_leaves_no_run(tmp_path, capsys):
    text = said(capsys, "--cluster", "127.0.0.1:1", "--out", str(tmp_path / "run"))
    assert "No Ray cluster is reached at 127.0.0.1:1: Connection refused." in text
    assert not (tmp_path / "run").exists()


def test_resumed_run_stays_in_its_folder(run, capsys):
    assert "stays in its folder" in said(capsys, "--resume", str(run), "--out", "elsewhere")


def test_start_that_was_killed_at_once_starts_again(tmp_path):
    (tmp_path / "run").mkdir()
    open_run(tmp_path / "run", SearchSettings())
    assert (tmp_path / "run" / "config.json").exists()


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (["--workers", "-2"], "`workers` must be 0 or more, found -2"),
        (["--resources-per-candidate", "gpu"], "NAME=AMOUNT"),
        (["--attempts", "0"], "`attempts` must be at least 1"),
        (["--ahead", "0"], "`ahead` must be at least 1"),
        (["--candidate.rungs", "9"], "too few for 9 rungs"),
    ],
)
def test_bad_options_of_a_cluster_are_one_line(capsys, option, says):
    assert says in said(capsys, *option)


STATUS = Status(
    queued=3,
    running={"a": 2, "b": 1},
    done={"a": 5},
    failed=1,
    repeated=2,
    suspects=("b",),
    per_minute=4.0,
    notices=("Node c gets no work.",),
)


def test_one_line_says_how_a_cluster_does():
    assert summary(6, 14, STATUS) == (
        "6 of 14 done, 3 running, 3 waiting, 1 given up, 2 tried again, 4.0 a minute, about 2 min left"
    )


def test_nodes_are_shown_with_what_they_do():
    text = io.StringIO()
    Console(file=text, width=100).print(of_nodes(STATUS))
    rows = [line.split("│")[1:-1] for line in text.getvalue().splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["a", "2", "5"],
        ["b (not heard of)", "1", "0"],
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_notices_and_the_end_are_printed(terminal):
    text = io.StringIO()
    progress = TerminalProgress(Console(file=text, width=120, force_terminal=terminal))
    with progress.watch("Search") as watch:
        watch(6, 14, "best 50%", STATUS)
    assert "Node c gets no work." in text.getvalue()
    assert "Search" in text.getvalue()
    assert "best 50%" in text.getvalue()


@pytest.mark.parametrize(("terminal", "lines"), [(True, 0), (False, 2)])
def test_a_file_is_told_of_long_stages(monkeypatch, terminal, lines):
    monkeypatch.setattr(show, "_SECONDS_BETWEEN_LINES", -1)
    text = io.StringIO()
    with TerminalProgress(Console(file=text, width=120, force_terminal=terminal)).stage("Measure") as update:
        update(0, 3, "start")
        update(1, 3, "a pass")
    assert sum(f"Measure: {i} of 3" in text.getvalue() for i in range(3)) == lines
