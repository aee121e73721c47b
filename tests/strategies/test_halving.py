import numpy as np
import pytest

from sparsenas.strategies.halving import Promotion, best, budget, promote, schedule, survivors

PLAN = schedule(least=1, most=9, reduction=3)


def test_rungs_grow_by_the_reduction_and_end_at_the_most():
    assert PLAN.rungs == (1, 3, 9)
    assert schedule(least=5, most=5).rungs == (5,)
    assert schedule(least=2, most=9, reduction=2).rungs == (2, 4, 8, 9)


def test_promotion_follows_the_paper():
    """The best third of a rung so far, from the highest rung down, each once."""
    found = [{0: 0.1, 1: 0.9}, {}, {}]
    assert promote(PLAN, found, [set(), set()]) is None
    found[0][2] = 0.5
    assert promote(PLAN, found, [set(), set()]) == Promotion(1, 1)
    assert promote(PLAN, found, [{1}, set()]) is None
    found[0] |= {3: 0.95, 4: 0.2, 5: 0.3}
    assert promote(PLAN, found, [{1}, set()]) == Promotion(3, 1)
    found = [dict.fromkeys(range(9), 0.0) | {3: 0.95}, {3: 0.5, 1: 0.9, 0: 0.1}, {}]
    assert promote(PLAN, found, [{0, 1, 3}, set()]) == Promotion(1, 2)


def test_a_trial_that_was_overtaken_is_not_promoted():
    found = [{0: 0.5, 1: 0.1, 2: 0.2, 3: 0.9}, {}, {}]
    assert promote(PLAN, found, [set(), set()]) == Promotion(3, 1)
    assert promote(PLAN, found, [{3}, set()]) is None


def test_equal_scores_go_by_number():
    assert best({7: 1.0, 3: 1.0, 5: 2.0}, 2) == [5, 3]
    assert survivors(PLAN, {7: 1.0, 3: 1.0, 5: 2.0}) == [5]
    assert survivors(PLAN, {7: 1.0, 3: 1.0}) == [3]


def test_budget_counts_steps_once():
    assert budget(PLAN, 9) == 9 * 1 + 3 * 2 + 1 * 6


def test_simulated_workers_train_few_trials_long():
    """A worker asks, trains, reports; scores of good trials are good on every rung."""
    rng = np.random.default_rng(0)
    quality = rng.random(81)
    found, promoted, started = [{}, {}, {}], [set(), set()], 0
    for _ in range(200):
        job = promote(PLAN, found, promoted)
        if job is None:
            if started == len(quality):
                break
            job, started = Promotion(started, 0), started + 1
        else:
            promoted[job.rung - 1].add(job.number)
        found[job.rung][job.number] = quality[job.number] + 0.01 * rng.random()
    counts = [len(rung) for rung in found]
    assert counts[0] == 81
    assert 27 <= counts[1] < 45
    assert 9 <= counts[2] < 20
    assert int(quality.argmax()) in found[2]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"least": 0, "most": 9}, "least"),
        ({"least": 9, "most": 8}, "least"),
        ({"least": 1, "most": 9, "reduction": 1}, "reduction"),
    ],
)
def test_schedules_that_mean_nothing_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        schedule(**settings)
