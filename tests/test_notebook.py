"""What a notebook shows of runs, trials, spaces, architectures and latency models."""

import sys
from html.parser import HTMLParser

import numpy as np
import pandas
import pytest

from sparsenas.cli.lookup import find_space
from sparsenas.errors import UserError
from sparsenas.latency.model import LatencyModel
from sparsenas.latency.table import save
from sparsenas.notebook import Network, Trials, read_run
from sparsenas.record import Record
from sparsenas.report.summary import write_summary
from sparsenas.run_folder import open_run
from sparsenas.search_settings import SearchSettings
from sparsenas.strategies.beliefs import FILE, beliefs_of, write_beliefs
from sparsenas.tables import html_table
from sparsenas.trials import TrialLog
from tests.report.test_page import made_up

SPACE = find_space("tiny")
EVIL = "<b onload=x>&"


@pytest.fixture
def folder(tmp_path):
    """A run under way: two trials are done, one was given up, one is waited for."""
    folder = tmp_path / "mine"
    open_run(folder, SearchSettings(space="tiny", dataset="digits", strategy="random", seed=3))
    log = TrialLog(folder / "trials.sqlite")
    archs = [SPACE.smallest, SPACE.largest, SPACE.smallest, SPACE.largest]
    ids = ["a", "b", "c", "d"]
    log.propose([SPACE.text(arch) for arch in archs], candidates=ids)
    log.record({n: {"accuracy": 0.5 + n / 10, "latency_ms": 0.1 + n} for n in (0, 1)})
    log.finish("c", 0, error="diverged")
    log.close()
    return folder


class Cells(HTMLParser):
    """Collects a table's text by cell; checks that it has nothing but a table's elements."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.caption, self._place = [], "", ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        assert tag in ("table", "caption", "thead", "tbody", "tr", "th", "td")
        self._place = tag
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self._place == "caption":
            self.caption += data
        else:
            self.rows[-1][-1] += data


def test_nothing_of_a_users_becomes_markup():
    table = Cells(html_table(EVIL, (EVIL,), [(EVIL,)]))
    assert (table.caption, table.rows) == (EVIL, [[EVIL], [EVIL]])


def test_space_tells_its_choices():
    assert repr(SPACE).startswith(f"<space tiny: {len(SPACE.choices)} choices, ")
    assert "images 32 x 32 x 3, 10 classes>" in repr(SPACE)
    rows = Cells(SPACE._repr_html_()).rows[1:]
    assert [row[0] for row in rows] == [choice.name for choice in SPACE.choices]
    assert rows[0][1] == ", ".join(map(str, SPACE.choices[0].options))


def test_architecture_tells_its_layers_and_what_they_take():
    network = Network(SPACE, SPACE.smallest)
    assert repr(network).startswith(f"<{SPACE.text(SPACE.smallest)} of tiny: ")
    for name, option in SPACE.describe(SPACE.smallest).items():
        assert f"{name}={option}" in repr(network)
    table = Cells(network._repr_html_())
    assert [row[0] for row in table.rows[1:]] == [layer.name for layer in network.layers]
    assert "µs" not in table.rows[0]
    model = LatencyModel.load("epyc-zen5-avx2")
    timed = Cells(Network(SPACE, SPACE.smallest, model)._repr_html_())
    shares = [float(row[-1]) for row in timed.rows[1:]]
    expected = [us for _, us, _ in model.breakdown(network.layers)]
    np.testing.assert_allclose(shares, expected, atol=0.006)
    assert f"{model.predict(network.layers):.4f} ms predicted on epyc-zen5-avx2" in timed.caption


def test_latency_model_tells_where_it_is_from():
    model = LatencyModel.load("epyc-zen5-avx2")
    assert repr(model).startswith("<latency on epyc-zen5-avx2: measured, ")
    assert repr(model).endswith(" networks, 1 thread>")
    facts = dict(Cells(model._repr_html_()).rows[1:])
    assert facts["isa"] == "avx2"
    assert facts["error: mape"] == str(model.table.error["mape"])


def test_trials_are_a_data_frame(folder):
    trials = read_run(folder).trials
    frame = trials.to_dataframe()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.index.tolist() == [0, 1, 2, 3]
    assert frame["state"].tolist() == ["done", "done", "failed", "open"]
    assert frame["accuracy"].tolist()[:2] == [0.5, 0.6]
    assert frame["accuracy"].isna().tolist() == [False, False, True, True]
    assert frame["error"][2] == "diverged"
    options = SPACE.describe(SPACE.largest)
    assert {name: frame[name][1] for name in options} == options
    # Choices of blocks that the smallest does not have.
    absent = options.keys() - SPACE.describe(SPACE.smallest).keys()
    assert absent
    assert all(pandas.isna(frame[name][0]) for name in absent)


def test_trials_are_a_sequence_that_shows_the_best(folder):
    trials = read_run(folder).trials
    assert repr(trials) == "<4 trials of tiny, 2 done>"
    assert trials[1].trial.metrics["accuracy"] == 0.6
    assert isinstance(trials[:1], Trials)
    assert len(trials[:1]) == 1
    table = Cells(trials._repr_html_())
    assert table.caption == "4 trials of tiny, the 2 most accurate"
    assert [row[0] for row in table.rows[1:]] == ["1", "0"]
    assert Trials(SPACE, ()).to_dataframe().empty


def test_data_frame_without_pandas_is_one_line(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match="pip install pandas"):
        read_run(folder).trials.to_dataframe()


def test_run_tells_what_there_is_so_far(folder):
    run = read_run(folder)
    assert repr(run) == "<run mine: tiny on digits, random, seed 3>"
    assert "not finished" in Cells(run._repr_html_()).caption
    assert run.beliefs is None
    assert run.trainings == {}
    with pytest.raises(UserError, match="finished run"):
        _ = run.summary
    halves = [np.full((1, len(choice.options)), 1 / len(choice.options)) for choice in SPACE.choices]
    write_beliefs(beliefs_of(SPACE, [0], halves, unit="trials"), folder / FILE, strategy="random")
    with Record(folder) as record:
        record.whole("supernet", [(8, {"loss": 2.0})])
    save(LatencyModel.load("epyc-zen5-avx2").table, folder / "latency.json")
    summary = made_up().summary
    write_summary(summary, folder / "summary.json")
    assert run.summary == summary
    assert run.beliefs.at == (0,)
    assert run.trainings == {"supernet": [(8, {"loss": 2.0})]}
    assert run.latency.device == "epyc-zen5-avx2"
    assert "2.00 times as fast" in Cells(run._repr_html_()).caption


def test_no_run_is_one_line(tmp_path):
    with pytest.raises(UserError, match="found none"):
        read_run(tmp_path / "none")
