import numpy as np
import pytest

from sparsenas.reward import mnasnet, of_metrics, tunas, within


def test_mnasnet_soft_constraint_pays_five_percent_for_twice_the_latency():
    """The paper's reasoning for w = -0.07: 5% higher accuracy at twice the latency, equal reward."""
    reward = mnasnet(80.0)
    assert reward(0.5, 80.0) == pytest.approx(reward(0.525, 160.0), rel=2e-3)


def test_mnasnet_hard_constraint_ignores_latency_below_the_target_only():
    reward = mnasnet(80.0, below=0, above=-1)
    assert reward(0.5, 10.0) == reward(0.5, 80.0) == 0.5
    assert reward(0.5, 160.0) == 0.25


def test_tunas_is_highest_at_the_target():
    reward = tunas(80.0)
    assert reward(0.5, 80.0) == 0.5
    assert reward(0.5, 88.0) == pytest.approx(0.49)
    assert reward(0.5, 72.0) == pytest.approx(0.49)


def test_exponents_and_slopes_are_the_papers():
    """MnasNet, section 3: soft alpha = beta = -0.07, hard alpha = 0 and beta = -1. TuNAS: beta = -0.10."""
    for accuracy, ratio in ((0.7, 0.5), (0.7, 1.0), (0.75, 1.3), (0.6, 4.0)):
        assert mnasnet(50.0)(accuracy, 50.0 * ratio) == pytest.approx(accuracy * ratio**-0.07)
        hard = accuracy if ratio <= 1 else accuracy / ratio
        assert mnasnet(50.0, below=0, above=-1)(accuracy, 50.0 * ratio) == pytest.approx(hard)
        assert tunas(50.0)(accuracy, 50.0 * ratio) == pytest.approx(accuracy - 0.1 * abs(ratio - 1))


def test_absolute_reward_puts_the_best_of_a_trade_off_at_the_target():
    """Where accuracy grows by less than the slope for each target of latency; MnasNet's soft form drifts."""
    ratios = np.linspace(0.2, 3, 281)
    accuracy = 0.70 + 0.05 * np.log(ratios)
    assert ratios[np.argmax([tunas(1.0)(a, r) for a, r in zip(accuracy, ratios, strict=True)])] == 1.0
    drifted = ratios[np.argmax([mnasnet(1.0)(a, r) for a, r in zip(accuracy, ratios, strict=True)])]
    assert abs(drifted - 1) > 0.1


def test_within_ranks_all_that_meets_the_target_above_all_that_does_not():
    reward = within(2.0)
    assert reward(0.01, 2.0) > reward(0.99, 2.1) > reward(0.99, 2.2)


def test_rewards_of_metrics_count_what_was_not_evaluated_as_useless():
    assert of_metrics(tunas(2.0))({"accuracy": 0.8, "latency_ms": 2.0}) == 0.8
    assert of_metrics(tunas(2.0))({"latency_ms": 3.0}) == pytest.approx(-0.05)
