import numpy as np
import pytest

from sparsenas.reward import mnasnet, tunas
from sparsenas.strategies.base import Result
from sparsenas.strategies.reinforce import learning_rate_at, reinforce, uniform_part
from tests.strategies.spaces import TINY, grid, play

TABLE = grid(4, 4, 4, 4)


def metrics(arch):
    row = TABLE.rows([arch])[0]
    return float(TABLE.mean_accuracy[row]), float(TABLE.costs["latency_ms"][row])


def test_recipe_of_tunas():
    """Arrival at ten times the rate, and a warm-up that ends after a quarter of the search."""
    assert learning_rate_at(0, 400, 3e-4, 10.0) == pytest.approx(3e-4)
    assert learning_rate_at(400, 400, 3e-4, 10.0) == pytest.approx(3e-3)
    assert [uniform_part(told, 400, 0.25) for told in (0, 50, 100, 300)] == [1.0, 0.5, 0.0, 0.0]
    assert uniform_part(0, 400, 0.0) == 0.0


def test_controller_stands_still_during_the_warm_up_but_learns_the_baseline():
    strategy = reinforce(TABLE.space, trials=100, momentum=0.95)
    state = strategy.init()
    for reward in (1.0, 0.0, 0.0):
        state = strategy.tell(state, (1, 1, 1, 1), Result(reward, {}))
    assert not state.logits.any()
    assert state.baseline == pytest.approx(0.95**2)


def test_step_is_that_of_adam_without_momentum():
    strategy = reinforce(TABLE.space, trials=100, warmup=0.0, learning_rate=0.1)
    state = strategy.tell(strategy.init(), (0, 0, 0, 0), Result(1.0, {}))
    assert not state.logits.any()  # The first reward is the baseline.
    state = strategy.tell(state, (2, 0, 0, 0), Result(3.0, {}))
    gradient = 2.0 * (np.array([0, 0, 1, 0]) - 0.25)
    # Two steps; the first one's gradient was 0.
    square = 0.001 * gradient**2 / (1 - 0.999**2)
    expected = 0.1 * 10**0.01 * gradient / (np.sqrt(square) + 1e-8)
    np.testing.assert_allclose(state.logits[:4], expected)


def test_choices_of_absent_layers_learn_nothing():
    strategy = reinforce(TINY, trials=100, warmup=0.0)
    arch = TINY.smallest
    state = strategy.init()
    for reward in (1.0, 2.0):
        state = strategy.tell(state, arch, Result(reward, {}))
    used = TINY.used_choices(arch)
    assert len(used) < len(TINY.choices)
    for choice, probabilities in enumerate(strategy.probabilities(state)):
        even = np.allclose(probabilities, 1 / len(probabilities))
        assert even == (choice not in used)


def test_absolute_reward_lands_at_the_target_and_beats_chance():
    reward = tunas(0.6, beta=-0.5)
    strategy = reinforce(TABLE.space, trials=600)
    asked, state = play(strategy, 600, lambda arch: reward(*metrics(arch)))
    late = [metrics(arch)[1] for arch in asked[-50:]]
    assert np.mean(late) == pytest.approx(0.6, rel=0.1)
    chance = [reward(*metrics(arch)) for arch in TABLE.archs]
    assert np.mean([reward(*metrics(arch)) for arch in asked[-50:]]) > np.quantile(chance, 0.9)
    assert all(part.sum() == pytest.approx(1) for part in strategy.probabilities(state))


@pytest.mark.parametrize("reward", [mnasnet(0.6), mnasnet(0.6, below=0, above=-1)])
def test_rewards_of_mnasnet_are_learned(reward):
    strategy = reinforce(TABLE.space, trials=600)
    asked, _ = play(strategy, 600, lambda arch: reward(*metrics(arch)))
    found = np.mean([reward(*metrics(arch)) for arch in asked[-50:]])
    assert found > np.quantile([reward(*metrics(arch)) for arch in TABLE.archs], 0.8)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"trials": 0}, "trials"),
        ({"trials": 9, "learning_rate": 0.0}, "above 0"),
        ({"trials": 9, "warmup": 1.0}, "below 1"),
        ({"trials": 9, "momentum": -0.1}, "below 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        reinforce(TABLE.space, **settings)
