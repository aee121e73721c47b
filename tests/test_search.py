import pytest

from sparsenas.cli.lookup import find_space
from sparsenas.reward import of_metrics, tunas
from sparsenas.search import pareto, search
from sparsenas.strategies.base import Strategy
from sparsenas.strategies.evolution import regularized_evolution
from sparsenas.trials import Trial, TrialLog

SPACE = find_space("tiny")
REWARD = of_metrics(tunas(2.0))


def score(arch):
    return {"accuracy": 1 - sum(arch) / 100, "latency_ms": 1 + sum(arch) / 10}


def run(path, *, trials=64, evaluated=None, stop_after=None):
    def evaluate(archs):
        if evaluated is not None:
            if stop_after is not None and len(evaluated) + len(archs) > stop_after:
                raise KeyboardInterrupt
            evaluated.extend(archs)
        return [score(arch) for arch in archs]

    strategy = regularized_evolution(SPACE, population=16, tournament=4)
    log = TrialLog(path)
    try:
        for done in search(SPACE, strategy, REWARD, evaluate, log, trials=trials, batch=8, seed=3):
            result = done
        return result
    finally:
        log.close()


def test_same_seed_gives_the_same_log(tmp_path):
    assert run(tmp_path / "a") == run(tmp_path / "b")


@pytest.mark.parametrize("stop_after", [0, 8, 20, 50])
def test_stopped_search_goes_on_to_the_same_end_without_repeating(tmp_path, stop_after):
    first, second = [], []
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "a", evaluated=first, stop_after=stop_after)
    resumed = run(tmp_path / "a", evaluated=second)
    assert resumed == run(tmp_path / "b")
    assert not set(first) & set(second)


def test_no_architecture_is_evaluated_twice(tmp_path):
    evaluated = []
    run(tmp_path / "a", trials=200, evaluated=evaluated)
    assert len(evaluated) == len(set(evaluated))


def test_trials_of_a_search_that_went_on_are_left_alone(tmp_path):
    shorter = run(tmp_path / "a", trials=24)
    run(tmp_path / "a", trials=40)
    evaluated = []
    assert run(tmp_path / "a", trials=24, evaluated=evaluated) == shorter
    assert evaluated == []


def test_trials_end_at_the_asked_number(tmp_path):
    done = run(tmp_path / "a", trials=13)
    assert [trial.number for trial in done] == list(range(13))


def test_pareto_keeps_what_nothing_beats():
    def trial(number, accuracy, latency_ms):
        return Trial(number, str(number), {"accuracy": accuracy, "latency_ms": latency_ms})

    trials = [
        trial(0, 0.9, 2.0),
        trial(1, 0.8, 1.0),
        trial(2, 0.8, 1.5),
        trial(3, 0.95, 2.0),
        trial(4, 0.7, 0.9),
    ]
    assert [t.number for t in pareto(trials)] == [4, 1, 3]


def test_proposals_of_a_group_know_which_are_under_way(tmp_path):
    """A strategy that counts what it was told to expect, and what it was told the result of."""
    asked = []

    def ask(state, rng):
        asked.append(state)
        return SPACE.sample(rng)

    strategy = Strategy(
        init=lambda: (0, 0),
        ask=ask,
        tell=lambda state, arch, result: (state[0] + 1, state[1]),
        expect=lambda state, arch: (state[0], state[1] + 1),
    )
    log = TrialLog(tmp_path / "log")
    list(
        search(
            SPACE, strategy, REWARD, lambda archs: [score(a) for a in archs], log, trials=6, batch=3, seed=0
        )
    )
    log.close()
    assert asked == [(0, 0), (0, 1), (0, 2), (3, 0), (3, 1), (3, 2)]
