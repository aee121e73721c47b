from collections import deque
from itertools import pairwise

import numpy as np
import pytest

from sparsenas.cli.lookup import find_space
from sparsenas.cluster.crew import Finished
from sparsenas.objectives import Costs, Objective
from sparsenas.search_ahead import highest_rungs, search_ahead
from sparsenas.strategies.catalog import STRATEGIES, Aim, make
from sparsenas.strategies.evolution import regularized_evolution
from sparsenas.strategies.halving import Schedule
from sparsenas.strategies.random import random
from sparsenas.trials import TrialLog

SPACE = find_space("tiny")


class Stopped(Exception):
    pass


class Shuffling:
    """Finishes candidates in an order of its own, some of them never."""

    def __init__(self, log, *, seed, poison=(), stop_after=None):
        self.log, self.poison, self.stop_after = log, poison, stop_after
        self.rng, self.queue, self.done, self.most = np.random.default_rng(seed), deque(), [], 0

    def submit(self, job):
        self.queue.append(job)
        self.most = max(self.most, len(self.queue))

    def finished(self):
        if len(self.done) == self.stop_after:
            raise Stopped
        self.queue.rotate(int(self.rng.integers(len(self.queue))))
        job = self.queue.popleft()
        arch = SPACE.parse(job.spec["arch"])
        self.done.append((job.candidate, job.rung))
        if arch[0] in self.poison:
            self.log.finish(job.candidate, job.rung, error="bitter")
            return [Finished(job=job, metrics=None, error="bitter")]
        metrics = {"accuracy": 1 - sum(arch) / 100 + job.rung / 10}
        self.log.finish(job.candidate, job.rung, metrics=metrics)
        return [Finished(job=job, metrics=metrics, error=None)]


def run(path, *, seed=0, trials=60, ahead=8, plan=None, strategy=None, **crew):
    log = TrialLog(path)
    workforce = Shuffling(log, seed=seed, **crew)
    try:
        for found in search_ahead(
            SPACE,
            strategy or regularized_evolution(SPACE, population=16, tournament=4),
            lambda metrics: metrics["accuracy"],
            workforce,
            lambda arch: {"arch": SPACE.text(arch)},
            log,
            trials=trials,
            ahead=ahead,
            seed=3,
            plan=plan,
        ):
            result = list(found)
    finally:
        log.close()
    return result, workforce


HALVING = Schedule((10, 40, 160), 4)


@pytest.mark.parametrize("plan", [None, HALVING])
def test_order_of_finishing_changes_nothing(tmp_path, plan):
    one, _ = run(tmp_path / "a", seed=1, plan=plan)
    two, _ = run(tmp_path / "b", seed=2, plan=plan)
    assert one == two
    assert [trial.number for trial in one] == list(range(60))


@pytest.mark.parametrize("plan", [None, HALVING])
@pytest.mark.parametrize("stop_after", [0, 7, 30])
def test_stopped_search_goes_on_to_the_same_end_without_repeating(tmp_path, plan, stop_after):
    log = tmp_path / "a"
    with pytest.raises(Stopped):
        run(log, seed=1, plan=plan, stop_after=stop_after)
    resumed, after = run(log, seed=2, plan=plan)
    whole, once = run(tmp_path / "b", seed=3, plan=plan)
    assert resumed == whole
    assert len(after.done) == len(once.done) - stop_after
    assert len(set(once.done)) == len(once.done)


LIMITS = (Objective("macs", target=30.0),)
AIM = Aim(
    trials=40,
    objectives=(Objective("accuracy"), *LIMITS),
    costs=Costs(functions={"macs": lambda archs: 2.0 * archs.sum(1)}, objectives=LIMITS),
)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_goes_the_same_way_with_any_workers_resumed_or_not(tmp_path, name):
    def strategy():
        return make(name, STRATEGIES[name], SPACE, AIM)

    with pytest.raises(Stopped):
        run(tmp_path / "a", seed=1, trials=40, strategy=strategy(), stop_after=21)
    resumed, _ = run(tmp_path / "a", seed=2, trials=40, strategy=strategy())
    whole, _ = run(tmp_path / "b", seed=3, trials=40, strategy=strategy())
    assert resumed == whole


