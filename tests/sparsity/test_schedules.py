"""Sparsity schedules."""

import numpy as np
import pytest

from sparsenas.sparsity.schedules import cubic


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
