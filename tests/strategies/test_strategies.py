import numpy as np
import pytest

from sparsenas.cli.lookup import find_space
from sparsenas.objectives import Costs, Objective
from sparsenas.strategies.base import Result
from sparsenas.strategies.catalog import STRATEGIES, Aim, make
from sparsenas.strategies.evolution import regularized_evolution
from sparsenas.strategies.progressive import progressive
from sparsenas.strategies.random import random
from tests.strategies.spaces import play

SPACE = find_space("tiny")


def score(arch):
    """Highest at the last option of every choice."""
    return sum(arch) / sum(len(choice.options) - 1 for choice in SPACE.choices)


def cost(archs):
    """From 0 to 1, lowest at the first option of every choice."""
    return archs.sum(1) / sum(len(choice.options) - 1 for choice in SPACE.choices)


LIMITS = (Objective("latency_ms", target=0.5),)
AIM = Aim(
    trials=60,
    objectives=(Objective("accuracy"), *LIMITS),
    costs=Costs(functions={"latency_ms": cost}, objectives=LIMITS),
)


def metrics(arch):
    return {"accuracy": score(arch), "latency_ms": float(cost(np.array([arch]))[0])}


@pytest.mark.parametrize("name", STRATEGIES)
def test_same_seed_gives_the_same_sequence_and_another_one_another(name):
    def sequence(seed):
        return play(make(name, STRATEGIES[name], SPACE, AIM), 16, metrics, seed=seed, batch=4)[0]

    assert sequence(0) == sequence(0)
    assert sequence(0) != sequence(1)


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_function_changes_a_state_that_it_was_given(name):
    """A resumed search tells the log again; a search with several workers asks from forks of one state."""
    strategy = make(name, STRATEGIES[name], SPACE, AIM)
    asked, state = play(strategy, 24, metrics)
    before = repr(state)
    again = strategy.ask(state, np.random.default_rng(5))
    strategy.expect(state, again)
    strategy.tell(state, again, Result(9.0, {"accuracy": 1.0, "latency_ms": 0.1}))
    assert repr(state) == before
    told = strategy.init()
    for arch in asked:
        told = strategy.tell(told, arch, Result(score(arch), metrics(arch)))
    assert strategy.ask(told, np.random.default_rng(5)) == again


@pytest.mark.parametrize("name", sorted(set(STRATEGIES) - {"reinforce"}))
def test_nothing_is_proposed_that_misses_the_target(name):
    asked, _ = play(make(name, STRATEGIES[name], SPACE, AIM), 24, metrics)
    assert all(metrics(arch)["latency_ms"] <= 0.5 for arch in asked)


def test_tight_targets_are_met_by_mutating_what_is_closest():
    """No draw meets it: one of millions of architectures is that fast."""
    tight = (Objective("latency_ms", target=0.05),)
    aim = Aim(
        trials=9, objectives=AIM.objectives, costs=Costs(functions={"latency_ms": cost}, objectives=tight)
    )
    assert not any(cost(np.array([SPACE.sample(np.random.default_rng(i))]))[0] <= 0.05 for i in range(500))
    asked, _ = play(make("random", STRATEGIES["random"], SPACE, aim), 9, metrics)
    assert all(metrics(arch)["latency_ms"] <= 0.05 for arch in asked)


def test_unreachable_targets_end_in_a_proposal():
    aim = Aim(
        trials=1,
        objectives=AIM.objectives,
        costs=Costs(functions={"latency_ms": lambda archs: 1 + cost(archs)}, objectives=LIMITS),
    )
    asked, _ = play(make("random", STRATEGIES["random"], SPACE, aim), 1, metrics)
    assert len(asked) == 1


def test_evolution_finds_better_than_random_with_as_many_trials():
    evolved = max(map(score, play(regularized_evolution(SPACE, population=32, tournament=8), 300, score)[0]))
    drawn = max(map(score, play(random(SPACE), 300, score)[0]))
    assert evolved > drawn + 0.1


def test_evolution_forgets_its_oldest_member():
    strategy = regularized_evolution(SPACE, population=4, tournament=2)
    state = strategy.init()
    for number in range(5):
        state = strategy.tell(state, SPACE.largest, Result(number, {}))
    assert [reward for _, reward in state] == [1, 2, 3, 4]


def test_evolution_mutates_the_winner_of_a_full_tournament():
    strategy = regularized_evolution(SPACE, population=3, tournament=3)
    rng = np.random.default_rng(0)
    members = [SPACE.smallest, SPACE.largest, SPACE.sample(rng)]
    state = strategy.init()
    for arch, reward in zip(members, (0.1, 0.9, 0.2), strict=True):
        state = strategy.tell(state, arch, Result(reward, {}))
    child = strategy.ask(state, rng)
    used = set(SPACE.used_choices(child)) & set(SPACE.used_choices(SPACE.largest))
    assert sum(child[i] != SPACE.largest[i] for i in used) == 1


def test_evolution_refuses_a_tournament_larger_than_the_population():
    with pytest.raises(ValueError, match=r"`tournament` \(9\) must be at least 2 and at most"):
        regularized_evolution(SPACE, population=8, tournament=9)


def test_evolution_believes_what_its_population_has():
    strategy = regularized_evolution(SPACE, population=4, tournament=2)
    state = strategy.init()
    assert np.allclose(strategy.probabilities(state)[0], 1 / len(SPACE.choices[0].options))
    for _ in range(3):
        state = strategy.tell(state, SPACE.largest, Result(1.0, {}))
    state = strategy.tell(state, SPACE.smallest, Result(1.0, {}))
    first = strategy.probabilities(state)[0]
    assert (first[SPACE.largest[0]], first[SPACE.smallest[0]]) == (0.75, 0.25)


def test_progressive_breeds_from_the_best_of_all_generations():
    strategy = progressive(SPACE, population=8, parents=0.25)
    asked, state = play(strategy, 24, score)
    best = sorted(map(score, asked), reverse=True)[:2]
    assert [reward for _, reward in state.parents] == best
    assert state.growing == ()


def test_progressive_finds_better_than_random_with_as_many_trials():
    bred = max(map(score, play(progressive(SPACE), 300, score)[0]))
    drawn = max(map(score, play(random(SPACE), 300, score)[0]))
    assert bred > drawn + 0.1


def test_crossed_children_have_only_what_their_parents_have():
    strategy = progressive(SPACE, population=4, parents=0.5, mutations=0.0)
    state = strategy.init()
    for arch in (SPACE.largest, SPACE.smallest, SPACE.smallest, SPACE.smallest):
        state = strategy.tell(state, arch, Result(score(arch), {}))
    child = strategy.ask(state, np.random.default_rng(0))
    pairs = zip(child, SPACE.largest, SPACE.smallest, strict=True)
    assert all(option in (a, b, 0) for option, a, b in pairs)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"population": 3}, "population"),
        ({"parents": 0.01}, "parents"),
        ({"mutations": 2.0}, "mutations"),
        ({"mutate": 0.0}, "mutate"),
    ],
)
def test_settings_of_progressive_that_mean_nothing_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        progressive(SPACE, **settings)