@pytest.mark.parametrize("plan", [None, HALVING])
def test_search_that_went_on_with_another_strategy_does_so_again_when_resumed(tmp_path, plan):
    """As where the budget is centred anew."""

    def other():
        return regularized_evolution(SPACE, population=8, tournament=8)

    first, _ = run(tmp_path / "a", trials=30, plan=plan)
    whole, _ = run(tmp_path / "a", trials=45, plan=plan, strategy=other())
    assert whole[:30] == first
    assert len(whole) == 45
    assert run(tmp_path / "b", trials=30, plan=plan)[0] == first
    with pytest.raises(Stopped):
        run(tmp_path / "b", seed=2, trials=45, plan=plan, strategy=other(), stop_after=6)
    # What the second search had proposed is not finished as if it were the first one's.
    again, workforce = run(tmp_path / "b", seed=3, trials=30, plan=plan)
    assert (again, workforce.done) == (first, [])
    assert run(tmp_path / "b", seed=4, trials=45, plan=plan, strategy=other())[0] == whole


def test_as_many_as_ahead_are_worked_on_at_once(tmp_path):
    _, workforce = run(tmp_path / "a", ahead=5)
    assert workforce.most == 5


def test_ahead_of_one_waits_for_every_result(tmp_path):
    _, workforce = run(tmp_path / "a", ahead=1, trials=20)
    assert workforce.most == 1


def test_poison_is_given_up_and_the_search_goes_on(tmp_path):
    found, _ = run(tmp_path / "a", poison=(2,))
    bitter = [trial for trial in found if SPACE.parse(trial.arch)[0] == 2]
    assert bitter
    assert {(trial.state, trial.error) for trial in bitter} == {("failed", "bitter")}
    assert all(trial.state == "done" for trial in found if trial not in bitter)
    again, workforce = run(tmp_path / "a", poison=(2,))
    assert again == found
    assert not workforce.done


def test_best_of_a_rung_train_on(tmp_path):
    found, _ = run(tmp_path / "a", plan=HALVING, trials=100)
    by_rung = [[trial for trial in found if trial.rung == rung] for rung in range(3)]
    assert len(by_rung[0]) > 2 * len(by_rung[1]) > 4 * len(by_rung[2]) > 0
    for lower, higher in pairwise(by_rung):
        archs = [trial.arch for trial in higher]
        assert len(set(archs)) == len(archs)
        assert set(archs) <= {trial.arch for trial in lower}
    assert {trial.arch for trial in highest_rungs(found)} == {trial.arch for trial in by_rung[0]}
    for trial in highest_rungs(found):
        assert trial.rung == max(other.rung for other in found if other.arch == trial.arch)


def test_what_is_not_admitted_is_not_worked_on(tmp_path):
    log = TrialLog(tmp_path / "a")
    workforce = Shuffling(log, seed=1)
    *_, found = search_ahead(
        SPACE,
        random(SPACE),
        lambda metrics: metrics.get("accuracy", -1.0),
        workforce,
        lambda arch: {"arch": SPACE.text(arch)},
        log,
        trials=30,
        ahead=4,
        seed=3,
        plan=HALVING,
        beside=lambda arch: {"macs": float(sum(arch))},
        admits=lambda arch: arch[0] != 1,
    )
    log.close()
    excluded = [trial for trial in found if SPACE.parse(trial.arch)[0] == 1]
    assert excluded
    assert all(trial.metrics == {"macs": float(sum(SPACE.parse(trial.arch)))} for trial in excluded)
    assert len(workforce.done) == len(found) - len(excluded)
    assert list(TrialLog(tmp_path / "a")) == found
