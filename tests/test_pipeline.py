"""The whole path on the real thing: real kernels, real training (short), a real Ray."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sparsenas import native
from sparsenas.__main__ import main
from sparsenas.cli.lookup import find_space
from sparsenas.data import load
from sparsenas.errors import UserError
from sparsenas.finalists import choose_finalists, choose_winner
from sparsenas.latency.devices import ready_device
from sparsenas.report.summary import Summary, read_summary
from sparsenas.run_folder import load_settings
from sparsenas.search import pareto
from sparsenas.search_settings import SearchSettings
from sparsenas.strategies.beliefs import read_beliefs
from sparsenas.trials import Trial, TrialLog

# A table measured in so few rounds, beside other tests, may be far off: without so much to spare the budget
# would be centred anew in one run and not in another.
MARGIN = 0.3
SHORT = [
    "--trials", "24", "--supernet.steps", "30", "--network.steps", "40", "--measure.rounds", "3",
    "--measure.networks", "6", "--margin", str(MARGIN),
]  # fmt: skip


def sparsenas(*args):
    """Runs the command as a user does, in a process of its own: Ray must start before JAX."""
    done = subprocess.run([sys.executable, "-m", "sparsenas", *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A place with this machine's table, shared by the runs below so that they search alike."""
    folder = tmp_path_factory.mktemp("pipeline")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def finished(folder):
    """A finished run on two Ray workers."""
    sparsenas("search", *SHORT, "--out", "two", "--workers", "2")
    return folder / "two"


def trials(run):
    log = TrialLog(run / "trials.sqlite")
    try:
        return list(log)
    finally:
        log.close()


def test_run_leaves_everything_that_is_promised(finished):
    summary = json.loads((finished / "summary.json").read_text())
    assert list(summary) == [field.name for field in dataclasses.fields(Summary)]
    assert summary["parity_max_abs_error"] <= 1e-4
    assert summary["speedup"] == pytest.approx(
        summary["dense_latency_ms_measured"] / summary["latency_ms_measured"]
    )
    assert summary["file_bytes"] == (finished / "best" / "model.snas").stat().st_size
    assert summary["dense_file_bytes"] == (finished / "best" / "dense.snas").stat().st_size
    assert summary["trials"] == len(trials(finished)) == 24
    assert (finished / "report.html").stat().st_size > 1000
    assert json.loads((finished / "config.json").read_text())["build"] == native.build_id()
    assert load_settings(finished).trials == 24


def test_exported_model_has_the_layers_and_accuracy_that_the_summary_states(finished):
    summary = read_summary(finished / "summary.json")
    space = find_space("tiny")
    layers = space.layers(space.parse(summary.arch))
    model = native.Model.open(finished / "best" / "model.snas")
    assert [(m.op, m.c_in, m.c_out, m.nonzeros) for m in model.layers] == [
        (layer.op, layer.c_in, layer.c_out, layer.nonzeros) for layer in layers
    ]
    test = load("digits", size=(32, 32), seed=0).test
    logits = model.run(test.images.astype(np.float32) / 255)
    assert (logits.argmax(1) == test.labels).mean() == pytest.approx(summary.accuracy)


def asked_for(run):
    """The first trials: others follow where measured times are so far off that the budget is centred anew."""
    return trials(run)[:24]


def test_predictions_in_the_log_are_the_tables(finished):
    space = find_space("tiny")
    table = ready_device("local", space)
    for trial in trials(finished):
        assert trial.metrics["latency_ms"] == pytest.approx(
            table.predict(space.layers(space.parse(trial.arch)))
        )


def test_same_seed_gives_the_same_trials_without_ray(finished, folder):
    sparsenas("search", *SHORT, "--out", "none", "--workers", "0")
    assert asked_for(folder / "none") == asked_for(finished)


def test_stopped_run_goes_on(finished, folder):
    """As if killed while the finalists were training."""
    shutil.copytree(finished, folder / "stopped")
    for name in ("summary.json", "report.html"):
        (folder / "stopped" / name).unlink()
    shutil.rmtree(folder / "stopped" / "best")
    next((folder / "stopped" / "candidates").iterdir()).unlink()
    # As if it had been killed right after the last step of the supernet, too.
    shared = Path("checkpoints", "supernet.safetensors")
    (folder / "stopped" / shared).unlink()
    sparsenas("search", "--resume", "stopped", "--workers", "1")
    assert asked_for(folder / "stopped") == asked_for(finished)
    assert (folder / "stopped" / shared).read_bytes() == (finished / shared).read_bytes()
    before, after = read_summary(finished / "summary.json"), read_summary(folder / "stopped" / "summary.json")
    # Times are measured anew, and choose the winner.
    if after.arch == before.arch:
        assert after.accuracy == before.accuracy


