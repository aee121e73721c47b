"""Sparsity schedules."""

import numpy as np
import pytest

from sparsenas.sparsity.schedules import cubic, one_shot, polynomial


def test_cubic_is_flat_outside_and_never_falls():
    part = np.array([cubic(begin=5, end=25)(step) for step in range(40)])
    assert (part[:6] == 0).all()
    assert (part[25:] == 1).all()
    assert (np.diff(part[5:26]) > 0).all()


def test_cubic_is_the_formula():
    # At a quarter of the way: 1 - (3 / 4) ** 3.
    assert float(cubic(begin=4, end=12)(6)) == pytest.approx(1 - 0.75**3)


def test_cubic_rejects_an_end_before_its_begin():
    with pytest.raises(ValueError, match=r"`begin` \(5\) must be at least 0 and below `end` \(5\)"):
        cubic(begin=5, end=5)


def test_polynomials_are_the_formula():
    # At a quarter of the way: 1 - (3 / 4) ** power.
    for power in (0.5, 1, 2, 3):
        assert float(polynomial(begin=4, end=12, power=power)(6)) == pytest.approx(1 - 0.75**power)
    with pytest.raises(ValueError, match="`power` must be above 0, found 0"):
        polynomial(begin=0, end=1, power=0)


def test_one_shot_is_all_or_nothing():
    assert [float(one_shot(at=3)(step)) for step in range(5)] == [0, 0, 0, 1, 1]
    with pytest.raises(ValueError, match="`at` must be at least 0"):
        one_shot(at=-1)
