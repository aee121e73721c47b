import numpy as np

from sparsenas.strategies.base import Result
from sparsenas.strategies.predictor import predictor
from sparsenas.strategies.reinforce import reinforce
from sparsenas.strategies.trace import Trace, decided_early, described, trace
from tests.strategies.spaces import grid, play

SPACE = grid(3, 2).space


def score(arch):
    return float(arch[0])


def test_trace_is_what_the_strategy_believed_at_the_time():
    strategy = reinforce(SPACE, trials=50)
    asked, last = play(strategy, 50, score)
    told = [(arch, Result(score(arch), {})) for arch in asked]
    found = trace(strategy, told, points=6)
    assert found.trials == (0, 10, 20, 30, 40, 50)
    assert [part.shape for part in found.probabilities] == [(6, 3), (6, 2)]
    for part, expected in zip(found.probabilities, strategy.probabilities(last), strict=True):
        np.testing.assert_array_equal(part[-1], expected)
        np.testing.assert_allclose(part.sum(1), 1)
        np.testing.assert_allclose(part[0], 1 / part.shape[1])


def test_strategies_without_probabilities_have_no_trace():
    assert trace(predictor(SPACE), []) is None


def test_a_choice_that_is_decided_at_once_and_for_good_is_reported():
    trials = (0, 25, 50, 75, 100)
    at_once = np.array([[0.3, 0.4, 0.3], *[[0.0, 0.995, 0.005]] * 4])
    wavering = np.array([[0.5, 0.5], [0.99, 0.01], [0.5, 0.5], [0.9, 0.1], [0.99, 0.01]])
    early = decided_early(SPACE, Trace(trials, (at_once, wavering)))
    assert early == {"c0": 25}
    assert described(early, trials).startswith("decided early: c0 after 25 of 100 trials")
    assert described({}, trials) == ""


def test_what_never_settles_is_not_reported():
    trials = (0, 50, 100)
    open_until_the_end = np.array([[0.99, 0.01], [0.99, 0.01], [0.6, 0.4]])
    even = np.full((3, 3), 1 / 3)
    assert decided_early(SPACE, Trace(trials, (even, open_until_the_end))) == {}
