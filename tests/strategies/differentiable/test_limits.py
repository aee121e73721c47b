import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsenas.latency.tabulate import Tabulated
from sparsenas.objectives import Objective
from sparsenas.strategies.differentiable.landing import land
from sparsenas.strategies.differentiable.limits import Limits
from tests.strategies.spaces import grid

# Two choices: the first one costs milliseconds, the second one bytes.
MS = Tabulated(0.0, (((0,), np.array([1.0, 2.0, 4.0])),))
BYTES = Tabulated(10.0, (((1,), np.array([0.0, 10.0, 30.0])),))
LIMITS = (Objective("latency_ms", target=2.0), Objective("file_bytes", target=20.0, weight=3.0))


def test_an_architecture_is_as_slow_as_its_worst_limit():
    limits = Limits(costs=(MS, BYTES), limits=LIMITS, combine="weighted")
    np.testing.assert_allclose(limits([(0, 0), (1, 0), (0, 2), (2, 1)]), [1.0, 2.0, 4.0, 4.0])


@pytest.mark.parametrize(("combine", "ratio"), [("worst", 1.25), ("weighted", (0.75 + 3 * 1.25) / 4)])
def test_mixtures_have_the_combined_ratio(combine, ratio):
    limits = Limits(costs=(MS, BYTES), limits=LIMITS, combine=combine)
    mixture = np.array([0.5, 0.5, 0.0]), np.array([0.5, 0.0, 0.5])
    assert limits.expected(mixture) == pytest.approx(2 * ratio)


def test_the_worst_limit_alone_pulls():
    limits = Limits(costs=(MS, BYTES), limits=LIMITS)

    def expected(logits):
        return limits.expected([jax.nn.softmax(one) for one in logits])

    of_ms, of_bytes = jax.grad(expected)((jnp.array([5.0, 0.0, 0.0]), jnp.zeros(3)))
    assert not of_ms.any()
    assert of_bytes.any()


def test_what_lands_meets_all_limits():
    space = grid(3, 3).space
    believed = [np.array([0.05, 0.15, 0.8]), np.array([0.03, 0.07, 0.9])]
    limits = Limits(costs=(MS, BYTES), limits=LIMITS)
    (first, *_) = land(space, believed, limits, target_ms=2.0, count=4)
    assert first == (1, 1)
