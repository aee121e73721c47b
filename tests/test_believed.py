"""What is made of a log after a search: what its strategy recommends."""

from sparsenas.believed import recommended
from sparsenas.cli.lookup import find_space
from sparsenas.reward import of_metrics, tunas
from sparsenas.strategies.base import Strategy
from sparsenas.trials import Trial

SPACE = find_space("tiny")
REWARD = of_metrics(tunas(1.0))


def strategy(recommend):
    return Strategy(
        init=lambda: (),
        ask=lambda state, rng: SPACE.sample(rng),
        tell=lambda state, arch, result: (*state, (arch, result.reward)),
        recommend=recommend,
    )


def test_a_strategy_recommends_by_what_it_was_told_in_order():
    archs = [SPACE.smallest, SPACE.largest]
    metrics = [{"accuracy": accuracy, "latency_ms": 1.0} for accuracy in (0.5, 0.7)]
    trials = [
        Trial(0, SPACE.text(archs[0]), metrics[0]),
        Trial(1, SPACE.text(archs[0]), None),
        Trial(2, SPACE.text(archs[1]), metrics[1]),
    ]
    told = []

    def latest_first(state):
        told.append(state)
        return [arch for arch, _ in reversed(state)]

    found = recommended(SPACE, strategy(latest_first), REWARD, trials)
    assert found == [trials[2].arch, trials[0].arch]
    assert told == [((archs[0], REWARD(metrics[0])), (archs[1], REWARD(metrics[1])))]


def test_others_have_no_opinion():
    assert recommended(SPACE, strategy(None), REWARD, []) is None
