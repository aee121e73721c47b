"""What a search is told to want, before anything is trained."""

import dataclasses
import re

import numpy as np
import pytest

from sparsenas.cli.lookup import find_space
from sparsenas.errors import UserError
from sparsenas.finalists import choose_finalists
from sparsenas.latency.tabulate import tabulate
from sparsenas.objectives import Objective
from sparsenas.run_folder import load_settings, open_run
from sparsenas.search import pareto
from sparsenas.search_settings import (
    SearchSettings,
    check_together,
    choose_aim,
    choose_reward,
    supernet_settings,
)
from sparsenas.train import SupernetSettings
from sparsenas.trials import Trial

SPACE = find_space("tiny")
LATENCY = tabulate(SPACE, lambda layer: 1e-7 * layer.macs)
MACS = tuple(sum(layer.macs for layer in SPACE.layers(arch)) for arch in (SPACE.smallest, SPACE.largest))


def settings(**changes):
    return SearchSettings(target_ms=0.2, **changes)


def test_limits_leave_the_margin_free_and_are_of_the_same_layers():
    aim = choose_aim(settings(objectives=(Objective("macs", target=MACS[1] / 2),)), SPACE, LATENCY, 0.2)
    assert [one.name for one in aim.objectives] == ["accuracy", "latency_ms", "macs"]
    assert aim.objectives[1].target == pytest.approx(0.2 * 0.96)
    archs = np.array([SPACE.smallest, SPACE.largest])
    assert [one["macs"] for one in aim.costs.metrics(archs)] == list(MACS)
    assert aim.costs.excess(archs)[1] > aim.costs.excess(archs)[0] == 0


def test_unreachable_targets_are_refused():
    said = f"macs 10, where architectures have {MACS[0]:g} to {MACS[1]:g}"
    with pytest.raises(UserError, match=re.escape(said)):
        choose_aim(settings(objectives=(Objective("macs", target=10),)), SPACE, LATENCY, 0.2)


def test_targets_that_exclude_each_other_are_refused():
    """What is small in one layer's cost is large in the other's: no architecture has little of both."""
    against = tabulate(SPACE, lambda layer: 1.0 - layer.sparsity if layer.op == "conv1x1" else 0.0)
    for_it = tabulate(SPACE, lambda layer: layer.sparsity if layer.op == "conv1x1" else 0.0)
    count = len(SPACE.choices)
    least = [table.least(count)[1] for table in (against, for_it)]
    check_together([(against, 1.01 * least[0])], count)
    with pytest.raises(UserError, match="meets the 2 targets together"):
        check_together([(against, 1.01 * least[0]), (for_it, 1.01 * least[1])], count)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("tunas", 0.75), ("mnasnet", 0.8 * 1.5**-0.07), ("mnasnet_hard", 0.8 / 1.5), ("within", -0.5)],
)
def test_reward_is_that_of_the_worst_target(name, expected):
    reward = choose_reward(settings(reward=name, objectives=(Objective("macs", target=100.0),)), 0.2)
    assert reward({"accuracy": 0.8, "latency_ms": 0.1, "macs": 150.0}) == pytest.approx(expected)


def test_targets_are_weighed_where_that_is_asked_for():
    wanted = settings(combine="weighted", objectives=(Objective("macs", target=100.0, weight=3.0),))
    reward = choose_reward(wanted, 0.2)
    assert reward({"accuracy": 0.8, "latency_ms": 0.2, "macs": 200.0}) == pytest.approx(0.8 - 0.1 * 0.75)


def test_objectives_survive_the_run_folder(tmp_path):
    wanted = settings(objectives=(Objective("macs", target=5.0), Objective("latency_ms", 1.0, "phone")))
    open_run(tmp_path / "run", wanted)
    assert load_settings(tmp_path / "run") == wanted


@pytest.mark.parametrize("one", [Objective("latency_ms"), Objective("flops"), Objective("macs", device="x")])
def test_objectives_that_nothing_is_known_of_are_refused(one):
    with pytest.raises(UserError, match="`objectives` beside accuracy and latency are"):
        settings(objectives=(one,))


def test_supernet_of_progressive_shrinks_unless_settings_say_how():
    opens = supernet_settings(settings(strategy="progressive")).opens
    assert 0 == opens["kernels"] < opens["depths"] < opens["widths"] < opens["sparsities"]
    own = SupernetSettings(widths_from=0.1)
    assert supernet_settings(settings(strategy="progressive", supernet=own)) == own
    assert supernet_settings(settings()) == SupernetSettings()


def test_what_was_not_evaluated_is_no_finalist():
    trials = [
        Trial(0, "a", {"latency_ms": 1.0}),
        Trial(1, "b", {"latency_ms": 2.0, "accuracy": 0.5}),
        Trial(2, "c", {"latency_ms": 2.5, "accuracy": 0.4}),
    ]
    assert [trial.arch for trial in choose_finalists(trials, target_ms=3.0, count=3)] == ["b", "c"]
    assert [trial.arch for trial in pareto(trials)] == ["b"]


def test_strategies_are_names_or_files():
    assert dataclasses.replace(settings(), strategy="mine.py").strategy == "mine.py"
    with pytest.raises(UserError, match="or give a Python file that defines strategy"):
        settings(strategy="mine")
