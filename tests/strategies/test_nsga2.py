import numpy as np
import pytest

from sparsenas.objectives import Objective
from sparsenas.strategies.base import Result
from sparsenas.strategies.nsga2 import crowding, nsga2, ranks
from tests.strategies.spaces import grid, play, share

TABLE, LARGER = grid(5, 5, 5), grid(*[3] * 10).space
ACCURACY, LATENCY, MACS = Objective("accuracy"), Objective("latency_ms"), Objective("macs")


def metrics(arch):
    row = TABLE.rows([arch])[0]
    return {"accuracy": float(TABLE.mean_accuracy[row])} | {
        name: float(values[row]) for name, values in TABLE.costs.items()
    }


def ranks_one_by_one(values, over):
    """Deb's definition: peel off what nothing left dominates."""

    def dominates(a, b):
        if over[a] > 0 or over[b] > 0:
            return over[a] < over[b]
        return all(values[a] <= values[b]) and any(values[a] < values[b])

    left, rank, front = set(range(len(values))), {}, 0
    while left:
        members = {b for b in left if not any(dominates(a, b) for a in left)}
        rank |= dict.fromkeys(members, front)
        left, front = left - members, front + 1
    return [rank[i] for i in range(len(values))]


@pytest.mark.parametrize("objectives", [2, 3])
def test_ranks_are_fronts_peeled_off_one_by_one(objectives):
    rng = np.random.default_rng(objectives)
    values = rng.integers(4, size=(60, objectives)).astype(float)
    over = np.maximum(0, rng.integers(-3, 3, size=60)).astype(float)
    assert ranks(values, over).tolist() == ranks_one_by_one(values, over)


def test_crowding_is_the_distance_between_neighbours():
    values = np.array([[0.0, 4.0], [1.0, 3.0], [3.0, 1.0], [4.0, 0.0], [9.0, 9.0]])
    found = crowding(values, np.array([0, 0, 0, 0, 1]))
    assert found.tolist() == [np.inf, 1.5, 1.5, np.inf, np.inf]


def test_of_equal_members_one_counts():
    values = np.array([[0.0, 2.0], [1.0, 1.0], [1.0, 1.0], [2.0, 0.0]])
    assert crowding(values, np.zeros(4, int)).tolist() == [np.inf, 2.0, 0.0, np.inf]


def halves(arch):
    """Every other choice makes a network better, all make it slower."""
    return {"accuracy": share(LARGER, arch[::2]), "latency_ms": share(LARGER, arch)}


def test_fast_networks_are_better_than_those_of_random_draws():
    def best(archs):
        return max(halves(a)["accuracy"] for a in archs if halves(a)["latency_ms"] <= 0.25)

    asked, _ = play(nsga2(LARGER, objectives=(ACCURACY, LATENCY)), 200, halves)
    rng = np.random.default_rng(0)
    assert best(asked) > best([LARGER.sample(rng) for _ in range(200)]) + 0.02


def test_the_population_comes_to_meet_the_targets():
    limits = (ACCURACY, Objective("latency_ms", target=0.5), Objective("macs", target=140))
    _, state = play(nsga2(TABLE.space, objectives=limits, population=10), 100, metrics)
    found = [metrics(arch) for arch in state.archs]
    assert all(one["latency_ms"] <= 0.5 and one["macs"] <= 140 for one in found)


def test_what_meets_targets_comes_first_and_then_what_misses_them_less():
    limits = (ACCURACY, Objective("latency_ms", target=1.0))
    strategy = nsga2(TABLE.space, objectives=limits, population=4)
    state = strategy.init()
    told = [((0, 0, 0), 0.9, 3.0), ((0, 0, 1), 0.8, 2.0), ((0, 0, 2), 0.1, 1.0), ((0, 0, 3), 0.9, 9.0)]
    for arch, accuracy, latency_ms in told:
        state = strategy.tell(state, arch, Result(0, {"accuracy": accuracy, "latency_ms": latency_ms}))
    assert state.archs == ((0, 0, 2), (0, 0, 1), (0, 0, 0), (0, 0, 3))


def test_what_was_not_evaluated_is_last():
    strategy = nsga2(TABLE.space, objectives=(ACCURACY, Objective("latency_ms", target=1.0)), population=4)
    state = strategy.init()
    state = strategy.tell(state, (1, 1, 1), Result(0, {"latency_ms": 2.0}))
    state = strategy.tell(state, (2, 2, 2), Result(0, {"latency_ms": 0.5, "accuracy": 0.1}))
    assert state.archs == ((2, 2, 2), (1, 1, 1))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"objectives": (ACCURACY,)}, "at least 2, found 1"),
        ({"objectives": (ACCURACY, MACS), "population": 3}, "at least 4"),
        ({"objectives": (ACCURACY, MACS), "crossover": 1.5}, "from 0 to 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        nsga2(TABLE.space, **settings)
