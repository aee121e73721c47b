import pytest

from sparsenas.reward import mnasnet, tunas


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
