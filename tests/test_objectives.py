import numpy as np
import pytest

from sparsenas.errors import UserError
from sparsenas.objectives import Costs, Objective, check_reachable, excess, weighted, worst

HERE, PHONE = (
    Objective("latency_ms", target=2.0),
    Objective("latency_ms", target=8.0, device="phone", weight=3),
)
METRICS = {"accuracy": 0.8, "latency_ms": 3.0, "latency_ms@phone": 4.0}


def test_large_is_good_for_accuracy_and_small_for_all_else():
    assert Objective("accuracy").cost(METRICS) == -0.8
    assert HERE.cost(METRICS) == 3.0
    assert Objective("macs").cost(METRICS) == np.inf
    assert Objective("accuracy", target=0.9).ratio(METRICS) == pytest.approx(0.9 / 0.8)
    assert Objective("accuracy", target=0.9).ratio({"accuracy": 0.0}) == np.inf


def test_several_devices_count_as_the_worst_or_by_weight():
    assert worst([HERE, PHONE])(METRICS) == 1.5
    assert weighted([HERE, PHONE])(METRICS) == (1 * 1.5 + 3 * 0.5) / 4
    with pytest.raises(UserError, match="at least one objective with a `target`"):
        worst([Objective("latency_ms"), Objective("accuracy", target=0.5)])


def test_excess_is_what_is_missed_and_nothing_else():
    assert excess([HERE, PHONE], METRICS) == 0.5
    assert excess([PHONE, Objective("macs", target=1)], METRICS) == 0
    assert excess([Objective("accuracy", target=0.9)], METRICS) == pytest.approx(0.125)


def test_costs_of_many_architectures_are_those_of_each():
    costs = Costs(
        functions={"latency_ms": lambda archs: archs.sum(1) + 1.0, "macs": lambda archs: 10.0 * archs[:, 0]},
        objectives=(Objective("accuracy", target=0.9), HERE, Objective("macs", target=10)),
    )
    archs = np.array([[0, 0], [0, 3], [2, 2]])
    each = costs.metrics([tuple(arch) for arch in archs])
    assert each[2] == {"latency_ms": 5.0, "macs": 20.0}
    np.testing.assert_allclose(costs.excess(archs), [excess(costs.objectives, one) for one in each])
    np.testing.assert_array_equal(costs.features(archs), [[1, 0], [4, 0], [5, 20]])
    assert Costs(functions={}).features(archs).shape == (3, 0)
    assert not Costs(functions={}).excess(archs).any()


def test_unreachable_targets_are_refused_with_the_range():
    ranges = {"latency_ms": (1.0, 4.0), "latency_ms@phone": (9.0, 20.0), "macs": (1e6, 2e6)}
    check_reachable([HERE, Objective("macs"), Objective("parameters", target=1)], ranges)
    with pytest.raises(UserError, match="latency_ms@phone 8, where architectures have 9 to 20") as error:
        check_reachable([HERE, PHONE], ranges)
    assert "macs" not in str(error.value)
    with pytest.raises(UserError, match="accuracy 0.9"):
        check_reachable([Objective("accuracy", target=0.9)], {"accuracy": (0.1, 0.8)})


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"target": 0.0}, "target"), ({"target": float("inf")}, "target"), ({"weight": 0.0}, "weight")],
)
def test_objectives_that_mean_nothing_are_refused(settings, said):
    with pytest.raises(UserError, match=said):
        Objective("latency_ms", **settings)
