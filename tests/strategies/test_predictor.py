import numpy as np
import pytest

from sparsenas.strategies.base import Result
from sparsenas.strategies.predictor import predictor
from tests.strategies.spaces import TINY, grid, play, share

TABLE = grid(4, 4, 4)


def accuracy(arch):
    return float(TABLE.mean_accuracy[TABLE.rows([arch])[0]])


def over(target):
    return lambda archs: np.maximum(0, TABLE.cost("latency_ms", archs) / target - 1)


def test_finds_the_best_of_a_table_in_a_third_of_its_size():
    asked, _ = play(predictor(TABLE.space), 21, accuracy)
    assert max(map(accuracy, asked)) == TABLE.mean_accuracy.max()
    assert len(set(asked)) == 21


@pytest.mark.parametrize("batch", [1, 4])
def test_proposes_only_what_meets_the_constraint_and_finds_the_best_of_it(batch):
    asked, _ = play(predictor(TABLE.space, excess=over(0.6)), 20, accuracy, batch=batch)
    assert (TABLE.cost("latency_ms", asked) <= 0.6).all()
    best = TABLE.mean_accuracy[TABLE.costs["latency_ms"] <= 0.6].max()
    assert max(map(accuracy, asked)) == best


def test_where_nothing_meets_the_constraint_it_comes_close():
    strategy = predictor(TABLE.space, excess=over(0.05))
    arch = strategy.ask(strategy.init(), np.random.default_rng(0))
    assert TABLE.cost("latency_ms", [arch])[0] == TABLE.costs["latency_ms"].min()


def test_what_is_under_way_is_not_proposed_again_and_leaves_its_neighbours_certain():
    strategy = predictor(TABLE.space, optimism=5.0)
    _, state = play(strategy, 12, accuracy)
    first = strategy.ask(state, np.random.default_rng(1))
    believing = strategy.expect(state, first)
    assert strategy.ask(believing, np.random.default_rng(1)) != first
    assert state.expected == ()


def test_large_spaces_are_climbed():
    asked, _ = play(predictor(TINY, initial=6), 20, lambda arch: share(TINY, arch))
    drawn = [share(TINY, TINY.sample(np.random.default_rng((0, i)))) for i in range(200)]
    assert max(share(TINY, arch) for arch in asked) > max(drawn)
    assert all(arch == TINY.canonical(arch) for arch in asked)


def test_one_lucky_training_is_not_recommended():
    """Many noisy results along a line say more than the single highest one."""
    strategy = predictor(TABLE.space)
    state = strategy.init()
    rng = np.random.default_rng(3)
    archs = [TABLE.archs[i] for i in rng.permutation(64)[:40]]
    for arch in archs:
        state = strategy.tell(state, arch, Result(sum(arch) / 9 + 0.05 * rng.standard_normal(), {}))
    state = strategy.tell(state, (0, 1, 0), Result(1.1, {}))
    recommended = strategy.recommend(state)
    assert set(recommended) == {*archs, (0, 1, 0)}
    assert recommended[0] != (0, 1, 0)
    assert sum(recommended[0]) >= 7
    assert sum(recommended[-1]) <= 2


def test_results_without_the_metric_do_not_teach_but_are_not_asked_again():
    strategy = predictor(TABLE.space, learns="accuracy", initial=2)
    state = strategy.init()
    for arch in TABLE.archs[:-1]:
        metrics = {"accuracy": accuracy(arch)} if sum(arch) < 3 else {}
        state = strategy.tell(state, arch, Result(-1.0, metrics))
    assert strategy.ask(state, np.random.default_rng(0)) == TABLE.archs[-1]
    assert all(sum(arch) < 3 for arch in strategy.recommend(state))


def test_an_exhausted_space_is_proposed_again():
    strategy = predictor(TABLE.space)
    state = strategy.init()
    for arch in TABLE.archs:
        state = strategy.tell(state, arch, Result(accuracy(arch), {}))
    assert strategy.ask(state, np.random.default_rng(0)) in TABLE.archs


def test_many_past_trials_are_summarised():
    strategy = predictor(TINY)
    state = strategy.init()._replace(next_fit=np.inf)
    rng = np.random.default_rng(0)
    for _ in range(1000):
        arch = TINY.sample(rng)
        state = strategy.tell(state, arch, Result(share(TINY, arch), {}))
    proposed = strategy.ask(state, rng)
    assert share(TINY, proposed) > 0.8


@pytest.mark.parametrize(("settings", "said"), [({"initial": 1}, "initial"), ({"optimism": -1}, "optimism")])
def test_settings_that_mean_nothing_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        predictor(TABLE.space, **settings)
