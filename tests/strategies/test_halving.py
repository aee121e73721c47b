import numpy as np
import pytest

from sparsenas.strategies.halving import Ladder, Promotion, best, budget, schedule, survivors

PLAN = schedule(least=1, most=9, reduction=3)


def test_rungs_grow_by_the_reduction_and_end_at_the_most():
    assert PLAN.rungs == (1, 3, 9)
    assert schedule(least=5, most=5).rungs == (5,)
    assert schedule(least=2, most=9, reduction=2).rungs == (2, 4, 8, 9)


def ladder(found, promoted=()):
    """A ladder with what rungs have found, and trials with the rung that they were promoted to."""
    made = Ladder(PLAN)
    for rung, scores in enumerate(found):
        for number, score in scores.items():
            made.found(number, rung, score)
    for number, rung in promoted:
        made.promoted(number, rung)
    return made


def test_promotion_follows_the_paper():
    """The best third of a rung so far, from the highest rung down, each once."""
    made = ladder([{0: 0.1, 1: 0.9}])
    assert made.next() is None
    made.found(2, 0, 0.5)
    assert made.next() == Promotion(1, 1)
    made.promoted(1, 1)
    assert made.next() is None
    for number, score in {3: 0.95, 4: 0.2, 5: 0.3}.items():
        made.found(number, 0, score)
    assert made.next() == Promotion(3, 1)
    found = [dict.fromkeys(range(9), 0.0) | {3: 0.95}, {3: 0.5, 1: 0.9, 0: 0.1}]
    assert ladder(found, [(0, 1), (1, 1), (3, 1)]).next() == Promotion(1, 2)


def test_a_trial_that_was_overtaken_is_not_promoted():
    found = [{0: 0.5, 1: 0.1, 2: 0.2, 3: 0.9}]
    assert ladder(found).next() == Promotion(3, 1)
    assert ladder(found, [(3, 1)]).next() is None


def test_the_first_score_counts_and_a_promotion_may_be_known_before_it():
    made = Ladder(PLAN)
    made.promoted(0, 1)
    for number, score in enumerate((0.9, 0.5, 0.1)):
        made.found(number, 0, score)
    assert made.next() is None
    made.found(1, 0, 2.0)
    made.promoted(0, 1)
    assert made.next() is None
    for number in range(3, 6):
        made.found(number, 0, 0.2)
    assert made.next() == Promotion(1, 1)


def test_a_decision_is_that_of_sorting_whole_rungs():
    rng = np.random.default_rng(1)
    made, found, promoted = Ladder(PLAN), [{}, {}, {}], [set(), set(), set()]

    def by_sorting():
        for rung in (1, 0):
            for number in best(found[rung], len(found[rung]) // PLAN.reduction):
                if number not in promoted[rung]:
                    return Promotion(number, rung + 1)
        return None

    for number in range(300):
        assert made.next() == by_sorting()
        rung = 0
        if (decided := made.next()) is not None and rng.random() < 0.8:
            number, rung = decided
            promoted[rung - 1].add(number)
            made.promoted(number, rung)
        # Of a few values, so that there are equal ones.
        score = float(rng.integers(20))
        if number not in found[rung]:
            found[rung][number] = score
        made.found(number, rung, score)
    assert len(found[2]) > 10


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
    made, found, started = Ladder(PLAN), [{}, {}, {}], 0
    for _ in range(200):
        job = made.next()
        if job is None:
            if started == len(quality):
                break
            job, started = Promotion(started, 0), started + 1
        else:
            made.promoted(job.number, job.rung)
        found[job.rung][job.number] = quality[job.number] + 0.01 * rng.random()
        made.found(job.number, job.rung, found[job.rung][job.number])
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