def test_a_differentiable_search_goes_the_whole_way_and_resumes(finished, folder):
    sparsenas(
        "search", *SHORT, "--strategy", "gumbel", "--architecture.steps", "40", "--architecture.batch", "16",
        "--finalists", "2", "--out", "gumbel", "--workers", "0",
    )  # fmt: skip
    run, space = folder / "gumbel", find_space("tiny")
    summary, beliefs = read_summary(run / "summary.json"), read_beliefs(run / "beliefs.jsonl")
    assert summary.strategy == "gumbel"
    assert beliefs.choices == tuple(choice.name for choice in space.choices)
    assert beliefs.at == (20, 40)
    assert summary.arch in {trial.arch for trial in trials(run)}
    # The margin is kept free for the prediction's error.
    budget_ms = (1 - MARGIN) * summary.target_latency_ms

    def landed():
        """Without those of a budget that was centred anew, as a busy machine may ask for."""
        ms = [(trial, trial.metrics["latency_ms"]) for trial in trials(run)]
        return [trial for trial, ms in ms if 0.97 * budget_ms < ms <= budget_ms]

    found = landed()
    assert found[0].number == 0
    # As if stopped before the trials were known: the checkpoint has all that they need.
    (run / "trials.sqlite").unlink()
    (run / "summary.json").unlink()
    before = (run / "beliefs.jsonl").read_bytes()
    sparsenas("search", "--resume", "gumbel", "--workers", "0")
    assert landed() == found
    assert (run / "beliefs.jsonl").read_bytes() == before


def test_unknown_strategies_are_refused_with_all_names():
    with pytest.raises(UserError, match="named 'dart'. There are: .*random, .*, darts, darts2, gumbel"):
        SearchSettings(strategy="dart")


def test_export_writes_the_winner_and_keeps_what_is_there(finished, folder, capsys):
    assert main(["export", "two", "--out", "w.snas"]) == 0
    assert (folder / "w.snas").read_bytes() == (finished / "best" / "model.snas").read_bytes()
    assert main(["export", "two", "--out", "w.snas"]) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["export", "two", "--out", "d.snas", "--dense"]) == 0
    assert (folder / "d.snas").read_bytes() == (finished / "best" / "dense.snas").read_bytes()


def test_report_repeats_what_was_found(finished, capsys):
    assert main(["report", "two"]) == 0
    assert read_summary(finished / "summary.json").arch in capsys.readouterr().out


def trial(number, accuracy, latency_ms):
    return Trial(number, str(number), {"accuracy": accuracy, "latency_ms": latency_ms})


def test_finalists_are_the_most_accurate_within_the_target():
    known = [
        trial(0, 0.9, 1.2),
        trial(1, 0.8, 0.9),
        trial(2, 0.8, 0.8),
        trial(3, 0.7, 0.1),
        trial(4, 0.6, 0.2),
    ]
    chosen = choose_finalists(known, target_ms=1.0, count=3)
    assert [t.number for t in chosen] == [2, 1, 3]
    assert {t.number for t in pareto(known)} >= {2, 3}


def test_winner_is_measured_not_predicted():
    @dataclasses.dataclass
    class Of:
        accuracy: float

    @dataclasses.dataclass
    class Finalist:
        trained: Of
        latency_ms: float

    accurate, fast, slow = Finalist(Of(0.9), 0.9), Finalist(Of(0.8), 0.5), Finalist(Of(0.99), 1.1)
    assert choose_winner([fast, slow, accurate], target_ms=1.0) is accurate
    assert choose_winner([slow, accurate], target_ms=0.4) is accurate


def test_settings_survive_the_run_folder(tmp_path):
    from sparsenas.run_folder import open_run

    settings = SearchSettings(trials=7, target_ms=0.25, seed=3)
    open_run(tmp_path / "run", settings)
    assert load_settings(tmp_path / "run") == settings
