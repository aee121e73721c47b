"""Zeros where they pay: bands, and the allocation against every possibility."""

import itertools

import numpy as np
import pytest

from sparsenas.errors import UserError
from sparsenas.sparsity.guided import Band, Options, allocate, band, inside_band, losses

GRID = np.array([0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95])


def options(us, *, lost=None, name="a"):
    us = np.array(us, float)
    lost = GRID[: len(us)] ** 3 if lost is None else np.array(lost, float)
    return Options(name=name, fractions=GRID[: len(us)], us=us, lost=lost)


def test_band_begins_where_zeros_pay_and_ends_where_little_is_left():
    # Slower than dense at first, then faster, then flat.
    assert band(options([10, 14, 11, 9, 7, 5, 4.9])) == Band(first=0.7, last=0.9)
    assert band(options([10, 9, 8, 7, 6, 5, 4])) == Band(first=0.5, last=0.95)
    assert band(options([10, 14, 13, 12, 11, 10, 9.9])) is None


def test_only_what_is_in_the_band_is_offered():
    inside = inside_band(options([10, 14, 11, 9, 7, 5, 4.9]))
    assert inside.fractions.tolist() == [0, 0.7, 0.8, 0.9]
    assert inside.us.tolist() == [10, 9, 7, 5]
    assert inside_band(options([10, 14, 13, 12, 11, 10, 9.9])).fractions.tolist() == [0]


@pytest.mark.parametrize("seed", range(8))
def test_allocation_is_the_best_of_all(seed):
    rng = np.random.default_rng(seed)
    layers = [
        options(np.sort(rng.random(5))[::-1] * 10 ** rng.integers(0, 3), lost=np.sort(rng.random(5)))
        for _ in range(4)
    ]
    slowest, fastest = sum(one.us.max() for one in layers), sum(one.us.min() for one in layers)
    budget = fastest + rng.random() * (slowest - fastest)
    found = allocate(layers, budget_us=budget)

    def totals(chosen):
        pairs = list(zip(layers, chosen, strict=True))
        return sum(one.us[k] for one, k in pairs), sum(one.lost[k] for one, k in pairs)

    assert totals(found)[0] <= budget
    every = [totals(chosen) for chosen in itertools.product(range(5), repeat=4)]
    # Times are rounded up to 1/20,000 of the budget, four of them.
    within = [lost for us, lost in every if us <= budget * (1 - 4 / 20_000)]
    assert totals(found)[1] <= min(within) + 1e-12


def test_a_budget_for_all_takes_nothing_and_one_for_the_fastest_everything():
    layers = [options([10, 8, 6, 5]), options([3, 2, 1.5, 1.2])]
    assert allocate(layers, budget_us=13).tolist() == [0, 0]
    assert allocate(layers, budget_us=6.2).tolist() == [3, 3]
    with pytest.raises(UserError, match=r"at least 0\.0062 ms.*found 0\.0061 ms"):
        allocate(layers, budget_us=6.1)


def test_losses_are_parts_of_the_squares():
    weight = np.array([[3.0, 4.0]])
    masks = [np.array([[True, True]]), np.array([[False, True]]), np.array([[False, False]])]
    np.testing.assert_allclose(losses(weight, masks), [0, 9 / 25, 1])
    np.testing.assert_array_equal(losses(np.zeros((1, 2)), masks), 0)
