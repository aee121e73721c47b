"""The page of runs: what it tells of each, and whom it answers."""

import json
import os
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace

import pytest

from sparsenas.chromium import find_browser
from sparsenas.errors import UserError
from sparsenas.record import Record
from sparsenas.report.summary import write_summary
from sparsenas.trials import TrialLog
from sparsenas.ui.runs import list_runs
from sparsenas.ui.server import Server
from tests.report.test_page import made_up

NAME = "a run <b>"


@pytest.fixture
def runs(tmp_path):
    """A run that goes on, a finished one, one that tells nothing, and what is no run."""
    settings = {"space": "tiny", "dataset": "digits", "strategy": "random", "seed": 3, "trials": 8}
    folder = tmp_path / "runs"
    for name in (NAME, "done", "odd", "none"):
        (folder / name).mkdir(parents=True)
    (folder / NAME / "config.json").write_text(json.dumps({"settings": settings}))
    log = TrialLog(folder / NAME / "trials.sqlite")
    numbers = log.propose(["0-0", "0-1", "1-0"])
    log.record({n: {"accuracy": 0.5 + n / 10, "latency_ms": 1.0 + n} for n in numbers[:2]})
    log.close()
    (folder / "done" / "config.json").write_text(json.dumps({"settings": {**settings, "trials": 60}}))
    write_summary(replace(made_up().summary, dataset="digits"), folder / "done" / "summary.json")
    (folder / "done" / "report.html").write_text("<p>the report")
    (folder / "odd" / "config.json").write_text("[]")
    (folder / "odd" / "trials.sqlite").write_text("no database")
    return folder


@pytest.fixture
def server(runs):
    with Server(runs, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_runs_tell_how_far_they_are(runs):
    found = {run["name"]: run for run in list_runs(runs)}
    assert found.keys() == {NAME, "done", "odd"}
    going = found[NAME]
    assert (going["state"], going["proposed"], going["done"], going["wanted"]) == ("running", 3, 2, 8)
    assert going["points"] == [(1.0, 0.5), (2.0, 0.6)]
    assert found["done"]["state"] == "finished"
    assert found["done"]["speedup"] == 2.0
    assert (found["odd"]["space"], found["odd"]["points"]) == (None, [])
    later = {run["name"]: run["state"] for run in list_runs(runs, now=going["changed"] + 3600)}
    assert later == {NAME: "stopped", "done": "finished", "odd": "stopped"}


def test_reading_a_run_does_not_make_it_go_on(runs):
    hour_ago = time.time() - 3600
    for path in (runs / NAME).iterdir():
        os.utime(path, (hour_ago, hour_ago))
    for _ in range(2):
        assert {run["name"]: run["state"] for run in list_runs(runs)}[NAME] == "stopped"


def test_a_run_that_is_written_to_is_only_read(runs):
    path = runs / NAME / "trials.sqlite"
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("begin immediate")
    assert list_runs(runs)[0]["proposed"] in (0, 3)
    writer.execute("rollback")
    writer.close()


def test_candidates_are_counted_by_state_and_node(runs):
    settings = {"space": "tiny", "trials": 6, "supernet": {"steps": 40}}
    (runs / NAME / "config.json").write_text(json.dumps({"settings": settings}))
    assert {run["name"]: run["cluster"] for run in list_runs(runs)}[NAME] is None
    log = TrialLog(runs / NAME / "trials.sqlite")
    log.propose(["1-1", "2-0"], candidates=["first", "second"])
    lost = log.begin("first", 0, node="a")
    log.end("first", 0, lost, node="a", outcome="crashed")
    again = log.begin("first", 0, node="b")
    log.finish("first", 0, metrics={"accuracy": 0.7, "latency_ms": 1.5}, node="b", attempt=again)
    log.begin("second", 0, node="a")
    log.finish("third", 0, error="diverged")
    log.close()
    found = {run["name"]: run for run in list_runs(runs)}[NAME]["cluster"]
    # The proposal that nobody was given is of the fixture.
    assert [found[state] for state in ("waiting", "running", "done", "failed")] == [1, 1, 1, 1]
    assert found["nodes"] == [
        {"name": "a", "running": 1, "done": 0, "lost": 1},
        {"name": "b", "running": 0, "done": 1, "lost": 0},
    ]


def test_training_of_a_supernet_is_followed(runs):
    with Record(runs / NAME) as record:
        for step in range(1, 1001):
            record.note("supernet", step, {"loss": 1 / step})
    found = {run["name"]: run for run in list_runs(runs)}[NAME]
    (training,) = found["trainings"]
    assert (training["name"], training["step"]) == ("supernet", 1000)
    assert training["losses"][0] == (1, 1.0)
    assert len(training["losses"]) <= 200


def test_long_searches_stay_small(runs):
    log = TrialLog(runs / "done" / "trials.sqlite")
    numbers = log.propose([f"{i}-0" for i in range(5000)])
    log.record({n: {"accuracy": (n * 37 % 1000) / 1000, "latency_ms": 1 + n % 97} for n in numbers})
    log.close()
    (done,) = (run for run in list_runs(runs) if run["name"] == "done")
    assert done["done"] == 5000
    assert len(done["points"]) < 1000
    # The most accurate is on the front, which is never thinned.
    assert max(accuracy for _, accuracy in done["points"]) == 0.999


def test_reports_are_served_and_nothing_else(server):
    with urllib.request.urlopen(f"{server.address}done/report.html") as answer:
        assert answer.read() == b"<p>the report"
    for path in (
        "done/config.json",
        "none/report.html",
        "../done/report.html",
        "%2e%2e/x",
        "odd/report.html",
    ):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(server.address + path)
    with urllib.request.urlopen(server.address) as answer:
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_other_hosts_names_are_refused(server):
    asked = urllib.request.Request(server.address, headers={"Host": "evil.example:80"})
    with pytest.raises(urllib.error.HTTPError, match="421"):
        urllib.request.urlopen(asked)


def test_bad_places_are_one_line(tmp_path, server):
    with pytest.raises(UserError, match="Expected a folder of runs, found none"):
        Server(tmp_path / "none", 0)
    with pytest.raises(UserError, match=f"Cannot listen at port {server.server_port}"):
        Server(tmp_path, server.server_port)
    with pytest.raises(UserError, match="Cannot listen at port 99999"):
        Server(tmp_path, 99999)


def test_the_page_follows_a_search(server, runs):
    sync = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    try:
        program = find_browser()
    except UserError as error:
        pytest.skip(str(error))
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 800})
        said = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(server.address)
        page.wait_for_selector("section >> nth=2")
        assert page.get_by_text("2 of 8 trials").count() == 1
        assert page.locator("section h2").first.inner_text().startswith((NAME, "done", "odd"))
        log = TrialLog(runs / NAME / "trials.sqlite")
        log.record({2: {"accuracy": 0.9, "latency_ms": 0.5}})
        log.close()
        page.get_by_text("3 of 8 trials").wait_for(timeout=10_000)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert said == []
        browser.close()
